import { type ReactNode, useState } from "react";
import { textOf } from "./answers";
import { chooseProject, signOut, switchOrganization } from "./session";
import { getState, setState, useSession } from "./store";

/** The bar for a signed-in person or an API key: who, and where their requests act. */
export function Account() {
  const { credential, context, projectId } = useSession();
  const [busy, setBusy] = useState(false);

  async function run(action: () => Promise<void>) {
    setBusy(true);
    try {
      await action();
    } catch (failure) {
      // A session that ended on the way has a notice of its own.
      if (getState().credential) setState({ notice: { tone: "problem", text: textOf(failure) } });
    } finally {
      setBusy(false);
    }
  }

  const { person, memberships = [], organization, projects = [], onlyProject } = context ?? {};
  return (
    <div className="account" aria-busy={busy || !context}>
      {memberships.length > 0 ? (
        <Choice label="Organization">
          <select
            data-testid="organization"
            value={organization?.id ?? ""}
            disabled={busy}
            onChange={(event) => {
              const { value } = event.currentTarget;
              void run(() => switchOrganization(value));
            }}
          >
            {!organization && <option value="">Choose …</option>}
            {memberships.map(({ id, role, organization: { id: value, name } }) => (
              <option key={id} value={value}>
                {name} ({role.toLowerCase()})
              </option>
            ))}
          </select>
        </Choice>
      ) : (
        <Fact label="Organization">{organization?.name ?? (context ? "None" : "…")}</Fact>
      )}
      {onlyProject ? (
        <Fact label="Project">{onlyProject.name}</Fact>
      ) : (
        <Choice label="Project">
          <select
            data-testid="project"
            value={projectId ?? ""}
            disabled={busy || !context}
            onChange={(event) => chooseProject(event.currentTarget.value || null)}
          >
            <option value="">All projects</option>
            {projects.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </Choice>
      )}
      <div className="who" data-testid="who">
        <strong>{credential?.kind === "key" ? "API key" : (person?.name ?? "…")}</strong>
        {person?.email && <span>{person.email}</span>}
      </div>
      <button type="button" className="button" data-testid="signout" disabled={busy} onClick={() => void run(signOut)}>
        {credential?.kind === "key" ? "Stop using key" : "Sign out"}
      </button>
    </div>
  );
}

function Choice({ label, children }: { label: string; children: ReactNode }) {
  return (
    <label className="field">
      <span>{label}</span>
      {children}
    </label>
  );
}

function Fact({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="field">
      <span>{label}</span>
      <strong className="fact">{children}</strong>
    </div>
  );
}
