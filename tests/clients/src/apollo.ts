import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { OperationTypeNode } from "graphql";
import { from, switchMap } from "rxjs";
import { enter, type Followed, type Front, isCredentialRefused, noting, type Session, socketOf } from "./front.js";
import { RefreshTokensDocument } from "./generated/operations.js";
import { possibleTypes } from "./generated/schema.js";

/** Apollo Client as a front-end sets it up: no cache code but the schema's possible types. */
export function apollo(url: string): Front {
  const session: Session = {};
  const sent: string[] = [];

  const authorization = new SetContextLink(({ headers, anonymous }) => ({
    headers: anonymous || !session.accessToken ? headers : { ...headers, authorization: `Bearer ${session.accessToken}` },
  }));

  // Requests that are refused together share one refresh: a refresh token is good for one use only.
  let refreshing: Promise<void> | undefined;
  async function refresh() {
    const { refreshToken } = session;
    if (!refreshToken) throw new Error("Nobody is signed in.");
    const { data } = await client.mutate({
      mutation: RefreshTokensDocument,
      variables: { input: { refreshToken } },
      context: { anonymous: true },
    });
    enter(session, data?.tokenRefresh);
  }
  const renewal = new ErrorLink(({ error, operation, forward }) => {
    if (!CombinedGraphQLErrors.is(error) || !isCredentialRefused(error.errors)) return;
    if (operation.getContext().anonymous || !session.refreshToken) return;
    refreshing ??= refresh().finally(() => {
      refreshing = undefined;
    });
    return from(refreshing).pipe(switchMap(() => forward(operation)));
  });

  const http = new HttpLink({ uri: url, fetch: noting(sent) });
  const socket = socketOf(url, session);
  const client = new ApolloClient({
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      ApolloLink.from([renewal, authorization, http]),
    ),
    cache: new InMemoryCache({ possibleTypes }),
  });

  return {
    name: "Apollo Client",
    session,
    sent,
    watch<Data, Variables extends Record<string, unknown>>(query: TypedDocumentNode<Data, Variables>, variables: Variables) {
      const screen: { data: Data | undefined } = { data: undefined };
      const subscription = client.watchQuery({ query, variables }).subscribe(({ data, dataState }) => {
        if (dataState === "complete") screen.data = data as Data;
      });
      return Object.assign(screen, { close: () => subscription.unsubscribe() });
    },
    follow<Data, Variables extends Record<string, unknown>>(query: TypedDocumentNode<Data, Variables>, variables: Variables) {
      const followed: Omit<Followed<Data>, "close"> = { events: [] };
      const subscription = client.subscribe({ query, variables }).subscribe(({ data, error }) => {
        if (error) followed.error = error;
        if (data) followed.events.push(data as Data);
      });
      return Object.assign(followed, { close: () => subscription.unsubscribe() });
    },
    close: () => void socket.dispose(),
    async query(query, variables) {
      const { data } = await client.query({ query, variables, fetchPolicy: "network-only" });
      if (!data) throw new Error("The server gave no data.");
      return data;
    },
    async mutate(mutation, variables) {
      const { data } = await client.mutate({ mutation, variables });
      if (!data) throw new Error("The server gave no data.");
      return data as NonNullable<typeof data>;
    },
  };
}
