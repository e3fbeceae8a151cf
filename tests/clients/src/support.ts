import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { createServer } from "node:net";
import { promisify } from "node:util";

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: start the checks with tests/clients/run.`);
  return value;
}

/** The server that `run` has started. */
export const base = setting("CHECK_URL");
export const dataDir = setting("CHECK_DATA_DIR");
/** A folder that is thrown away at the end. */
export const scratch = setting("CHECK_SCRATCH");
const binary = setting("CHECK_BINARY");

/** A line for the end of the run. */
export function report(line: string): void {
  appendFileSync(`${scratch}/report`, `${line}\n`);
}

export interface Answer {
  status: number;
  data: any;
  errors?: { message: string; path?: string[]; extensions: { code: string; requestId: string; field?: string[] } }[];
}

export async function post(query: string, variables: object = {}, token?: string, url = base): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as Omit<Answer, "status">) };
}

/** The payload of a mutation with one field, which must succeed. */
export async function done(query: string, input: object, token?: string, url = base): Promise<any> {
  const { data, errors } = await post(query, { input }, token, url);
  assert.equal(errors, undefined, JSON.stringify(errors));
  const payload = Object.values<{ userErrors: object[] }>(data)[0];
  assert.ok(payload);
  assert.deepEqual(payload.userErrors, []);
  return payload;
}

export const PASSWORD = "a heron waits in the reeds";
let people = 0;

export function address(): string {
  people += 1;
  return `person${people}.${process.pid}@example.com`;
}

/** A new person with an organization of their own. */
export async function signUp(organizationName = "Heron Works", url = base) {
  const email = address();
  const { accessToken, organization, user } = await done(
    "mutation ($input: SignupInput!) { signup(input: $input) { accessToken user { id } organization { id } userErrors { message } } }",
    { email, password: PASSWORD, name: "Ada", organizationName },
    undefined,
    url,
  );
  return { email, token: accessToken as string, userId: user.id as string, organizationId: organization.id as string };
}

/** Invites somebody, and returns the token of the link. */
export async function invite(token: string, organizationId: string, email: string, role = "MEMBER"): Promise<string> {
  const { acceptUrl } = await done(
    "mutation ($input: InvitationCreateInput!) { invitationCreate(input: $input) { acceptUrl userErrors { message } } }",
    { organizationId, email, role },
    token,
  );
  return new URLSearchParams(acceptUrl.split("?")[1]).get("token") ?? "";
}

/** A new person who joins an organization. */
export async function join(token: string, organizationId: string, role = "MEMBER") {
  const email = address();
  const invitationToken = await invite(token, organizationId, email, role);
  const { accessToken, user } = await done(
    "mutation ($input: SignupInput!) { signup(input: $input) { accessToken user { id } userErrors { message } } }",
    { email, password: PASSWORD, name: "Grace", invitationToken },
  );
  return { email, token: accessToken as string, userId: user.id as string };
}

/** Waits until `isSo` holds, for so many milliseconds at the most. */
export async function until(what: string, isSo: () => unknown, patience = 15_000): Promise<void> {
  const end = Date.now() + patience;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`In vain waited for: ${what}.`);
    await new Promise((next) => setTimeout(next, 10));
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (!address || typeof address === "string") throw new Error("There is no free port.");
  return address.port;
}

/** Runs a command of the binary on a data folder, and returns what it prints. */
export async function command(folder: string, ...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(binary, ["--data-dir", folder, ...words], { cwd: scratch });
  return stdout.trim();
}

export interface Server {
  url: string;
  port: number;
  process: ChildProcess;
  /** Milliseconds from the start to the first ready answer. */
  readyAfter: number;
  /** The exit code, or the signal that ended it. */
  ended: Promise<number | string | null>;
}

const children = new Set<ChildProcess>();

/** Ends what a failed check has left running. */
export function endServers(): void {
  for (const child of children) if (child.exitCode === null) child.kill("SIGTERM");
}

/** Starts a server of its own, in a process group of its own, as a terminal does. */
export async function start(folder: string, ...flags: string[]): Promise<Server> {
  const started = performance.now();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(binary, ["--data-dir", folder, "--listen", `127.0.0.1:${port}`, ...flags], {
    cwd: scratch,
    detached: true,
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.add(child);
  let said = "";
  child.stderr.on("data", (text) => {
    said += text;
  });
  const ended = new Promise<number | string | null>((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  for (;;) {
    if (child.exitCode !== null) throw new Error(`The server did not start:\n${said}`);
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    if (response?.ok) return { url, port, process: child, readyAfter: performance.now() - started, ended };
    await new Promise((next) => setTimeout(next, 20));
  }
}
