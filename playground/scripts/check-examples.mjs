// Validates every example tab and every request of the page itself against a schema.
// Usage: npm run check:examples [-- path/to/schema.graphql]; without a path, the schema beside this folder.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { buildSchema, getOperationAST, getVariableValues, GraphQLError, parse, validate } from "graphql";

const root = new URL("../", import.meta.url);
const schemaPath = process.argv[2] ?? new URL("../schema.graphql", root);
const schema = buildSchema(readFileSync(schemaPath, "utf8"));

let checked = 0;
let problems = 0;
for (const folder of ["src/examples/", "src/operations/"]) {
  for (const name of readdirSync(new URL(folder, root)).filter((name) => name.endsWith(".graphql"))) {
    const file = new URL(folder + name, root);
    for (const error of problemsOf(file)) {
      console.error(`${folder}${name}: ${error.message}`);
      problems += 1;
    }
    checked += 1;
  }
}
console.log(`${checked} documents checked, ${problems} problems.`);
process.exitCode = problems === 0 ? 0 : 1;

/** Problems of the document, and of the variables beside it when there are any. */
function problemsOf(file) {
  try {
    const document = parse(readFileSync(file, "utf8"));
    const errors = validate(schema, document);
    const variables = new URL(file.href.replace(/graphql$/, "json"));
    if (errors.length > 0 || !existsSync(variables)) return errors;
    const definitions = getOperationAST(document)?.variableDefinitions ?? [];
    const values = JSON.parse(readFileSync(variables, "utf8"));
    const names = definitions.map(({ variable }) => variable.name.value);
    const strangers = Object.keys(values).filter((name) => !names.includes(name));
    return [
      ...(getVariableValues(schema, definitions, values).errors ?? []),
      ...strangers.map((name) => new GraphQLError(`The variable "${name}" is not declared.`)),
    ];
  } catch (failure) {
    return [failure];
  }
}
