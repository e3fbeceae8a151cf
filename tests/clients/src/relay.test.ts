// Every connection of the schema, checked against the Relay specification with rows in it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { buildSchema, isObjectType } from "graphql";
import { type Answer, base, done, invite, join, PASSWORD, post, report, signUp, address } from "./support.js";

const ORGANIZATION = "organization(id: $organization)";
const PROJECT = "project(id: $project)";
/** Where each connection hangs. The list is held against the schema below. */
const PARENTS: Record<string, string> = {
  "User.memberships": "viewer",
  "User.securityEvents": "viewer",
  "Organization.projects": ORGANIZATION,
  "Organization.members": ORGANIZATION,
  "Organization.invitations": ORGANIZATION,
  "Organization.apiKeys": ORGANIZATION,
  "Organization.auditLog": ORGANIZATION,
  "Organization.documents": ORGANIZATION,
  "Organization.jobs": ORGANIZATION,
  "Organization.outputs": ORGANIZATION,
  "Organization.assets": ORGANIZATION,
  "Organization.accounts": ORGANIZATION,
  "Organization.workflowTemplates": ORGANIZATION,
  "Organization.qaConversations": ORGANIZATION,
  "Project.members": PROJECT,
  "Project.documents": PROJECT,
  "Project.jobs": PROJECT,
  "Project.outputs": PROJECT,
  "Project.assets": PROJECT,
  "Project.workflowTemplates": PROJECT,
  "Project.schedules": PROJECT,
  "Project.qaConversations": PROJECT,
  "Project.activity": PROJECT,
};
/** More than a page of the default size. */
const ROWS = 23;

let token: string;
let organization: string;
let project: string;
/** A cursor of another organization's list, by the connection's name. */
const foreign: Record<string, string> = {};
let passed = 0;

const mutation = (name: string, selection: string) => {
  const input = `${name[0]?.toUpperCase()}${name.slice(1)}Input`;
  return `mutation ($input: ${input}!) { ${name}(input: $input) { ${selection} userErrors { message } } }`;
};

async function repeat(times: number, run: (index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < times; index++) await run(index);
}

/** Documents of a project, whose jobs make passages, and answers to questions. */
async function learn(organizationId: string, projectId: string, rows: number, as: string): Promise<void> {
  await repeat(rows, (n) =>
    done(mutation("documentCreate", ""), { organizationId, projectId, title: `Document ${n}`, text: `It is number ${n}.` }, as),
  );
  await repeat(rows, (n) =>
    done(mutation("qaAsk", "answer { id }"), { organizationId, projectId, question: `What is number ${n}?` }, as),
  );
}

/** Files of a project, sent to where the server says. */
async function keep(organizationId: string, projectId: string, rows: number, as: string): Promise<void> {
  const file = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nEND:VCALENDAR\r\n";
  await repeat(rows, async () => {
    const input = { organizationId, projectId, kind: "CALENDAR", bytes: file.length };
    const { upload } = await done(mutation("assetUploadCreate", "upload { id url method }"), input, as);
    const { pathname, search } = new URL(upload.url);
    const sent = await fetch(new URL(pathname + search, base), { method: upload.method, body: file });
    assert.ok(sent.ok, `the file was not taken: ${sent.status}`);
    await done(mutation("assetUploadComplete", "asset { id }"), { id: upload.id }, as);
  });
}

/** Workflows of an organization, and as many of one of its projects. */
async function design(organizationId: string, projectId: string, rows: number, as: string): Promise<void> {
  const steps = [{ key: "gate", kind: "APPROVAL" }];
  for (const place of [null, projectId])
    await repeat(rows, (n) =>
      done(
        mutation("contentWorkflowTemplateCreate", ""),
        { organizationId, projectId: place, key: `${place ? "own" : "shared"}_${n}`, name: `Workflow ${n}`, steps },
        as,
      ),
    );
}

/** What a project has done at set times. */
async function arrange(projectId: string, rows: number, as: string): Promise<void> {
  const workflow = { template: "posts_only", brief: "I want to sleep well." };
  await repeat(rows, (n) =>
    done(
      mutation("scheduleCreate", ""),
      { projectId, name: `Schedule ${n}`, cron: "0 9 1 1 *", timezone: "Europe/Berlin", workflow },
      as,
    ),
  );
}

/** What was asked one after the other. */
async function converse(organizationId: string, projectId: string, rows: number, as: string): Promise<void> {
  await repeat(rows, () => done(mutation("qaConversationCreate", ""), { organizationId, projectId }, as));
}

before(async () => {
  const owner = await signUp();
  ({ token, organizationId: organization } = owner);
  const sign = mutation("login", "accessToken");
  await repeat(ROWS, () => done(sign, { email: owner.email, password: PASSWORD }));
  await repeat(ROWS, (n) => done(mutation("organizationCreate", ""), { name: `Works ${n}` }, token));
  await repeat(ROWS, (n) => done(mutation("projectCreate", ""), { organizationId: organization, name: `Project ${n}` }, token));
  await repeat(ROWS, (n) =>
    done(mutation("apiKeyCreate", ""), { organizationId: organization, name: `Key ${n}`, permissions: ["ORG_READ"] }, token),
  );
  await repeat(ROWS, (n) =>
    done(mutation("accountConnect", ""), { organizationId: organization, userId: `1784140000000${n}`, token: "EAAB" }, token),
  );
  await repeat(ROWS, () => invite(token, organization, address()));
  await repeat(ROWS, () => join(token, organization));
  const made = await done(mutation("projectCreate", "project { id }"), { organizationId: organization, name: "Busy" }, token);
  project = made.project.id;
  await repeat(ROWS, (n) => done(mutation("projectUpdate", ""), { id: project, description: `Version ${n}` }, token));

  await learn(organization, project, ROWS, token);
  await keep(organization, project, ROWS, token);
  await design(organization, project, ROWS, token);
  await arrange(project, ROWS, token);
  await converse(organization, project, ROWS, token);

  const stranger = await signUp("Other Works");
  await invite(stranger.token, stranger.organizationId, address());
  await done(
    mutation("apiKeyCreate", ""),
    { organizationId: stranger.organizationId, name: "Key", permissions: ["ORG_READ"] },
    stranger.token,
  );
  await done(
    mutation("accountConnect", ""),
    { organizationId: stranger.organizationId, userId: "17841400000000000", token: "EAAB" },
    stranger.token,
  );
  const theirs = await post("query { organization { projects { nodes { id } } } }", {}, stranger.token);
  const variables = { organization: stranger.organizationId, project: theirs.data.organization.projects.nodes[0].id };
  await done(mutation("projectUpdate", ""), { id: variables.project, name: "Theirs" }, stranger.token);
  await learn(stranger.organizationId, variables.project, 1, stranger.token);
  await keep(stranger.organizationId, variables.project, 1, stranger.token);
  await design(stranger.organizationId, variables.project, 1, stranger.token);
  await arrange(variables.project, 1, stranger.token);
  await converse(stranger.organizationId, variables.project, 1, stranger.token);
  for (const [name, parent] of Object.entries(PARENTS)) {
    const { connection } = await page(name, parent, { first: 1 }, stranger.token, variables);
    foreign[name] = connection?.edges[0]?.cursor ?? "";
  }
});

interface Connection {
  totalCount: number;
  edges: { cursor: string; node: { id: string } }[];
  nodes: { id: string }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}
interface Arguments {
  first?: number;
  last?: number;
  after?: string;
  before?: string;
}

async function page(
  name: string,
  parent: string,
  args: Arguments,
  as = token,
  variables: object = { organization, project },
): Promise<Answer & { connection: Connection | undefined }> {
  const field = name.split(".")[1] ?? "";
  const declared = ["$organization: ID!", "$project: ID!"].filter((variable) => parent.includes(variable.split(":")[0] ?? ""));
  declared.push("$first: Int", "$last: Int", "$after: String", "$before: String");
  const answer = await post(
    `query (${declared}) { parent: ${parent} { connection: ${field}(first: $first, last: $last, after: $after, before: $before) {
      totalCount edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    } } }`,
    { ...variables, ...args },
    as,
  );
  return { ...answer, connection: answer.data?.parent?.connection ?? undefined };
}

for (const [name, parent] of Object.entries(PARENTS)) {
  describe(name, () => {
    const check = (what: string, run: () => Promise<void>) =>
      test(what, async () => {
        await run();
        passed += 1;
      });

    async function read(args: Arguments): Promise<Connection> {
      const { connection, errors } = await page(name, parent, args);
      assert.ok(connection, JSON.stringify(errors));
      return connection;
    }
    async function refused(args: Arguments): Promise<void> {
      const { status, errors } = await page(name, parent, args);
      assert.ok(status < 500);
      assert.deepEqual(errors?.map(({ extensions }) => extensions.code), ["BAD_USER_INPUT"]);
      const { path, extensions } = errors?.[0] ?? {};
      assert.deepEqual((path ?? extensions?.field)?.slice(0, 2), ["parent", "connection"]);
    }
    const ids = ({ edges }: Connection) => edges.map(({ node }) => node.id);
    let all: string[] = [];

    check("a walk forward visits every row once", async () => {
      let after: string | undefined;
      for (;;) {
        const connection = await read(after ? { first: 3, after } : { first: 3 });
        all.push(...ids(connection));
        assert.equal(connection.pageInfo.hasPreviousPage, after !== undefined);
        if (!connection.pageInfo.hasNextPage) break;
        assert.equal(connection.edges.length, 3);
        after = connection.pageInfo.endCursor ?? "";
      }
      assert.equal(new Set(all).size, all.length);
      assert.ok(all.length >= ROWS);
    });
    check("totalCount is the number of rows, on every page", async () => {
      assert.equal((await read({ first: 1 })).totalCount, all.length);
      assert.equal((await read({ last: 2 })).totalCount, all.length);
    });
    check("pages of one have the same order", async () => {
      let after: string | undefined;
      for (const id of all) {
        const connection = await read(after ? { first: 1, after } : { first: 1 });
        assert.deepEqual(ids(connection), [id]);
        after = connection.pageInfo.endCursor ?? "";
      }
      assert.deepEqual(ids(await read({ first: 1, after })), []);
    });
    check("a walk backward has the same order", async () => {
      const rows: string[] = [];
      let before: string | undefined;
      for (;;) {
        const connection = await read(before ? { last: 3, before } : { last: 3 });
        rows.unshift(...ids(connection));
        assert.equal(connection.pageInfo.hasNextPage, before !== undefined);
        if (!connection.pageInfo.hasPreviousPage) break;
        before = connection.pageInfo.startCursor ?? "";
      }
      assert.deepEqual(rows, all);
    });
    check("after and before bound a window", async () => {
      const { edges } = await read({ first: 5 });
      const bounds = { after: edges[0]?.cursor ?? "", before: edges[4]?.cursor ?? "" };
      assert.deepEqual(ids(await read({ first: 10, ...bounds })), all.slice(1, 4));
      assert.deepEqual(ids(await read({ last: 2, ...bounds })), all.slice(2, 4));
    });
    check("startCursor and endCursor are the edges', and each cursor is another", async () => {
      const { edges, pageInfo } = await read({ first: 5 });
      assert.equal(pageInfo.startCursor, edges[0]?.cursor);
      assert.equal(pageInfo.endCursor, edges.at(-1)?.cursor);
      assert.equal(new Set(edges.map(({ cursor }) => cursor)).size, edges.length);
    });
    check("nodes are the edges' nodes", async () => {
      const connection = await read({ first: 5 });
      assert.deepEqual(connection.nodes.map(({ id }) => id), ids(connection));
    });
    check("a page without a size has 20 rows", async () => assert.deepEqual(ids(await read({})), all.slice(0, 20)));
    check("a page of the largest size is served", async () => assert.deepEqual(ids(await read({ first: 100 })), all.slice(0, 100)));
    check("sizes below 1 are refused", async () => {
      await refused({ first: 0 });
      await refused({ last: -1 });
    });
    check("sizes over 100 are refused", async () => {
      await refused({ first: 101 });
      await refused({ last: 100_000 });
    });
    check("sizes that are no whole numbers are refused", async () => {
      for (const first of [1.5, "3", 2 ** 31]) {
        const { status, errors } = await page(name, parent, { first: first as number });
        assert.ok(status < 500);
        assert.deepEqual(errors?.map(({ extensions }) => extensions.code), ["BAD_USER_INPUT"]);
      }
    });
    check("first and last together are refused", () => refused({ first: 2, last: 2 }));
    check("made-up cursors are refused", async () => {
      const base64 = (text: string) => Buffer.from(text).toString("base64");
      for (const cursor of ["garbage", "", base64("cursor:99999999999"), base64("x' OR 1=1"), "A".repeat(10_000)]) {
        await refused({ first: 2, after: cursor });
        await refused({ last: 2, before: cursor });
      }
    });
    check("altered and foreign cursors are refused", async () => {
      const { edges } = await read({ first: 1 });
      const own = edges[0]?.cursor ?? "";
      const middle = own.length >> 1;
      await refused({ first: 2, after: own.slice(0, middle) + (own[middle] === "A" ? "B" : "A") + own.slice(middle + 1) });
      const other = Object.entries(foreign).filter(([list, cursor]) => list !== name && cursor);
      for (const cursor of [foreign[name] ?? "", ...other.map(([, cursor]) => cursor)]) {
        assert.notEqual(cursor, "");
        await refused({ first: 2, after: cursor });
      }
    });
    check("node and nodes give the same objects", async () => {
      const some = all.slice(0, 5);
      const { data } = await post("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", { ids: some }, token);
      assert.deepEqual(data.nodes.map(({ id }: { id: string }) => id), some);
      for (const id of some) {
        const { data } = await post("query ($id: ID!) { node(id: $id) { id } }", { id }, token);
        assert.equal(data.node.id, id);
      }
    });
  });
}

test("every connection of the schema is checked", async () => {
  const schema = buildSchema(await readFile(new URL("../../../schema.graphql", import.meta.url), "utf8"));
  const types = Object.values(schema.getTypeMap()).filter(isObjectType);
  const connections = types.flatMap((type) =>
    Object.values(type.getFields()).flatMap((field) => (/Connection!?$/.test(String(field.type)) ? [`${type.name}.${field.name}`] : [])),
  );
  assert.deepEqual(connections.sort(), Object.keys(PARENTS).sort());
});

after(() => report(`relay: ${passed} checks passed on ${Object.keys(PARENTS).length} connections`));
