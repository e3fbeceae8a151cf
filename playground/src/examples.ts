/**
 * The tabs that a new visitor finds: one file each, in the order of their names, with variables beside them.
 * scripts/check-examples.mjs validates them against the schema.
 */
const documents = import.meta.glob<string>("./examples/*.graphql", { query: "?raw", import: "default", eager: true });
const variables = import.meta.glob<string>("./examples/*.json", { query: "?raw", import: "default", eager: true });

export interface Example {
  query: string;
  variables: string;
}

export const examples: Example[] = Object.keys(documents)
  .sort()
  .map((path) => ({
    query: documents[path] ?? "",
    variables: variables[path.replace(/graphql$/, "json")] ?? "",
  }));

/** The variables of an untouched example with other ids in the places of their kind; null when nothing changes. */
export function withIds(query: string, variables: string, ids: (string | null | undefined)[]): string | null {
  if (!examples.some((example) => example.query === query)) return null;
  let replaced = variables;
  // An id begins with its kind: org_…, job_….
  for (const id of ids) if (id) replaced = replaced.replaceAll(new RegExp(`"${id.split("_")[0]}_[^"]*"`, "g"), `"${id}"`);
  return replaced === variables ? null : replaced;
}
