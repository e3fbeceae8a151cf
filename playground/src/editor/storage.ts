import type { Storage as GraphiQLStorage } from "@graphiql/toolkit";

/** How the page looks is remembered for the browser. */
const APPEARANCE = ["theme", "visiblePlugin", "docExplorerFlex", "editorFlex", "secondaryEditorFlex"].map((key) => `graphiql:${key}`);

/**
 * What a person types is kept for this browser tab only, as the session is: variables hold passwords and invitation
 * tokens, and two tabs may work in two organizations.
 */
function storageOf(key: string): Storage {
  return APPEARANCE.includes(key) ? localStorage : sessionStorage;
}

function ownKeys(storage: Storage): string[] {
  return Object.keys(storage).filter((key) => key.startsWith("graphiql:"));
}

export const storage: GraphiQLStorage = {
  getItem: (key) => storageOf(key).getItem(key),
  setItem: (key, value) => storageOf(key).setItem(key, value),
  removeItem: (key) => storageOf(key).removeItem(key),
  clear() {
    for (const storage of [localStorage, sessionStorage]) ownKeys(storage).forEach((key) => storage.removeItem(key));
  },
  get length() {
    return ownKeys(localStorage).length + ownKeys(sessionStorage).length;
  },
};

export function isFirstVisit(): boolean {
  return storage.getItem("graphiql:tabState") === null;
}
