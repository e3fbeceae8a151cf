// The WebSocket protocol, by `ws-check.mjs`: its subscription is of a job that a scripted provider of models works on, so
// that it is updated a fixed number of times.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer, type Server, type ServerResponse } from "node:http";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { done, endServers, post, report, scratch, signUp, start, until } from "./support.js";

const CHECK = fileURLToPath(new URL("../ws-check.mjs", import.meta.url));
/** Updates of a watched job: how it stands while the provider thinks, its text, its end. */
const UPDATES = 3;
/** Milliseconds that the provider thinks before it writes, for subscriptions to arrive; and before it ends. */
const [THINKS, WRITES] = [2_500, 1_500];

const wait = (milliseconds: number) => new Promise((next) => setTimeout(next, milliseconds));

/** Starts an HTTP server on a free loopback port; gives its address. */
async function listen(server: Server): Promise<string> {
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  after(() => server.close());
  const address = server.address();
  assert.ok(address && typeof address === "object");
  return `http://127.0.0.1:${address.port}`;
}

/** Whoever waits for the provider to be asked. */
let asked = () => {};

/** Answers in the chat format of OpenAI: nothing for a while, the whole text, nothing for a while, the end. */
async function answer(response: ServerResponse): Promise<void> {
  const send = (chunk: object) => response.write(`data: ${JSON.stringify({ model: "scripted", ...chunk })}\n\n`);
  response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
  asked();
  await wait(THINKS);
  send({ choices: [{ index: 0, delta: { content: "You have 30 days of vacation [1]." } }] });
  await wait(WRITES);
  send({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  response.end("data: [DONE]\n\n");
}

test("every check of the protocol passes", { timeout: 120_000 }, async () => {
  const provider = await listen(createServer((request, response) => void (request.resume(), answer(response))));
  const { url } = await start(`${scratch}/protocol`, "--openai-base-url", provider);
  const { token, organizationId } = await signUp("Protocol", url);
  const added = await done(
    "mutation ($input: DocumentCreateInput!) { documentCreate(input: $input) { job { id } userErrors { message } } }",
    { organizationId, title: "Handbook", text: "Everybody has 30 days of vacation a year." },
    token,
    url,
  );
  // A provider is asked about passages only.
  const status = "query ($id: ID!) { job(id: $id) { status } }";
  await until("the passages", async () => (await post(status, added.job, token, url)).data.job.status === "SUCCEEDED");

  /** Starts a job, and gives the subscription to it once it stands where it stays while the provider thinks. */
  async function subscription(): Promise<string> {
    const thinking = new Promise<void>((resolve) => (asked = resolve));
    const engine = { provider: "openai", model: "scripted" };
    const { job } = await done(
      "mutation ($input: QaAskInput!) { qaAsk(input: $input) { job { id } userErrors { message } } }",
      { organizationId, question: "How many days of vacation do I have?", engine, wait: false },
      token,
      url,
    );
    await thinking;
    return `subscription { jobUpdated(id: "${job.id}") { status sequence } }`;
  }

  const hook = await listen(createServer(async (_, response) => response.end(await subscription())));
  const env = {
    PATH: process.env.PATH,
    WS_URL: `${url.replace("http", "ws")}/graphql`,
    SUB_CMD: `curl -fsS ${hook}`,
    SUB_N: String(UPDATES),
    PARAMS: JSON.stringify({ authorization: `Bearer ${token}` }),
    BAD_PARAMS: JSON.stringify({ authorization: "Bearer bad" }),
  };
  const said = await promisify(execFile)(process.execPath, [CHECK], { env }).catch((failed) => failed as { stdout: string });
  const summary = said.stdout.trim().split("\n").at(-1) ?? "";
  report(`protocol: ${summary}`);
  assert.match(summary, /total=22 ok=22 /, said.stdout);
});

after(endServers);
