import "./editor/workers";
import "@graphiql/react/font/fira-code.css";
import "@graphiql/react/style.css";
import "@graphiql/plugin-doc-explorer/style.css";
import "@graphiql/plugin-history/style.css";
import "graphiql/graphiql.css";
import "./explorer.css";
import { useGraphiQL } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect } from "react";
import { isFirstVisit, storage } from "./editor/storage";
import { editorTheme } from "./editor/theme";
import { examples, withIds } from "./examples";
import { fetcher } from "./fetcher";
import { useSession } from "./store";

const defaultTabs = examples.map((example) => ({ ...example, headers: null }));
// GraphiQL fills the editors from its storage, which is empty at first: the first tab's variables are given to it.
const firstVariables = isFirstVisit() && examples[0] ? { initialVariables: examples[0].variables } : {};

export default function Explorer() {
  return (
    <GraphiQL
      fetcher={fetcher}
      storage={storage}
      defaultTabs={defaultTabs}
      {...firstVariables}
      defaultEditorToolsVisibility="variables"
      shouldPersistHeaders={false}
      schemaDescription
      editorTheme={editorTheme}
    >
      <GraphiQL.Logo>
        <span />
      </GraphiQL.Logo>
      <IdsInVariables />
    </GraphiQL>
  );
}

/**
 * Keeps the organization and the project that are chosen above, or its first project, and the job that was started last in
 * the open example's variables.
 */
function IdsInVariables() {
  const { context, jobId, ...chosen } = useSession();
  const organizationId = context?.organization?.id;
  const projectId = chosen.projectId ?? context?.onlyProject?.id ?? context?.projects[0]?.id;
  const { tab, variableEditor } = useGraphiQL(({ tabs, activeTabIndex, variableEditor }) => ({
    tab: tabs[activeTabIndex]?.id,
    variableEditor,
  }));
  const query = useGraphiQL(({ tabs, activeTabIndex }) => tabs[activeTabIndex]?.query ?? "");

  useEffect(() => {
    if (!variableEditor) return;
    const variables = withIds(query, variableEditor.getValue(), [organizationId, projectId, jobId]);
    if (variables !== null) variableEditor.setValue(variables);
    // Not on every keystroke: only when there is another tab, organization, project or job.
  }, [organizationId, projectId, jobId, tab, variableEditor]);
  return null;
}
