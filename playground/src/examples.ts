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

const ORGANIZATION_ID = /("organizationId"\s*:\s*")org_[^"]*(")/;

/** The variables of an untouched example with another organization; null when there is nothing to replace. */
export function withOrganization(query: string, variables: string, organizationId: string): string | null {
  if (!examples.some((example) => example.query === query)) return null;
  const replaced = variables.replace(ORGANIZATION_ID, `$1${organizationId}$2`);
  return replaced === variables ? null : replaced;
}
