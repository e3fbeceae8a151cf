// Documents that are sent by name: automatic persisted queries of Apollo Client and urql, and the manifest of an app of theirs.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { generatePersistedQueryIdsFromManifest } from "@apollo/persisted-query-lists";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { type DocumentNode, Kind, parse, print } from "graphql";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { possibleTypes } from "./generated/schema.js";
import { base, dataDir, endServers, report, scratch, type Server, signUp, start, until } from "./support.js";

type Variables = Record<string, unknown>;

/** A request as it went over the wire. */
interface Sent {
  method: string;
  /** Whether the document itself went along. */
  text: boolean;
  /** The document's name, when it had one. */
  name: string | undefined;
}

/** A front-end that names its documents. */
interface Front {
  ask(document: DocumentNode, variables: Variables): Promise<any>;
  sent: Sent[];
}

type Hashing = (document: DocumentNode) => Promise<string>;

interface Options {
  url: string;
  token: string;
  get: boolean;
  /** What documents are called; by their hash, and with the text when that is not known, unless it is given. */
  ids?: Hashing;
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

function spying(sent: Sent[]): typeof fetch {
  return (input, init) => {
    const parameters = init?.body ? JSON.parse(String(init.body)) : Object.fromEntries(new URL(String(input)).searchParams);
    const { query, documentId, extensions } = parameters;
    const { persistedQuery } = (typeof extensions === "string" ? JSON.parse(extensions) : extensions) ?? {};
    sent.push({ method: init?.method ?? "GET", text: Boolean(query), name: persistedQuery?.sha256Hash ?? documentId });
    return fetch(input, init);
  };
}

function apollo({ url, token, get, ids }: Options): Front {
  const sent: Sent[] = [];
  const naming = ids ? { generateHash: ids, disable: () => false } : { sha256 };
  const client = new ApolloClient({
    link: ApolloLink.from([
      new PersistedQueryLink({ ...naming, useGETForHashedQueries: get }),
      new HttpLink({ uri: `${url}/graphql`, fetch: spying(sent), headers: { authorization: `Bearer ${token}` } }),
    ]),
    cache: new InMemoryCache({ possibleTypes }),
  });
  return {
    sent,
    async ask(document, variables) {
      const isMutation = document.definitions.some((part) => part.kind === Kind.OPERATION_DEFINITION && part.operation === "mutation");
      const { data } = isMutation
        ? await client.mutate({ mutation: document, variables })
        : await client.query({ query: document, variables, fetchPolicy: "network-only" });
      return data;
    },
  };
}

function urql({ url, token, get, ids }: Options): Front {
  const sent: Sent[] = [];
  const client = new Client({
    url: `${url}/graphql`,
    preferGetMethod: false,
    fetch: spying(sent),
    fetchOptions: { headers: { authorization: `Bearer ${token}` } },
    exchanges: [
      cacheExchange,
      persistedExchange({
        preferGetForPersistedQueries: get,
        enableForMutation: true,
        ...(ids && { enforcePersistedQueries: true, generateHash: (_: string, document: DocumentNode) => ids(document) }),
      }),
      fetchExchange,
    ],
  });
  return {
    sent,
    async ask(document, variables) {
      const isMutation = document.definitions.some((part) => part.kind === Kind.OPERATION_DEFINITION && part.operation === "mutation");
      const asked = isMutation ? client.mutation(document, variables) : client.query(document, variables, { requestPolicy: "network-only" });
      const { data, error } = await asked;
      if (error) throw error;
      return data;
    },
  };
}

/** The codes that the server has refused with. */
function codes(error: unknown): unknown[] {
  const { errors, graphQLErrors } = error as Record<"errors" | "graphQLErrors", { extensions: { code: string } }[] | undefined>;
  return (errors ?? graphQLErrors ?? []).map(({ extensions }) => extensions.code);
}

const warnings: string[] = [];
console.warn = (...words) => warnings.push(words.join(" "));
console.error = console.warn;

let checks = 0;
const check = (name: string, run: () => Promise<void>) =>
  test(name, { timeout: 60_000 }, async () => {
    await run();
    assert.deepEqual(warnings, [], "the library complains");
    checks += 1;
  });

let person: Awaited<ReturnType<typeof signUp>>;
before(async () => {
  person = await signUp();
});

for (const make of [apollo, urql]) {
  for (const get of [false, true]) {
    describe(`${make.name}, ${get ? "GET" : "POST"}`, () => {
      // What a server has seen once it knows: every run has documents of its own.
      const operation = `${make.name}${get ? "Get" : "Post"}`;
      const query = parse(
        `query ${operation}($organizationId: ID!) { organization(id: $organizationId) { id name projects { totalCount } } }`,
      );
      const create = parse(
        `mutation Create${operation}($input: ProjectCreateInput!) { projectCreate(input: $input) { project { id name } userErrors { code } } }`,
      );

      check("sends the text once, and the hash alone from then on", async () => {
        const first = make({ url: base, token: person.token, get });
        const variables = { organizationId: person.organizationId };
        const answer = await first.ask(query, variables);
        assert.equal(answer.organization.name, "Heron Works");
        const method = get ? "GET" : "POST";
        const [unknown, registering, ...others] = first.sent;
        const name = unknown?.name;
        assert.match(name ?? "", /^[0-9a-f]{64}$/);
        assert.deepEqual(unknown, { method, text: false, name });
        assert.deepEqual({ ...registering, method: "" }, { method: "", text: true, name });
        assert.deepEqual(others, []);

        assert.deepEqual(await first.ask(query, variables), answer);
        const second = make({ url: base, token: person.token, get });
        assert.deepEqual(await second.ask(query, variables), answer);
        assert.deepEqual([...first.sent.slice(2), ...second.sent], Array(2).fill({ method, text: false, name }));
      });

      check("changes something by a hash, never by an address", async () => {
        const front = make({ url: base, token: person.token, get });
        for (const name of ["One", "Two"]) {
          const { projectCreate } = await front.ask(create, { input: { organizationId: person.organizationId, name } });
          assert.equal(projectCreate.project.name, name);
        }
        assert.deepEqual(front.sent.map(({ method, text }) => [method, text]), [["POST", false], ["POST", true], ["POST", false]]);
      });

      check("is told what is wrong with a document, once", async () => {
        const front = make({ url: base, token: person.token, get });
        await assert.rejects(front.ask(parse(`query Wrong${operation} { nobody }`), {}), (error) => {
          assert.deepEqual(codes(error), ["GRAPHQL_VALIDATION_FAILED"]);
          return true;
        });
        assert.deepEqual(front.sent.map(({ text }) => text), [false, true]);
      });
    });
  }
}

check("urql follows a subscription by its hash over a socket", async () => {
  const payloads: { text: boolean; name: unknown }[] = [];
  const socket = createClient({
    url: `${base.replace(/^http/, "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${person.token}` },
  });
  const client = new Client({
    url: `${base}/graphql`,
    preferGetMethod: false,
    exchanges: [
      persistedExchange({ enableForSubscriptions: true }),
      subscriptionExchange({
        forwardSubscription: ({ query, variables, extensions }) => {
          const { persistedQuery } = (extensions ?? {}) as { persistedQuery?: { sha256Hash: string } };
          payloads.push({ text: query !== undefined, name: persistedQuery?.sha256Hash });
          // The library demands a text.
          return { subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query: query ?? "", variables, extensions }, sink) }) };
        },
      }),
    ],
  });
  const document = parse(
    "subscription ByHash($organizationId: ID!) { organizationActivity(organizationId: $organizationId, after: 0) { sequence action } }",
  );
  for (let round = 0; round < 2; round += 1) {
    const heard: string[] = [];
    const { unsubscribe } = client
      .subscription(document, { organizationId: person.organizationId })
      .subscribe(({ data, error }) => heard.push(error ? String(error) : data?.organizationActivity.action));
    await until("the founding", () => heard.length > 0);
    assert.equal(heard[0], "organization.create");
    unsubscribe();
  }
  await socket.dispose();
  const name = payloads[0]?.name;
  assert.deepEqual(payloads, [
    { text: false, name },
    { text: true, name },
    { text: false, name },
  ]);
});

describe("with the manifest of an app", () => {
  const folder = `${scratch}/documents`;
  const documents = readFileSync(new URL("../documents.graphql", import.meta.url), "utf8");
  const app = parse(documents);
  let manifest: { operations: { id: string; name: string; body: string }[] };
  let server: Server;

  /** One operation with the fragments that it needs, as the app has it. */
  function operation(name: string): DocumentNode {
    const needed = new Set([name]);
    const definitions = new Set<(typeof app.definitions)[number]>();
    for (const wanted of needed) {
      const found = app.definitions.find((part) => "name" in part && part.name?.value === wanted);
      assert.ok(found, wanted);
      definitions.add(found);
      for (const [, fragment] of print(found).matchAll(/\.\.\.\s*(\w+)/g)) if (fragment && fragment !== "on") needed.add(fragment);
    }
    return { kind: Kind.DOCUMENT, definitions: [...definitions] };
  }

  /** A second server on the same data, which takes the tokens of the first. */
  const enforce = (file: string) =>
    start(
      dataDir,
      ...["--public-url", base.replace("127.0.0.1", "localhost")],
      ...["--trusted-documents", "enforce", "--document-manifest", file],
    );

  before(async () => {
    mkdirSync(folder);
    for (const definition of app.definitions) {
      if ("name" in definition) writeFileSync(`${folder}/${definition.name?.value}.graphql`, print(definition));
    }
    writeFileSync(`${folder}/persisted-query-manifest.config.json`, '{"documents": ["*.graphql"]}');
    const tool = fileURLToPath(new URL("../node_modules/.bin/generate-persisted-query-manifest", import.meta.url));
    execFileSync(tool, { cwd: folder, stdio: "pipe" });
    const file = `${folder}/persisted-query-manifest.json`;
    manifest = JSON.parse(readFileSync(file, "utf8"));
    server = await enforce(file);
  });
  after(endServers);

  const idOf = (name: string) => manifest.operations.find((operation) => operation.name === name)?.id ?? "";

  for (const make of [apollo, urql]) {
    for (const get of [false, true]) {
      check(`${make.name} runs the app's documents by ${get ? "GET" : "POST"}, and no text is sent`, async () => {
        const { generateHash } = generatePersistedQueryIdsFromManifest({ loadManifest: () => manifest });
        const front = make({ url: server.url, token: person.token, get, ids: generateHash });
        const { organizationId } = person;
        const { viewer } = await front.ask(operation("Viewer"), {});
        assert.equal(viewer.email, person.email);
        const input = { organizationId, name: `Trusted ${make.name} ${get}` };
        const { projectCreate } = await front.ask(operation("CreateProject"), { input });
        assert.deepEqual(projectCreate.userErrors, []);
        const { organization } = await front.ask(operation("Projects"), { organizationId });
        assert.ok(organization.projects.nodes.some(({ name }: { name: string }) => name === input.name));
        const method = get ? "GET" : "POST";
        assert.deepEqual(front.sent, [
          { method, text: false, name: idOf("Viewer") },
          { method: "POST", text: false, name: idOf("CreateProject") },
          { method, text: false, name: idOf("Projects") },
        ]);
      });

      check(`${make.name} is refused what is not the app's by ${get ? "GET" : "POST"}, and does not try again`, async () => {
        const front = make({ url: server.url, token: person.token, get });
        await assert.rejects(front.ask(parse("query Free { viewer { email } }"), {}), (error) => {
          assert.deepEqual(codes(error), ["DOCUMENT_NOT_TRUSTED"]);
          return true;
        });
        assert.deepEqual(front.sent.map(({ text }) => text), [false]);
      });
    }
  }

  check("a network layer as Relay's guide has it runs a document by its doc_id", async () => {
    const file = `${folder}/relay.json`;
    const [id, text] = ["3be4abb81fa595e25eb725b2c6a87508", print(operation("Projects"))];
    writeFileSync(file, JSON.stringify({ [id]: text }));
    const relay = await enforce(file);
    const response = await fetch(`${relay.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${person.token}` },
      body: JSON.stringify({ doc_id: id, variables: { organizationId: person.organizationId } }),
    });
    const { data } = (await response.json()) as any;
    assert.equal(data.organization.id, person.organizationId);
  });

  check("a manifest that the schema has left behind refuses the start, and says where", async () => {
    const file = `${folder}/stale.json`;
    const stale = { ...manifest, operations: manifest.operations.map((one) => ({ ...one, body: one.body.replaceAll("totalCount", "total") })) };
    writeFileSync(file, JSON.stringify(stale));
    await assert.rejects(enforce(file), (error: Error) => {
      assert.match(error.message, /aicos stopped: AICOS_DOCUMENT_MANIFEST is .*stale\.json, which cannot be used/);
      assert.ok(error.message.includes(`${idOf("Projects")}\``) && error.message.includes('Unknown field "total"'), error.message);
      return true;
    });
  });

  check("the page says why it is not there", async () => {
    const response = await fetch(`${server.url}/`);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /AICOS_TRUSTED_DOCUMENTS/);
    assert.equal((await fetch(`${base}/`)).status, 200);
  });
});

after(() => report(`documents: ${checks} checks passed with Apollo Client and urql`));
