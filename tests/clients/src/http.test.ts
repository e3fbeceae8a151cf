// GraphQL over HTTP, by the audits of the reference implementation, and the schema that the server tells of itself.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from "graphql";
import { serverAudits } from "graphql-http";
import { base, post, report, signUp } from "./support.js";

const audits = serverAudits({ url: `${base}/graphql`, fetchFn: fetch });
let passed = 0;

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    // What is less than ok is a deviation from a MUST, a SHOULD or a MAY: there shall be none at all.
    assert.equal(result.status, "ok", "reason" in result ? result.reason : "");
    passed += 1;
  });
}

test("introspection tells the exported schema", async () => {
  const { data } = await post(getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true }));
  const exported = await readFile(new URL("../../../schema.graphql", import.meta.url), "utf8");
  const print = (schema: Parameters<typeof printSchema>[0]) => printSchema(lexicographicSortSchema(schema));
  // async-graphql's introspection keeps to itself that an interface implements another one.
  const told = exported.replace(/^(interface \w+) implements [\w &]+/gm, "$1");
  assert.notEqual(told, exported);
  assert.equal(print(buildClientSchema(data)), print(buildSchema(told)));
});

test("a field that failed is null, its siblings keep their data, and all stand in the document's order", async () => {
  const { token } = await signUp();
  const garbled = 'memberships(after: "garbled") { totalCount }';
  const text = `{ viewer { ${garbled} name } credential { kind } organization { auditLog { pageInfo { hasNextPage } } name } }`;
  const { data, errors } = await post(text, {}, token);
  assert.equal(
    JSON.stringify(data),
    '{"viewer":{"memberships":null,"name":"Ada"},"credential":{"kind":"SESSION"},"organization":{"auditLog":{"pageInfo":{"hasNextPage":false}},"name":"Heron Works"}}',
  );
  assert.deepEqual(errors?.map(({ path }) => path), [["viewer", "memberships"]]);
  const alone = await post(`{ viewer { ${garbled} } }`, {}, token);
  assert.deepEqual(alone.data, { viewer: { memberships: null } });
});

after(() => report(`http: ${passed}/${audits.length} audits of GraphQL over HTTP ok`));
