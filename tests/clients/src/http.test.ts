// GraphQL over HTTP, by the audits of the reference implementation, and the schema that the server tells of itself.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from "graphql";
import { serverAudits } from "graphql-http";
import { base, post, report } from "./support.js";

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
  assert.equal(print(buildClientSchema(data)), print(buildSchema(exported)));
});

after(() => report(`http: ${passed}/${audits.length} audits of GraphQL over HTTP ok`));
