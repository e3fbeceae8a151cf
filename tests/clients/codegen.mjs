// Runs GraphQL Code Generator over ../../schema.graphql and documents.graphql, and derives from the same schema what
// normalised caches need to know about interfaces and unions.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { codegen } from "@graphql-codegen/core";
import * as typedDocuments from "@graphql-codegen/typed-document-node";
import * as typescript from "@graphql-codegen/typescript";
import * as operations from "@graphql-codegen/typescript-operations";
import { buildSchema, introspectionFromSchema, isAbstractType, parse, validate } from "graphql";

const read = (name) => readFile(new URL(name, import.meta.url), "utf8");
const sdl = await read("../../schema.graphql");
const schema = buildSchema(sdl);
const document = parse(await read("documents.graphql"));
const complaints = validate(schema, document);
if (complaints.length > 0) throw new AggregateError(complaints, complaints.map(String).join("\n"));

const folder = new URL("src/generated/", import.meta.url);
await mkdir(folder, { recursive: true });
const config = {
  strictScalars: true,
  scalars: { DateTime: "string", URL: "string", JSON: "unknown" },
  enumType: "string-literal",
  useTypeImports: true,
};
/** @param {string} filename @param {Record<string, object>} pluginMap */
async function generate(filename, pluginMap) {
  const plugins = Object.keys(pluginMap).map((name) => ({ [name]: {} }));
  const documents = [{ location: "documents.graphql", document }];
  const options = { filename, schema: parse(sdl), schemaAst: schema, documents, config, plugins, pluginMap };
  await writeFile(new URL(filename, folder), await codegen(options));
}
await generate("types.ts", { typescript });
await generate("operations.ts", { operations, typedDocuments });

const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType);
const possibleTypes = Object.fromEntries(
  abstract.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]),
);
const introspection = introspectionFromSchema(schema, { descriptions: false });
await writeFile(
  new URL("schema.ts", folder),
  `export const possibleTypes: Record<string, string[]> = ${JSON.stringify(possibleTypes, null, 2)};\n` +
    `export const introspection = ${JSON.stringify(introspection)};\n`,
);
