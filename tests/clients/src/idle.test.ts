// What a thousand subscriptions cost that have nothing to say: memory of the server, over few sockets and over many.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import WebSocket from "ws";
import { dataDir, endServers, post, report, signUp, start, until } from "./support.js";

const SUBSCRIPTIONS = 1_000;
/** Megabytes that a thousand of them may take. */
const MOST = 60;

const query = "subscription ($id: ID!) { organizationActivity(organizationId: $id) { id } }";

/** Resident memory of a process, in megabytes. */
async function resident(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** A socket that says who is there, with so many subscriptions. */
async function open(url: string, address: string, token: string, id: string, subscriptions: number): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, "graphql-transport-ws", {
    headers: { "x-forwarded-for": address },
    perMessageDeflate: false,
  });
  const said: { type: string }[] = [];
  socket.on("message", (text) => void said.push(JSON.parse(String(text)) as { type: string }));
  await new Promise((opened, failed) => socket.once("open", opened).once("error", failed));
  socket.send(JSON.stringify({ type: "connection_init", payload: { authorization: `Bearer ${token}` } }));
  await until("the acknowledgement", () => said.length > 0);
  for (let n = 0; n < subscriptions; n++) {
    socket.send(JSON.stringify({ id: String(n), type: "subscribe", payload: { query, variables: { id } } }));
  }
  // Whatever came before it has been read when the ping is answered.
  socket.send(JSON.stringify({ type: "ping" }));
  await until("the pong", () => said.at(-1)?.type === "pong");
  assert.equal(said.length, 2, JSON.stringify(said));
  return socket;
}

async function close(sockets: WebSocket[]): Promise<void> {
  await Promise.all(sockets.map((socket) => new Promise((closed) => socket.once("close", closed).close())));
  await new Promise((next) => setTimeout(next, 1_000));
}

for (const [count, each] of [
  [SUBSCRIPTIONS / 50, 50],
  [SUBSCRIPTIONS, 1],
] as const) {
  test(`${SUBSCRIPTIONS} idle subscriptions on ${count} sockets`, { timeout: 120_000 }, async () => {
    // A server of its own on the same database, which believes that the sockets come from many places.
    const server = await start(dataDir, "--trusted-proxies", "127.0.0.1");
    const { token, organizationId } = await signUp("Idle", server.url);
    await close([await open(server.url, "198.51.100.1", token, organizationId, 10)]);
    const before = await resident(server.process.pid);
    const sockets: WebSocket[] = [];
    for (let n = 0; n < count; n++) {
      sockets.push(await open(server.url, `203.0.113.${n % 250}`, token, organizationId, each));
    }
    await new Promise((next) => setTimeout(next, 2_000));
    const taken = (await resident(server.process.pid)) - before;
    report(`idle: ${SUBSCRIPTIONS} subscriptions on ${count} sockets take ${taken.toFixed(1)} MB`);
    assert.ok(taken <= MOST, `${taken} MB`);
    // They are there all the same.
    const heard = Promise.all(sockets.map((socket) => new Promise((next) => socket.once("message", next))));
    const input = { organizationId, name: "News" };
    const create = "mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { userErrors { message } } }";
    await post(create, { input }, token, server.url);
    await heard;
    await close(sockets);
    server.process.kill("SIGTERM");
    assert.equal(await server.ended, 0);
  });
}

after(endServers);
