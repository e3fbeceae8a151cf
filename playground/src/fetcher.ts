import type { Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, getOperationAST, parse } from "graphql";
import { textOf } from "./answers";
import { loadContext } from "./session";
import { send, subscribe } from "./transport";

/** Runs what a person wrote in GraphiQL, with the page's credential. */
export const fetcher: Fetcher = (request, { headers = {} } = {}) => {
  // For a moment after another tab is chosen, GraphiQL still names the operation of the one before.
  const document = read(request.query);
  const chosen = document && (getOperationAST(document, request.operationName) ?? getOperationAST(document));
  const named = { ...request, operationName: chosen?.name?.value ?? null };
  // GraphiQL's types know answers as graphql-js makes them; what it does with one is show it.
  if (chosen?.operation === "subscription") return subscribe(named, headers) as ReturnType<Fetcher>;
  return execute(named, headers, chosen?.operation === "mutation") as ReturnType<Fetcher>;
};

async function execute(request: Parameters<Fetcher>[0], headers: Record<string, string>, mayChangeContext: boolean) {
  try {
    const answer = await send(request, { headers });
    // A new project or organization belongs into the choosers at once.
    if (mayChangeContext) void loadContext();
    return answer;
  } catch (failure) {
    return { errors: [{ message: textOf(failure) }] };
  }
}

/** The document, unless it is one that the server will complain about. */
function read(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}
