import { type Answer, dataOf, isCredentialRefused, payloadOf, Refusal, textOf, type UserError } from "./answers";
import contextQuery from "./operations/context.graphql?raw";
import login from "./operations/login.graphql?raw";
import logout from "./operations/logout.graphql?raw";
import organizationSwitch from "./operations/organization-switch.graphql?raw";
import passwordReset from "./operations/password-reset.graphql?raw";
import passwordResetRequest from "./operations/password-reset-request.graphql?raw";
import signup from "./operations/signup.graphql?raw";
import { forget, getState, type Named, setState } from "./store";
import { type AuthPayload, send } from "./transport";

type AuthAnswer = { result: AuthPayload | null };

export async function signIn(input: { email: string; password: string }): Promise<void> {
  await enter(await send<AuthAnswer>({ query: login, variables: { input } }, { anonymous: true }));
}

export async function signUp(input: {
  email: string;
  password: string;
  name: string;
  organizationName?: string;
  invitationToken?: string;
}): Promise<void> {
  await enter(await send<AuthAnswer>({ query: signup, variables: { input } }, { anonymous: true }));
}

export async function resetPassword(input: { token: string; newPassword: string }): Promise<void> {
  await enter(await send<AuthAnswer>({ query: passwordReset, variables: { input } }, { anonymous: true }));
}

export async function requestPasswordReset(email: string): Promise<void> {
  const request = { query: passwordResetRequest, variables: { input: { email } } };
  payloadOf(await send<{ result: { userErrors: UserError[] } | null }>(request, { anonymous: true }));
}

/** Tries the key before it takes it, so that a mistyped one stays in its form. */
export async function enterWithKey(apiKey: string): Promise<void> {
  const answer = await send<ContextData>({ query: contextQuery }, { headers: { "X-API-Key": apiKey } });
  if (isRefused(answer)) throw new Refusal(KEY_REFUSED, [], ["apiKey"]);
  const data = dataOf(answer);
  setState({ credential: { kind: "key", apiKey }, projectId: null, notice: null });
  setContext(data);
}

export async function switchOrganization(organizationId: string): Promise<void> {
  await enter(await send<AuthAnswer>({ query: organizationSwitch, variables: { input: { organizationId } } }));
}

export function chooseProject(projectId: string | null): void {
  setState({ projectId });
}

/** Ends the session on the server as well; on this page it ends whatever the server says. */
export async function signOut(): Promise<void> {
  if (getState().credential?.kind !== "tokens") return forget();
  try {
    payloadOf(
      await send<{ result: { userErrors: UserError[] } | null }>({ query: logout, variables: { input: {} } }),
    );
    forget({ tone: "info", text: "You are signed out." });
  } catch (failure) {
    if (!getState().credential) return;
    const text = `You are signed out on this page, but the server could not end the session. (${textOf(failure)})`;
    forget({ tone: "problem", text });
  }
}

/** Takes the tokens of a sign-in, and asks the server whose they are. */
async function enter(answer: Answer<AuthAnswer>): Promise<void> {
  const { accessToken, refreshToken } = payloadOf(answer);
  if (!accessToken || !refreshToken) {
    setState({ notice: { tone: "info", text: "Almost done: follow the link in the mail that we sent you, then sign in." } });
    return;
  }
  setState({ credential: { kind: "tokens", accessToken, refreshToken }, projectId: null, notice: null });
  await loadContext();
}

interface ContextData {
  viewer: {
    id: string;
    name: string;
    email: string | null;
    memberships: { nodes: { id: string; role: string; organization: (Named & { deletedAt: string | null }) | null }[] } | null;
  } | null;
  credential: { kind: "SESSION" | "API_KEY"; organization: Named | null; project: Named | null } | null;
  organization: (Named & { projects: { nodes: (Named & { archivedAt: string | null })[] } | null }) | null;
}

const KEY_REFUSED = "The server does not accept this API key.";
const SESSION_ENDED = "Your session has ended, please sign in again.";

/** `credential` is null for anonymous callers: the credential is not good then, even when no error says so. */
function isRefused(answer: Answer<ContextData>): boolean {
  return isCredentialRefused(answer) || answer.data?.credential === null;
}

let loads = 0;

/** Reads who the credential belongs to and what there is to choose from. */
export async function loadContext(): Promise<void> {
  if (!getState().credential) return;
  const load = ++loads;
  try {
    const answer = await send<ContextData>(
      { query: contextQuery },
      { ignoreProject: true, isRefused },
    );
    const { credential } = getState();
    // Signed out meanwhile, or a later load is under way that knows better.
    if (!credential || load !== loads) return;
    if (isRefused(answer)) return forget({ tone: "problem", text: credential.kind === "key" ? KEY_REFUSED : SESSION_ENDED });
    setContext(dataOf(answer));
  } catch (failure) {
    setState({ notice: { tone: "problem", text: textOf(failure) } });
  }
}

function setContext({ viewer, credential, organization }: ContextData): void {
  const memberships = (viewer?.memberships?.nodes ?? []).flatMap(({ id, role, organization }) =>
    organization && !organization.deletedAt ? [{ id, role, organization }] : [],
  );
  const projects = (organization?.projects?.nodes ?? []).filter(({ archivedAt }) => !archivedAt);
  const { projectId } = getState();
  setState({
    context: {
      person: viewer,
      memberships,
      organization: organization ?? credential?.organization ?? null,
      projects,
      onlyProject: credential?.project ?? null,
    },
    projectId: projects.some(({ id }) => id === projectId) ? projectId : null,
  });
}
