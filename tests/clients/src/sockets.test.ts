// What no client library sends: requests that never end, that are too large, and that two servers read differently.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { base, post, report } from "./support.js";

const port = Number(new URL(base).port);
const QUERY = JSON.stringify({ query: "{ __typename }" });
let passed = 0;

function open(head: string): Socket {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined).write(head);
  return socket;
}

/** Sends bytes, and returns everything that comes back until the server closes. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    open(bytes)
      .setEncoding("utf8")
      .on("data", (text) => {
        answer += text;
      })
      .on("close", () => resolve(answer));
  });
}

const statuses = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);

const check = (name: string, run: () => Promise<void>) =>
  test(name, { timeout: 60_000 }, async () => {
    await run();
    passed += 1;
  });

check("200 heads that never end keep nobody else waiting, and are given up", async () => {
  const heads = Array.from({ length: 200 }, () => open("POST /graphql HTTP/1.1\r\nHost: localhost\r\nX-Slow: "));
  const closed = heads.map((socket) => new Promise((resolve) => socket.once("close", resolve).resume()));
  for (let round = 0; round < 20; round++) {
    const { data } = await post("{ __typename }");
    assert.equal(data.__typename, "Query");
  }
  await Promise.all(closed);
});

check("a head of 64 KiB is refused with 431", async () => {
  const answer = await exchange(`GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"a".repeat(64 * 1024)}\r\n\r\n`);
  assert.deepEqual(statuses(answer), ["431"]);
});

check("a request with two lengths gets one answer and a closed connection", async () => {
  const smuggled = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const chunked = `${Buffer.byteLength(QUERY).toString(16)}\r\n${QUERY}\r\n0\r\n\r\n`;
  const lengths = {
    "CL.TE": `Content-Length: ${chunked.length + smuggled.length}\r\nTransfer-Encoding: chunked\r\n`,
    "TE.CL": `Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`,
    "CL.CL": `Content-Length: ${chunked.length}\r\nContent-Length: ${chunked.length + smuggled.length}\r\n`,
    "TE that is no chunked": `Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n`,
    "TE twice": `Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n`,
    "CL with a sign": `Content-Length: +${chunked.length}\r\n`,
  };
  for (const [name, headers] of Object.entries(lengths)) {
    const head = `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}\r\n`;
    const answer = await exchange(head + chunked + smuggled);
    assert.equal(statuses(answer).length, 1, `${name}: ${answer}`);
    assert.ok(!answer.endsWith("ok\n"), name);
  }
});

check("the server is up afterwards", async () => {
  const { data } = await post("{ __typename }");
  assert.equal(data.__typename, "Query");
});

after(() => report(`sockets: ${passed} checks passed`));
