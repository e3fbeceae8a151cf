// GraphQL Yoga over the benchmark's tables, as somebody writes it by hand: pg, a DataLoader for each level, the role that
// aicos serves with, and the context that the policies read, from headers that are believed. A request has one
// transaction, opened by its first statement; its settings go out together with BEGIN, and every statement is prepared.
import { createServer } from "node:http";
import DataLoader from "dataloader";
import { createSchema, createYoga } from "graphql-yoga";
import pg from "pg";
import { v7 as uuid } from "uuid";

const [host, port] = process.env.LISTEN.split(":");
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: Number(process.env.CONNECTIONS) });
// Numbers of audit entries fit into JavaScript's.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

// Settings cannot be parameters beside BEGIN, so what goes into the text has the form of an id.
const id = (request, name) => /^[0-9a-f-]{36}$/.exec(request.headers.get(name) ?? "")?.[0] ?? "";

class Transaction {
  #client;

  constructor(request) {
    this.organization = id(request, "x-organization");
    this.user = id(request, "x-user");
  }

  async #begin() {
    const client = await pool.connect();
    const set = (name, value) => `set_config('app.${name}', '${value}', true)`;
    const settings = [set("organization", this.organization), set("user", this.user), set("project", "")];
    await client.query(`BEGIN; SELECT ${settings.join(", ")}`);
    return client;
  }

  async rows(name, text, values) {
    this.#client ??= this.#begin();
    const client = await this.#client;
    return (await client.query({ name, text, values })).rows;
  }

  async end(statement) {
    if (!this.#client) return;
    const client = await this.#client;
    try {
      await client.query(statement);
      client.release();
    } catch (error) {
      client.release(error);
    }
  }
}

const PROJECTS = `select o.id as of, p.id, p.name, p.slug from unnest($1::uuid[]) o(id) cross join lateral (
    select * from projects p where p.organization_id = o.id order by p.id limit 20) p`;
const MEMBERS = `select p.id as of, m.user_id, m.role from unnest($2::uuid[]) p(id) cross join lateral (
    select s.user_id, case when s.role = 'OWNER' then s.role else coalesce(r.role, s.role) end as role
    from memberships s left join project_members r
        on r.organization_id = s.organization_id and r.project_id = p.id and r.user_id = s.user_id
    where s.organization_id = $1 and (not s.limited or r.role is not null)
    order by s.user_id limit 5) m`;
const USERS = `select id, name, email, created_at as "createdAt" from users where id = any($1::uuid[])`;
const ORGANIZATION = "select id, name, slug from organizations where id = $1";
const ENTRIES = `select id, sequence, action, actor_label as "actorLabel", target_id as "targetId", ip,
    user_agent as "userAgent", occurred_at as "occurredAt"
    from audit_entries where organization_id = $1 and action = $2 order by sequence desc limit $3`;
const PROJECT = `insert into projects (organization_id, id, name, slug) values ($1, $2, $3, $4) returning id, name, slug`;
const ENTRY = `insert into audit_entries (organization_id, id, action, outcome, actor_user_id, actor_label, actor_role,
        target_type, target_id, project_id, changes, ip, request_id)
    values ($1, $2, 'project.create', 'DONE', $3, (select u.name from users u where u.id = $3), 'OWNER', 'Project',
        $4::uuid::text, $4, $5, '127.0.0.1', $6)`;

const lists = (keys, rows) => {
  const found = Map.groupBy(rows, (row) => row.of);
  return keys.map((key) => found.get(key) ?? []);
};
const loaders = (tx) => ({
  projects: new DataLoader(async (ids) => lists(ids, await tx.rows("projects", PROJECTS, [ids]))),
  members: new DataLoader(async (ids) => lists(ids, await tx.rows("members", MEMBERS, [tx.organization, ids]))),
  users: new DataLoader(async (ids) => {
    const found = new Map((await tx.rows("users", USERS, [ids])).map((user) => [user.id, user]));
    return ids.map((id) => found.get(id) ?? null);
  }),
});

const schema = createSchema({
  typeDefs: `
    type User { id: ID! name: String! email: String! createdAt: String! }
    type Member { role: String! user: User }
    type Project { id: ID! name: String! slug: String! members: [Member!]! }
    type Organization { id: ID! name: String! slug: String! projects: [Project!]! auditLog(first: Int, action: String!): [Entry!]! }
    type Entry { id: ID! sequence: Float! action: String! actorLabel: String! targetId: String ip: String userAgent: String occurredAt: String! }
    type Query { user(id: ID!): User organization(id: ID!): Organization }
    type Mutation { addProject(name: String!, slug: String!): Project! }`,
  resolvers: {
    Query: {
      user: (_, { id }, { load }) => load.users.load(id),
      organization: async (_, { id }, { tx }) => (await tx.rows("organization", ORGANIZATION, [id]))[0],
    },
    Mutation: {
      addProject: async (_, { name, slug }, { tx }) => {
        const [project] = await tx.rows("project", PROJECT, [tx.organization, uuid(), name, slug]);
        const changes = Object.entries({ name, slug }).map(([field, after]) => ({ field, before: null, after }));
        const entry = [tx.organization, uuid(), tx.user, project.id, JSON.stringify(changes), uuid()];
        await tx.rows("entry", ENTRY, entry);
        return project;
      },
    },
    Organization: {
      projects: ({ id }, _, { load }) => load.projects.load(id),
      auditLog: ({ id }, { action, first = 50 }, { tx }) =>
        tx.rows("entries", ENTRIES, [id, action, Math.min(first, 100)]),
    },
    Project: { members: ({ id }, _, { load }) => load.members.load(id) },
    Member: { user: ({ user_id: id }, _, { load }) => load.users.load(id) },
    User: { createdAt: ({ createdAt }) => createdAt.toISOString() },
    Entry: { occurredAt: ({ occurredAt }) => occurredAt.toISOString() },
  },
});

const yoga = createYoga({
  schema,
  graphiql: false,
  landingPage: false,
  logging: false,
  context: ({ request }) => {
    const tx = new Transaction(request);
    return { tx, load: loaders(tx) };
  },
  plugins: [
    {
      onExecute: ({ args }) => ({
        onExecuteDone: ({ result }) => args.contextValue.tx.end(result.errors ? "ROLLBACK" : "COMMIT"),
      }),
    },
  ],
});
const server = createServer(yoga);
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
server.listen(Number(port), host);
