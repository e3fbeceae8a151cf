import { useState } from "react";
import { payloadOf, type UserError } from "./answers";
import { Field, Form } from "./form";
import { clearFragment } from "./link";
import { Finished } from "./link-dialog";
import emailVerify from "./operations/email-verify.graphql?raw";
import { resetPassword } from "./session";
import { useSession } from "./store";
import { send } from "./transport";

interface Props {
  token: string;
  onClose: () => void;
}

export function PasswordReset({ token, onClose }: Props) {
  const [isDone, setDone] = useState(false);
  const { credential } = useSession();

  async function reset({ newPassword }: { newPassword: string }) {
    await resetPassword({ token, newPassword });
    clearFragment();
    setDone(true);
  }

  if (isDone) {
    return (
      <Finished title="Your password is changed" onClose={onClose}>
        {credential ? "You are signed in with it." : "Sign in with it in the bar above."}
      </Finished>
    );
  }
  return (
    <>
      <h2 id="link-title">Choose a new password</h2>
      <p>Your other sessions end, and you are signed in here.</p>
      <Form label="New password" testId="reset" submit="Change password" className="stacked" action={reset} extra={<NotNow onClose={onClose} />}>
        <Field label="New password" name="newPassword" type="password" autoComplete="new-password" autoFocus data-testid="reset-password" />
      </Form>
    </>
  );
}

/** Asks for a click first: mail scanners open links too, and must not confirm an address that nobody looked at. */
export function EmailVerification({ token, onClose }: Props) {
  const [isDone, setDone] = useState(false);

  async function verify() {
    const request = { query: emailVerify, variables: { input: { token } } };
    payloadOf(await send<{ result: { userErrors: UserError[] } | null }>(request, { anonymous: true }));
    clearFragment();
    setDone(true);
  }

  if (isDone) {
    return (
      <Finished title="Your address is confirmed" onClose={onClose}>
        Thank you. There is nothing else to do.
      </Finished>
    );
  }
  return (
    <>
      <h2 id="link-title">Confirm your e-mail address</h2>
      <p>One click, and we know that mail to this address reaches you.</p>
      <Form label="Confirm e-mail address" testId="verify" submit="Confirm address" className="stacked" action={verify} extra={<NotNow onClose={onClose} />}>
        {null}
      </Form>
    </>
  );
}

function NotNow({ onClose }: { onClose: () => void }) {
  return (
    <button type="button" className="button quiet" onClick={onClose}>
      Not now
    </button>
  );
}
