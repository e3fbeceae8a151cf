import { useEffect, useState } from "react";
import { dataOf, payloadOf, textOf, type UserError } from "./answers";
import { Field, Form } from "./form";
import { clearFragment } from "./link";
import { Finished } from "./link-dialog";
import invitationQuery from "./operations/invitation.graphql?raw";
import invitationAccept from "./operations/invitation-accept.graphql?raw";
import invitationDecline from "./operations/invitation-decline.graphql?raw";
import { signIn, signUp, switchOrganization } from "./session";
import { useSession } from "./store";
import { send } from "./transport";

interface Preview {
  organizationName: string;
  projectName: string | null;
  role: string;
  email: string;
  expiresAt: string;
  status: "PENDING" | "ACCEPTED" | "DECLINED" | "REVOKED" | "EXPIRED";
}

const CLOSED: Record<Exclude<Preview["status"], "PENDING">, string> = {
  ACCEPTED: "This invitation is already accepted. Sign in to work in the organization.",
  DECLINED: "This invitation was declined. Ask for a new one if that was a mistake.",
  REVOKED: "This invitation was withdrawn. Ask the person who invited you.",
  EXPIRED: "This invitation has expired. Ask for a new one.",
};

interface Props {
  token: string;
  onClose: () => void;
}

export function Invitation({ token, onClose }: Props) {
  const [preview, setPreview] = useState<Preview | null>(null);
  const [outcome, setOutcome] = useState<{ title: string; text: string } | null>(null);

  function finish(title: string, text: string) {
    clearFragment();
    setOutcome({ title, text });
  }

  useEffect(() => {
    let isCurrent = true;
    send<{ invitation: Preview | null }>({ query: invitationQuery, variables: { token } }, { anonymous: true })
      .then((answer) => {
        if (!isCurrent) return;
        const { invitation } = dataOf(answer);
        if (!invitation) finish("No such invitation", "The link is incomplete or no longer valid. Ask for a new one.");
        else if (invitation.status !== "PENDING") finish(`Invitation to ${invitation.organizationName}`, CLOSED[invitation.status]);
        else setPreview(invitation);
      })
      .catch((failure) => isCurrent && setOutcome({ title: "The invitation could not be read", text: textOf(failure) }));
    return () => {
      isCurrent = false;
    };
  }, [token]);

  if (outcome) {
    return (
      <Finished title={outcome.title} onClose={onClose}>
        {outcome.text}
      </Finished>
    );
  }
  if (!preview) return <h2 id="link-title">Reading your invitation …</h2>;
  return (
    <>
      <h2 id="link-title">Join {preview.organizationName}</h2>
      <dl className="facts">
        {preview.projectName && (
          <div>
            <dt>Project</dt>
            <dd>{preview.projectName}</dd>
          </div>
        )}
        <div>
          <dt>Role</dt>
          <dd>{preview.role.toLowerCase()}</dd>
        </div>
        <div>
          <dt>For</dt>
          <dd>{preview.email}</dd>
        </div>
        <div>
          <dt>Open until</dt>
          <dd>{new Intl.DateTimeFormat("en", { dateStyle: "long", timeStyle: "short" }).format(new Date(preview.expiresAt))}</dd>
        </div>
      </dl>
      <Answer token={token} preview={preview} onClose={onClose} finish={finish} />
    </>
  );
}

interface AnswerProps extends Props {
  preview: Preview;
  finish: (title: string, text: string) => void;
}

/** Accept as the person who is signed in, or become one first: with a new account, or with the one that exists. */
function Answer({ token, preview, onClose, finish }: AnswerProps) {
  const { credential, context } = useSession();
  const [hasAccount, setHasAccount] = useState(false);
  const welcome = () => finish("Welcome", `You now belong to ${preview.organizationName}.`);

  async function accept() {
    const request = { query: invitationAccept, variables: { input: { token } } };
    const { organization } = payloadOf(
      await send<{ result: { organization: { id: string } | null; userErrors: UserError[] } | null }>(request, { ignoreProject: true }),
    );
    if (organization) await switchOrganization(organization.id);
    welcome();
  }

  async function decline() {
    const request = { query: invitationDecline, variables: { input: { token } } };
    payloadOf(await send<{ result: { userErrors: UserError[] } | null }>(request, { ignoreProject: true }));
    finish("Invitation declined", `You will not join ${preview.organizationName}.`);
  }

  async function join({ name, password }: { name: string; password: string }) {
    await signUp({ email: preview.email, name, password, invitationToken: token });
    welcome();
  }

  const later = (
    <button type="button" className="button quiet" onClick={onClose}>
      Not now
    </button>
  );

  if (credential?.kind === "tokens") {
    const person = context?.person;
    return (
      <>
        {person && (
          <p>
            You are signed in as <strong>{person.name}</strong>
            {person.email && person.email !== preview.email && ` (${person.email}), which is another address than the invitation's`}.
          </p>
        )}
        <Form label="Accept the invitation" testId="invitation-accept" submit="Accept" className="stacked" action={accept} extra={later}>
          {null}
        </Form>
        {/* Only whom it is for may turn it down; everybody else just leaves it. */}
        <Form label="Decline" testId="invitation-decline" submit="Decline" className="aside" action={decline}>
          {null}
        </Form>
      </>
    );
  }
  return (
    <>
      <div className="ways" role="group" aria-label="Account">
        <button type="button" aria-pressed={!hasAccount} data-testid="invitation-new" onClick={() => setHasAccount(false)}>
          I am new here
        </button>
        <button type="button" aria-pressed={hasAccount} data-testid="invitation-known" onClick={() => setHasAccount(true)}>
          I have an account
        </button>
      </div>
      {hasAccount ? (
        <Form label="Sign in" testId="invitation-signin" submit="Sign in" className="stacked" action={signIn} extra={later}>
          <Field label="E-mail" name="email" type="email" autoComplete="username" defaultValue={preview.email} />
          <Field label="Password" name="password" type="password" autoComplete="current-password" />
        </Form>
      ) : (
        <Form label="Create account and join" testId="invitation-signup" submit="Create account and join" className="stacked" action={join} extra={later}>
          <Field label="Your name" name="name" autoComplete="name" />
          <Field label="Password" name="password" type="password" autoComplete="new-password" />
        </Form>
      )}
    </>
  );
}
