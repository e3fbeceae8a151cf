import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { type Client, createClient } from "graphql-ws";
import WebSocket from "ws";

/** A front-end with a normalised cache: what the same checks need of Apollo Client and of urql. */
export interface Front {
  name: string;
  session: Session;
  /** Shows a query on a screen that stays open. */
  watch<Data, Variables extends Record<string, unknown>>(
    query: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ): Screen<Data>;
  /** Asks the server, whatever the cache holds. */
  query<Data, Variables extends Record<string, unknown>>(query: TypedDocumentNode<Data, Variables>, variables: Variables): Promise<Data>;
  mutate<Data, Variables extends Record<string, unknown>>(
    mutation: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ): Promise<Data>;
  /** Follows a subscription. */
  follow<Data, Variables extends Record<string, unknown>>(
    subscription: TypedDocumentNode<Data, Variables>,
    variables: Variables,
  ): Followed<Data>;
  /** Closes the socket. */
  close(): void;
  /** Names of the operations that went over the wire by HTTP. */
  sent: string[];
}

export interface Screen<Data> {
  /** What the screen shows now. */
  data: Data | undefined;
  close(): void;
}

export interface Followed<Data> {
  /** What has come so far. */
  events: Data[];
  /** What it ended with, when it was refused. */
  error?: unknown;
  close(): void;
}

// A browser has it; of Node.js only what is newer than 20.
globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;

/** A `graphql-ws` client that says who is signed in whenever it connects. */
export function socketOf(url: string, session: Session): Client {
  return createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    connectionParams: () => (session.accessToken ? { authorization: `Bearer ${session.accessToken}` } : {}),
  });
}

/** The tokens of the signed-in person; nobody is signed in without. */
export interface Session {
  accessToken?: string;
  refreshToken?: string;
}

type Tokens = { accessToken: string | null; refreshToken: string | null; userErrors: { message: string }[] };

export function enter(session: Session, tokens: Tokens | null | undefined): void {
  if (!tokens?.accessToken || !tokens.refreshToken) {
    throw new Error(tokens?.userErrors[0]?.message ?? "The server gave no tokens.");
  }
  session.accessToken = tokens.accessToken;
  session.refreshToken = tokens.refreshToken;
}

/** Only these codes say that the credential is not good any more; FORBIDDEN is about permissions. */
export function isCredentialRefused(errors: readonly { extensions?: Record<string, unknown> }[]): boolean {
  return errors.some(({ extensions }) => extensions?.code === "UNAUTHENTICATED" || extensions?.code === "TOKEN_EXPIRED");
}

/** `fetch` that notes which operation it sends. */
export function noting(sent: string[]): typeof fetch {
  return (input, init) => {
    sent.push((JSON.parse(String(init?.body)) as { operationName: string }).operationName);
    return fetch(input, init);
  };
}
