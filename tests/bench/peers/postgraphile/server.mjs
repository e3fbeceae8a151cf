// PostGraphile over the benchmark's tables: its Amber preset, the role that aicos serves with, and the context that the
// policies read, from headers that are believed.
import { createServer } from "node:http";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";

const header = (request, name) => String(request?.headers[name] ?? "");
const [host, port] = process.env.LISTEN.split(":");

const instance = postgraphile({
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({
      connectionString: process.env.DATABASE_URL,
      schemas: ["public", "bench"],
      poolConfig: { max: Number(process.env.CONNECTIONS) },
    }),
  ],
  grafast: {
    explain: false,
    context: ({ node }) => ({
      pgSettings: {
        "app.organization": header(node?.req, "x-organization"),
        "app.user": header(node?.req, "x-user"),
        "app.project": "",
      },
    }),
  },
  grafserv: { graphiql: false, watch: false, websockets: false, graphqlPath: "/graphql" },
});
const server = createServer();
server.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
await instance.createServ(grafserv).addTo(server);
server.listen(Number(port), host);
