import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { authExchange } from "@urql/exchange-auth";
import { cacheExchange } from "@urql/exchange-graphcache";
import { enter, type Followed, type Front, isCredentialRefused, noting, type Session, socketOf } from "./front.js";
import { RefreshTokensDocument } from "./generated/operations.js";
import { introspection } from "./generated/schema.js";

/** urql with Graphcache as a front-end sets it up: no cache code but the schema. */
export function urql(url: string): Front {
  const session: Session = {};
  const sent: string[] = [];

  const socket = socketOf(url, session);
  const client = new Client({
    url,
    // The default sends short queries by GET, which is for caches in between; answers here belong to one person.
    preferGetMethod: false,
    fetch: noting(sent),
    exchanges: [
      cacheExchange({ schema: introspection }),
      authExchange(async (utils) => ({
        addAuthToOperation: (operation) =>
          session.accessToken ? utils.appendHeaders(operation, { authorization: `Bearer ${session.accessToken}` }) : operation,
        didAuthError: (error) => isCredentialRefused(error.graphQLErrors) && session.refreshToken !== undefined,
        async refreshAuth() {
          const { refreshToken } = session;
          if (!refreshToken) return;
          delete session.accessToken;
          const { data } = await utils.mutate(RefreshTokensDocument, { input: { refreshToken } });
          enter(session, data?.tokenRefresh);
        },
      })),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = "", variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
        }),
      }),
    ],
  });

  function settled<Data>({ data, error }: { data?: Data; error?: Error }): NonNullable<Data> {
    if (error) throw error;
    if (!data) throw new Error("The server gave no data.");
    return data;
  }

  return {
    name: "urql",
    session,
    sent,
    watch<Data, Variables extends Record<string, unknown>>(query: TypedDocumentNode<Data, Variables>, variables: Variables) {
      const screen: { data: Data | undefined } = { data: undefined };
      const subscription = client.query(query, variables).subscribe(({ data, stale }) => {
        // What is stale is a part that the cache knew already; the rest is on its way.
        if (data && !stale) screen.data = data as Data;
      });
      return Object.assign(screen, { close: () => subscription.unsubscribe() });
    },
    follow<Data, Variables extends Record<string, unknown>>(query: TypedDocumentNode<Data, Variables>, variables: Variables) {
      const followed: Omit<Followed<Data>, "close"> = { events: [] };
      const subscription = client.subscription(query, variables).subscribe(({ data, error }) => {
        if (error) followed.error = error;
        if (data) followed.events.push(data as Data);
      });
      return Object.assign(followed, { close: () => subscription.unsubscribe() });
    },
    close: () => void socket.dispose(),
    query: async (query, variables) => settled(await client.query(query, variables, { requestPolicy: "network-only" })),
    mutate: async (mutation, variables) => settled(await client.mutation(mutation, variables)),
  };
}
