import { useSyncExternalStore } from "react";

/** What a request is sent with: the tokens of a signed-in person, or an API key. */
export type Credential =
  | { kind: "tokens"; accessToken: string; refreshToken: string }
  | { kind: "key"; apiKey: string };

export interface Named {
  id: string;
  name: string;
  slug: string;
}

export interface Membership {
  id: string;
  role: string;
  organization: Named;
}

/** What the server says about the credential; null until it has answered. */
export interface Context {
  person: { id: string; name: string; email: string | null } | null;
  memberships: Membership[];
  organization: Named | null;
  projects: Named[];
  /** The one project of an API key that is limited to it: nothing to choose then. */
  onlyProject: Named | null;
}

export interface State {
  credential: Credential | null;
  context: Context | null;
  projectId: string | null;
  /** The job that was started last, for the example that watches one. */
  jobId: string | null;
  notice: { tone: "info" | "problem"; text: string } | null;
}

/**
 * Credentials are kept for this browser tab only: sessionStorage survives a reload and ends with the tab. A cookie
 * would travel by itself, and localStorage would hand them to every later visitor of the same browser.
 */
const STORAGE_KEY = "aicos.session";

function restore(): State {
  const empty: State = { credential: null, context: null, projectId: null, jobId: null, notice: null };
  try {
    const { credential = null, projectId = null } = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "{}");
    return { ...empty, credential, projectId };
  } catch {
    return empty;
  }
}

let state = restore();
const listeners = new Set<() => void>();

export function getState(): State {
  return state;
}

export function setState(change: Partial<State>): void {
  state = { ...state, ...change };
  const { credential, projectId } = state;
  try {
    if (credential) sessionStorage.setItem(STORAGE_KEY, JSON.stringify({ credential, projectId }));
    else sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Storage switched off or full: the session then lives in memory, until the next reload.
  }
  for (const listener of listeners) listener();
}

/** Back to an anonymous visitor; the notice says why. */
export function forget(notice: State["notice"] = null): void {
  setState({ credential: null, context: null, projectId: null, jobId: null, notice });
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSession(): State {
  return useSyncExternalStore(subscribe, getState);
}
