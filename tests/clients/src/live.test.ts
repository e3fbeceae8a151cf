// Live updates by the libraries that people use: graphql-ws alone, below Apollo Client and below urql, and graphql-sse.
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { print } from "graphql";
import { createClient as createStreamClient } from "graphql-sse";
import { CloseCode, createClient } from "graphql-ws";
import WebSocket from "ws";
import { apollo } from "./apollo.js";
import { ActivityDocument, type ActivitySubscription, CreateProjectDocument } from "./generated/operations.js";
import { base, done, join, report, signUp, until } from "./support.js";
import { urql } from "./urql.js";

const query = print(ActivityDocument);
const LOGOUT = "mutation ($input: LogoutInput!) { logout(input: $input) { userErrors { message } } }";
let checks = 0;

const check = (name: string, run: () => Promise<void>) =>
  test(name, { timeout: 60_000 }, async () => {
    await run();
    checks += 1;
  });

/** Waits until what happens in the organization reaches somebody who follows it. */
async function hearsOf(name: string, organizationId: string, token: string, actions: () => (string | undefined)[]) {
  await until("the founding, which was there already", () => actions().includes("organization.create"));
  await done(
    "mutation ($input: ProjectCreateInput!) { projectCreate(input: $input) { userErrors { message } } }",
    { organizationId, name },
    token,
  );
  await until("the project that was just made", () => actions().at(-1) === "project.create");
}

for (const make of [apollo, urql]) {
  const front = make(`${base}/graphql`);

  describe(front.name, () => {
    check("follows what happens, and by whom", async () => {
      const { token, organizationId } = await signUp();
      front.session.accessToken = token;
      const followed = front.follow(ActivityDocument, { organizationId, after: 0 });
      const actions = () => followed.events.map(({ organizationActivity }) => organizationActivity.action);
      await hearsOf("Seen", organizationId, token, actions);
      await front.mutate(CreateProjectDocument, { input: { organizationId, name: "Own" } });
      await until("its own project", () => actions().filter((action) => action === "project.create").length === 2);
      const sequences = followed.events.map(({ organizationActivity }) => organizationActivity.sequence);
      assert.deepEqual(sequences, sequences.map((_, place) => place + 1), "each entry comes once and in its place");
      const { actor } = followed.events.at(-1)?.organizationActivity ?? {};
      assert.equal(actor?.name, "Ada");
      assert.equal(followed.error, undefined);
      followed.close();
    });

    check("is told what it may not follow", async () => {
      const owner = await signUp();
      const member = await join(owner.token, owner.organizationId);
      // The socket says who is there when it connects: it is closed with the last subscription, and opened again.
      front.session.accessToken = member.token;
      const followed = front.follow(ActivityDocument, { organizationId: owner.organizationId });
      await until("the refusal", () => followed.error);
      assert.match(String(followed.error), /AUDIT_READ/);
      assert.deepEqual(followed.events, []);
    });

    after(() => front.close());
  });
}

describe("graphql-ws", () => {
  check("iterates, and learns by the close code that its session has ended", async () => {
    const { token, organizationId } = await signUp();
    let closed: number | undefined;
    const client = createClient({
      url: `${base.replace("http", "ws")}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      retryAttempts: 0,
      on: { closed: (event) => void (closed = (event as { code: number }).code) },
    });
    const seen: (string | undefined)[] = [];
    const following = (async () => {
      for await (const { data } of client.iterate<ActivitySubscription>({ query, variables: { organizationId, after: 0 } })) {
        seen.push(data?.organizationActivity.action);
      }
    })();
    const ended = following.then(
      () => "completed",
      (reason: { code: number }) => reason.code,
    );
    await hearsOf("Seen", organizationId, token, () => seen);
    const start = performance.now();
    await done(LOGOUT, {}, token);
    assert.equal(await ended, CloseCode.Forbidden);
    assert.equal(closed, CloseCode.Forbidden);
    report(`live: a socket was closed ${Math.round(performance.now() - start)} ms after its session was signed out`);
    await client.dispose();
  });
});

describe("graphql-sse", () => {
  check("iterates over a subscription and a query", async () => {
    const { token, organizationId } = await signUp();
    const client = createStreamClient({ url: `${base}/graphql/stream`, headers: { authorization: `Bearer ${token}` } });
    const seen: (string | undefined)[] = [];
    const stop = client.subscribe<ActivitySubscription>(
      { query, variables: { organizationId, after: 0 } },
      { next: ({ data }) => void seen.push(data?.organizationActivity.action), error: assert.fail, complete: () => undefined },
    );
    await hearsOf("Seen", organizationId, token, () => seen);
    stop();
    const answers = [];
    for await (const answer of client.iterate({ query: "{ organization { name } }" })) answers.push(answer);
    assert.deepEqual(answers, [{ data: { organization: { name: "Heron Works" } } }]);
    for await (const { errors } of client.iterate({ query: "{ nope }" })) {
      assert.equal(errors?.[0]?.extensions.code, "GRAPHQL_VALIDATION_FAILED");
    }
    client.dispose();
  });
});

after(() => report(`live: ${checks} checks passed`));
