// How a server stops, starts again and shares its private PostgreSQL: with processes of its own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { endServers, PASSWORD, post, report, scratch, type Server, signUp, start, until } from "./support.js";

const folder = `${scratch}/stopping`;
const times: string[] = [];

/** The processes of PostgreSQL that work on the folder. */
function databases(): string[] {
  return commandLines().filter((line) => line.includes(`${folder}/pg`));
}

function commandLines(): string[] {
  if (!existsSync("/proc/self/cmdline")) return execFileSync("ps", ["-A", "-o", "command="], { encoding: "utf8" }).split("\n");
  return readdirSync("/proc").flatMap((id) => {
    try {
      return /^\d+$/.test(id) ? [readFileSync(`/proc/${id}/cmdline`, "utf8")] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

/** A request whose head the server has read, and whose body is still to come. */
class HalfRequest {
  answer = "";
  readonly closed: Promise<unknown>;
  readonly #socket: Socket;
  readonly #body: string;

  constructor(port: number, query: string, variables: object) {
    this.#body = JSON.stringify({ query, variables });
    this.#socket = connect(port, "127.0.0.1");
    this.#socket.setEncoding("utf8").on("data", (text) => {
      this.answer += text;
    });
    this.closed = new Promise((closed) => this.#socket.once("close", closed).on("error", () => undefined));
    this.#socket.write(
      "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
        `Content-Length: ${Buffer.byteLength(this.#body)}\r\nExpect: 100-continue\r\n\r\n`,
    );
  }

  /** The server asks for the body: it has accepted the request. */
  get isAccepted(): boolean {
    return this.answer.startsWith("HTTP/1.1 100");
  }

  send(): void {
    this.#socket.write(this.#body);
  }
}

async function stopsWithRequestsInFlight(server: Server, emails: string[], stop: () => void): Promise<void> {
  const login = "mutation ($input: LoginInput!) { login(input: $input) { accessToken userErrors { message } } }";
  // More than ten attempts at one account at the same time would be taken for guesses.
  const requests = Array.from({ length: 50 }, (_, n) => new HalfRequest(server.port, login, { input: { email: emails[n % emails.length], password: PASSWORD } }));
  await until("fifty requests to be accepted", () => requests.every((request) => request.isAccepted));
  // Half of them are at work, and half still on their way, when the server is told to stop.
  for (const request of requests.slice(0, 25)) request.send();
  stop();
  await refusesConnections(server.port);
  for (const request of requests.slice(25)) request.send();
  await Promise.all(requests.map(({ closed }) => closed));
  const answered = requests.filter(({ answer }) => /HTTP\/1.1 200 OK[^]*"accessToken":"ey/.test(answer));
  assert.equal(answered.length, 50);
  assert.equal(await server.ended, 0);
  assert.deepEqual(databases(), []);
}

async function refusesConnections(port: number): Promise<void> {
  for (;;) {
    const isRefused = await new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1", () => socket.destroy());
      socket.on("error", () => resolve(true)).on("close", () => resolve(false));
    });
    if (isRefused) return;
    await new Promise((next) => setTimeout(next, 10));
  }
}

let passed = 0;
let emails: string[];

const check = (name: string, run: () => Promise<void>) =>
  test(name, { timeout: 120_000 }, async () => {
    await run();
    passed += 1;
  });

check("SIGTERM answers what is in flight, and stops PostgreSQL", async () => {
  const server = await start(folder);
  times.push(`first start ${Math.round(server.readyAfter)} ms`);
  assert.notDeepEqual(databases(), []);
  const people = await Promise.all(Array.from({ length: 5 }, () => signUp("Heron Works", server.url)));
  emails = people.map(({ email }) => email);
  await stopsWithRequestsInFlight(server, emails, () => server.process.kill("SIGTERM"));
});

check("a second start finds the data, and Ctrl-C stops as well", async () => {
  const server = await start(folder);
  times.push(`second ${Math.round(server.readyAfter)} ms`);
  // A terminal sends the signal to every process of the group, whatever it has started included.
  await stopsWithRequestsInFlight(server, emails, () => process.kill(-(server.process.pid ?? 0), "SIGINT"));
});

check("two processes share PostgreSQL, and the last one to leave stops it", async () => {
  const [one, other] = await Promise.all([start(folder), start(folder)]);
  const isServed = async (server: Server) => {
    const login = "mutation ($input: LoginInput!) { login(input: $input) { user { email } } }";
    const { data } = await post(login, { input: { email: emails[0], password: PASSWORD } }, undefined, server.url);
    assert.equal(data.login.user.email, emails[0]);
  };
  await isServed(one);
  await isServed(other);
  one.process.kill("SIGTERM");
  assert.equal(await one.ended, 0);
  assert.notDeepEqual(databases(), []);
  await isServed(other);
  other.process.kill("SIGINT");
  assert.equal(await other.ended, 0);
  assert.deepEqual(databases(), []);
});

after(() => {
  endServers();
  report(`stopping: ${passed} checks passed; ready after: ${times.join(", ")}`);
});
