// Whether a server speaks graphql-transport-ws as enisdenjo/graphql-ws PROTOCOL.md says: raw frames, then the library's client.
//
//   WS_URL=ws://127.0.0.1:8000/graphql node ws-check.mjs
//
// PARAMS, BAD_PARAMS  payloads of connection_init, good and bad: '{"authorization":"Bearer x"}'
// SUB or SUB_CMD      a subscription that yields exactly SUB_N times (3): fixed, or printed by a command before each check
// QUERY               a query that needs no more than PARAMS ({__typename})
// INIT_WAIT_MS        how long the server waits for connection_init, and some more (12000)
//
// Fails when a MUST fails. src/protocol.test.ts runs it with everything set.
import { execSync } from "node:child_process";
import WebSocket from "ws";
import { createClient } from "graphql-ws";
const url = process.env.WS_URL || "ws://127.0.0.1:8000/graphql";
if (!["127.0.0.1", "localhost", "[::1]"].includes(new URL(url).hostname) && !process.env.ALLOW_REMOTE) {
  console.error("loopback only");
  process.exit(2);
}
const QUERY = process.env.QUERY || "{__typename}";
const SUB_N = Number(process.env.SUB_N || 3);
// A subscription that yields exactly SUB_N times: fixed (SUB), or made afresh before each check by a command that prints it (SUB_CMD).
const HAS_SUB = process.env.SUB || process.env.SUB_CMD;
const sub = () => (process.env.SUB_CMD ? execSync(process.env.SUB_CMD, { encoding: "utf8" }).trim() : process.env.SUB);
const PARAMS = process.env.PARAMS ? JSON.parse(process.env.PARAMS) : undefined;
const BAD = process.env.BAD_PARAMS ? JSON.parse(process.env.BAD_PARAMS) : undefined;
const WAIT = Number(process.env.INIT_WAIT_MS || 12000);
const P = "graphql-transport-ws";
class Conn {
  constructor(proto = P) {
    this.msgs = [];
    this.waiters = [];
    this.ws = new WebSocket(url, proto ? [proto] : undefined, {
      headers: process.env.ORIGIN ? { origin: process.env.ORIGIN } : {},
    });
    this.closed = new Promise((r) => {
      this.ws.on("close", (code, reason) => r({ code, reason: String(reason) }));
    });
    this.failed = new Promise((r) => {
      this.ws.on("error", (e) => r(e));
      this.ws.on("unexpected-response", (_, res) => r({ http: res.statusCode }));
    });
    this.opened = new Promise((r) => this.ws.on("open", () => r(true)));
    this.ws.on("message", (d) => {
      let m;
      try {
        m = JSON.parse(d);
      } catch {
        m = { type: "NOTJSON" };
      }
      this.msgs.push(m);
      this.waiters.forEach((w) => w());
    });
  }
  send(o) {
    this.ws.send(typeof o === "string" || Buffer.isBuffer(o) ? o : JSON.stringify(o));
  }
  async until(pred, ms = 4000) {
    const end = Date.now() + ms;
    for (;;) {
      const m = this.msgs.find(pred);
      if (m) return m;
      if (Date.now() > end) throw new Error("timeout; got " + JSON.stringify(this.msgs).slice(0, 200));
      await new Promise((r) => {
        this.waiters.push(r);
        setTimeout(r, 50);
      });
    }
  }
  async init(p = PARAMS) {
    await this.opened;
    this.send({ type: "connection_init", ...(p ? { payload: p } : {}) });
    return this.until((m) => m.type === "connection_ack");
  }
  async code(ms = 4000) {
    const r = await Promise.race([this.closed, new Promise((r) => setTimeout(() => r({ code: "OPEN" }), ms))]);
    return r.code;
  }
  end() {
    try {
      this.ws.terminate();
    } catch {}
  }
}
const results = [];
async function t(level, name, fn) {
  let c = [];
  const mk = (p) => {
    const x = new Conn(p);
    c.push(x);
    return x;
  };
  try {
    await fn(mk);
    results.push({ level, name, ok: true });
  } catch (e) {
    results.push({ level, name, ok: false, why: String(e.message || e).slice(0, 200) });
  } finally {
    c.forEach((x) => x.end());
  }
}
const eq = (a, b, w = "") => {
  if (Array.isArray(b) ? !b.includes(a) : a !== b) throw new Error(`${w} expected ${b} got ${a}`);
};
await t("MUST", "selects subprotocol graphql-transport-ws", async (mk) => {
  const c = mk();
  await c.opened;
  eq(c.ws.protocol, P);
});
await t("SHOULD", "unknown subprotocol refused (4406, 1002 or HTTP 4xx)", async (mk) => {
  const c = mk("no-such-proto");
  const r = await Promise.race([c.closed, c.failed, new Promise((r) => setTimeout(() => r({ code: "OPEN" }), 3000))]);
  if (r.http ? !(r.http >= 400 && r.http < 500) : r.code === "OPEN") throw new Error("accepted: " + JSON.stringify(r));
});
await t("MUST", "connection_init -> connection_ack", async (mk) => {
  await mk().init();
});
await t("MUST", "second connection_init -> close 4429", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ type: "connection_init" });
  eq(await c.code(), 4429);
});
await t("MUST", "subscribe before ack -> close 4401", async (mk) => {
  const c = mk();
  await c.opened;
  c.send({ id: "1", type: "subscribe", payload: { query: QUERY } });
  eq(await c.code(), 4401);
});
await t("MUST", `no connection_init within ${WAIT} ms -> close 4408`, async (mk) => {
  const c = mk();
  await c.opened;
  eq(await c.code(WAIT + 1500), 4408);
});
await t("MUST", "invalid JSON -> close 4400", async (mk) => {
  const c = mk();
  await c.init();
  c.send("{nope");
  eq(await c.code(), 4400);
});
await t("MUST", "unknown message type -> close 4400", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ type: "iDontExist" });
  eq(await c.code(), 4400);
});
await t("MUST", "subscribe without id -> close 4400", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ type: "subscribe", payload: { query: QUERY } });
  eq(await c.code(), 4400);
});
await t("MUST", "subscribe with empty payload -> close 4400", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ id: "1", type: "subscribe", payload: {} });
  eq(await c.code(), 4400);
});
await t("MUST", "ping -> pong", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ type: "ping" });
  await c.until((m) => m.type === "pong");
});
await t("SHOULD", "pong unsolicited is ignored", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ type: "pong" });
  c.send({ id: "1", type: "subscribe", payload: { query: QUERY } });
  await c.until((m) => m.type === "next");
});
await t("MUST", "query over ws: next then complete", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ id: "q", type: "subscribe", payload: { query: QUERY } });
  const n = await c.until((m) => m.type === "next" && m.id === "q");
  if (!n.payload.data) throw new Error("no data");
  await c.until((m) => m.type === "complete" && m.id === "q");
});
await t("MUST", "syntax/validation error -> error message with array payload, socket stays open", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ id: "e", type: "subscribe", payload: { query: "{ doesNotExist__x }" } });
  const m = await c.until((m) => m.id === "e");
  eq(m.type, "error");
  if (!Array.isArray(m.payload)) throw new Error("payload not array");
  c.send({ id: "q", type: "subscribe", payload: { query: QUERY } });
  await c.until((m) => m.type === "next" && m.id === "q");
});
await t("MUST", "binary frame does not kill the server", async (mk) => {
  const c = mk();
  await c.init();
  c.send(Buffer.from([0, 255, 1, 2]));
  await c.code(500);
  const d = mk();
  await d.init();
});
await t("MUST", "2 MiB message refused or handled; server lives", async (mk) => {
  const c = mk();
  await c.init();
  c.send({ id: "b", type: "subscribe", payload: { query: "#" + "a".repeat(2 << 20) + "\n" + QUERY } });
  await c.code(1500);
  const d = mk();
  await d.init();
});
if (HAS_SUB) {
  await t("MUST", `subscription yields ${SUB_N} next + complete`, async (mk) => {
    const SUB = sub();
    const c = mk();
    await c.init();
    c.send({ id: "s", type: "subscribe", payload: { query: SUB } });
    await c.until((m) => m.type === "complete" && m.id === "s", 8000);
    eq(c.msgs.filter((m) => m.type === "next" && m.id === "s").length, SUB_N);
  });
  await t("MUST", "duplicate live id -> close 4409", async (mk) => {
    const SUB = sub();
    const c = mk();
    await c.init();
    for (let i = 0; i < 2; i++) c.send({ id: "d", type: "subscribe", payload: { query: SUB } });
    eq(await c.code(), 4409);
  });
  await t("MUST", "client complete stops the stream", async (mk) => {
    const SUB = sub();
    const c = mk();
    await c.init();
    c.send({ id: "s", type: "subscribe", payload: { query: SUB } });
    await c.until((m) => m.type === "next");
    c.send({ id: "s", type: "complete" });
    await new Promise((r) => setTimeout(r, 300));
    const n = c.msgs.length;
    await new Promise((r) => setTimeout(r, 500));
    eq(c.msgs.filter((m) => m.type === "next").length <= Math.max(1, SUB_N), true);
    eq(c.msgs.length, n, "frames after complete");
  });
  await t("MUST", "graphql-ws client: iterate", async () => {
    const SUB = sub();
    const cl = createClient({ url, webSocketImpl: WebSocket, connectionParams: PARAMS, retryAttempts: 0 });
    let n = 0;
    for await (const r of cl.iterate({ query: SUB })) {
      if (r.errors) throw new Error(JSON.stringify(r.errors));
      n++;
    }
    eq(n, SUB_N);
    await cl.dispose();
  });
  await t("MUST", "200 parallel graphql-ws operations on one socket", async () => {
    const SUB = sub();
    const cl = createClient({ url, webSocketImpl: WebSocket, connectionParams: PARAMS, retryAttempts: 0, lazy: false });
    const rs = await Promise.all(
      [...Array(200)].map(
        () =>
          new Promise((ok, no) => {
            let n = 0;
            cl.subscribe({ query: SUB }, { next: () => n++, error: no, complete: () => ok(n) });
          }),
      ),
    );
    eq(
      rs.every((n) => n === SUB_N),
      true,
    );
    await cl.dispose();
  });
}
if (BAD)
  await t("MUST", "bad credentials in connection_init -> close 4403 (or 4401)", async (mk) => {
    const c = mk();
    await c.opened;
    c.send({ type: "connection_init", payload: BAD });
    eq(await c.code(), [4403, 4401]);
  });
const bad = results.filter((r) => !r.ok);
for (const r of bad) console.log(`FAIL ${r.level} ${r.name} -- ${r.why}`);
const cnt = (l) => {
  const x = results.filter((r) => r.level === l);
  return `${x.filter((r) => r.ok).length}/${x.length}`;
};
console.log(
  `WS-CHECK total=${results.length} ok=${results.length - bad.length} fail=${bad.length} | MUST ${cnt("MUST")} SHOULD ${cnt("SHOULD")}`,
);
process.exit(bad.some((b) => b.level === "MUST") ? 1 : 0);
