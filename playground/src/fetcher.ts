import type { Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, getOperationAST, type OperationTypeNode } from "graphql";
import { textOf } from "./answers";
import { loadContext } from "./session";
import { send, subscribe } from "./transport";

/** Runs what a person wrote in GraphiQL, with the page's credential. */
export const fetcher: Fetcher = (request, { headers = {}, documentAST } = {}) => {
  const operation = operationType(documentAST, request.operationName);
  // GraphiQL's types know answers as graphql-js makes them; what it does with one is show it.
  if (operation === "subscription") return subscribe(request, headers) as ReturnType<Fetcher>;
  return execute(request, headers, operation === "mutation") as ReturnType<Fetcher>;
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

function operationType(document: DocumentNode | undefined, name: string | null | undefined): OperationTypeNode | undefined {
  return document && getOperationAST(document, name)?.operation;
}
