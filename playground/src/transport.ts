import { type Answer, isCredentialRefused, payloadOf, Refusal, textOf, type UserError } from "./answers";
import tokenRefresh from "./operations/token-refresh.graphql?raw";
import { type Credential, forget, getState, setState } from "./store";

const ENDPOINT = "/graphql";
const STREAM_ENDPOINT = "/graphql/stream";

export interface GraphQLRequest {
  query: string;
  variables?: unknown;
  operationName?: string | null;
}

/** What every mutation that signs somebody in answers. */
export interface AuthPayload {
  accessToken: string | null;
  refreshToken: string | null;
  userErrors: UserError[];
}

interface SendOptions<Data> {
  /** Headers that a person wrote; they win over the page's own. */
  headers?: Record<string, string>;
  /** Send no credential: for sign-in and for links that prove themselves by their token. */
  anonymous?: boolean;
  /** Read the whole organization even while a project is chosen. */
  ignoreProject?: boolean;
  /** A further sign that the credential is not good any more. */
  isRefused?: (answer: Answer<Data>) => boolean;
}

/** Sends one request. When the access token is refused, it is renewed once and the request is sent again. */
export async function send<Data = Record<string, unknown>>(
  request: GraphQLRequest,
  options: SendOptions<Data> = {},
): Promise<Answer<Data>> {
  const { headers, usesTokens } = requestHeaders(options);
  const credential = getState().credential;
  const answer = await post<Data>(request, headers);
  const isRefused = isCredentialRefused(answer) || options.isRefused?.(answer);
  if (!isRefused || !usesTokens || !(await renew(credential))) return answer;
  return post<Data>(request, requestHeaders(options).headers);
}

function requestHeaders<Data>({ headers = {}, anonymous, ignoreProject }: SendOptions<Data>) {
  const { credential, projectId } = getState();
  const all = new Headers({ "Content-Type": "application/json", Accept: "application/graphql-response+json, application/json;q=0.9" });
  const own = new Headers(Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]));
  const sendsCredential = !anonymous && !own.has("Authorization") && !own.has("X-API-Key");
  if (sendsCredential && credential?.kind === "tokens") all.set("Authorization", `Bearer ${credential.accessToken}`);
  if (sendsCredential && credential?.kind === "key") all.set("X-API-Key", credential.apiKey);
  if (sendsCredential && projectId && !ignoreProject) all.set("X-Project", projectId);
  own.forEach((value, name) => all.set(name, value));
  return { headers: all, usesTokens: sendsCredential && credential?.kind === "tokens" };
}

async function open(address: string, request: GraphQLRequest, headers: Headers, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(address, {
      method: "POST",
      headers,
      body: JSON.stringify(request),
      credentials: "omit",
      cache: "no-store",
      redirect: "error",
      signal: signal ?? null,
    });
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new Refusal("The server could not be reached. Check that it is running and that you are online, then try again.");
  }
}

async function post<Data>(request: GraphQLRequest, headers: Headers): Promise<Answer<Data>> {
  return readAnswer<Data>(await open(ENDPOINT, request, headers));
}

async function readAnswer<Data>(response: Response): Promise<Answer<Data>> {
  const body: unknown = await response.json().catch(() => null);
  if (typeof body === "object" && body !== null && ("data" in body || "errors" in body)) return body as Answer<Data>;
  throw new Refusal(`The server answered with status ${response.status} and without a GraphQL answer. Try again in a moment.`);
}

let renewal: Promise<boolean> | null = null;

/**
 * Renews the tokens that were just refused; false when that is not possible. Requests that fail together share one
 * renewal, and a request that comes late finds the new tokens: a refresh token is good for one use only.
 */
async function renew(refused: Credential | null): Promise<boolean> {
  const { credential } = getState();
  if (credential?.kind !== "tokens") return false;
  if (credential !== refused) return true;
  renewal ??= renewTokens(credential).finally(() => {
    renewal = null;
  });
  return renewal;
}

/** The server is busy or out of reach, which says nothing about the session. */
const PASSING_CODES = ["RATE_LIMITED", "THROTTLED", "TIMEOUT", "UNAVAILABLE", "INTERNAL"];

async function renewTokens(old: Extract<Credential, { kind: "tokens" }>): Promise<boolean> {
  const variables = { input: { refreshToken: old.refreshToken } };
  const { headers } = requestHeaders({ anonymous: true });
  const answer = await post<{ result: AuthPayload | null }>({ query: tokenRefresh, variables }, headers);
  // Meanwhile the person may have signed out or chosen another organization: that stands.
  if (getState().credential !== old) return getState().credential?.kind === "tokens";
  try {
    const { accessToken, refreshToken } = payloadOf(answer);
    if (!accessToken || !refreshToken) throw new Refusal("The server gave no new tokens.");
    setState({ credential: { kind: "tokens", accessToken, refreshToken } });
    return true;
  } catch (failure) {
    if (failure instanceof Refusal && failure.codes.some((code) => PASSING_CODES.includes(code))) throw failure;
    forget({ tone: "problem", text: `Your session has ended, please sign in again. (${textOf(failure)})` });
    return false;
  }
}

/**
 * A subscription as server-sent events over a plain POST. The page's policy allows WebSockets as well, but this carries
 * the same headers as every other request, so that credentials, their renewal and what a person wrote under Headers work
 * in one way, and it needs no library (graphql-ws has 10 kB). Over HTTP/1.1 it takes one of the browser's six connections
 * to the server, which is enough here: GraphiQL ends one subscription before the next begins.
 */
export function subscribe(request: GraphQLRequest, headers: Record<string, string>): AsyncIterableIterator<Answer> {
  const stop = new AbortController();
  const answers = streamAnswers(request, headers, stop.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => answers.next(),
    // A generator's own return() would wait for the next event; aborting the request ends it at once.
    return: async () => {
      stop.abort();
      return { done: true, value: undefined };
    },
  };
}

async function* streamAnswers(request: GraphQLRequest, own: Record<string, string>, signal: AbortSignal): AsyncGenerator<Answer> {
  try {
    let justRenewed = false;
    for (;;) {
      const { headers, usesTokens } = requestHeaders({ headers: own });
      const { credential } = getState();
      headers.set("Accept", "text/event-stream");
      const response = await open(STREAM_ENDPOINT, request, headers, signal);
      let renewed = false;
      for await (const answer of response.ok && response.body ? readEvents(response.body) : [await readAnswer<Record<string, unknown>>(response)]) {
        // An access token may run out after an hour of watching: the watch goes on with new ones, unless those are refused.
        renewed = !justRenewed && usesTokens && isCredentialRefused(answer) && (await renew(credential));
        if (renewed) break;
        justRenewed = false;
        yield answer;
      }
      if (!renewed) return;
      justRenewed = true;
    }
  } catch (failure) {
    if (!signal.aborted) yield { errors: [{ message: textOf(failure) }] };
  }
}

/** Reads `next` events until `complete`. */
async function* readEvents(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Answer> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const nothing = { done: true, value: undefined } as const;
  try {
    let pending = "";
    for (;;) {
      // A server that restarts and a network that fails look the same from here.
      const { done, value } = await reader.read().catch(() => nothing);
      if (done) throw new Refusal("The connection to the server broke off. Run the subscription again to watch on.");
      const events = (pending + value).split(/\r?\n\r?\n/);
      pending = events.pop() ?? "";
      for (const event of events) {
        const fields = event.split(/\r?\n/).map((line) => /^(event|data): ?(.*)$/.exec(line));
        const type = fields.find((field) => field?.[1] === "event")?.[2];
        const data = fields.flatMap((field) => (field?.[1] === "data" ? [field[2]] : [])).join("\n");
        if (type === "complete") return;
        if (type === "next" && data) yield JSON.parse(data) as Answer;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
