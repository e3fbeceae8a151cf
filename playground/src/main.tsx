import "./editor/workers";
import "@graphiql/react/style.css";
import { GraphiQL } from "graphiql";
import "graphiql/graphiql.css";
import { createRoot } from "react-dom/client";
createRoot(document.getElementById("root")!).render(<GraphiQL fetcher={async () => ({ data: null })} />);
