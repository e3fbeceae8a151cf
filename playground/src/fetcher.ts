import type { Fetcher } from "@graphiql/toolkit";
import { type DocumentNode, getOperationAST, parse } from "graphql";
import { type Answer, textOf } from "./answers";
import { loadContext } from "./session";
import { setState } from "./store";
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

async function execute(request: Parameters<Fetcher>[0], headers: Record<string, string>, isMutation: boolean) {
  try {
    const answer = await send(request, { headers });
    if (isMutation) {
      const jobId = startedJob(answer);
      if (jobId) setState({ jobId });
      // A new project or organization belongs into the choosers at once.
      void loadContext();
    }
    return answer;
  } catch (failure) {
    return { errors: [{ message: textOf(failure) }] };
  }
}

/** The job in a mutation's payload: what starts work answers with one. */
function startedJob({ data }: Answer): string | undefined {
  const payloads = Object.values(data ?? {}) as ({ job?: { id?: string } | null } | null)[];
  return payloads.map((payload) => payload?.job?.id).findLast(Boolean);
}

/** The document, unless it is one that the server will complain about. */
function read(query: string): DocumentNode | undefined {
  try {
    return parse(query);
  } catch {
    return undefined;
  }
}
