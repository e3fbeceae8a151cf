import { useRef, useState } from "react";
import { textOf } from "./answers";
import { Field, Form } from "./form";
import { enterWithKey, requestPasswordReset, signIn, signUp } from "./session";
import { setState } from "./store";

const WAYS = { signin: "Sign in", signup: "Create account", key: "API key" } as const;
type Way = keyof typeof WAYS;

/** The bar for a visitor without a credential: three ways in. */
export function Entrance() {
  const [way, setWay] = useState<Way>("signin");
  return (
    <div className="entrance">
      <div className="ways" role="group" aria-label="Way to sign in">
        {(Object.keys(WAYS) as Way[]).map((key) => (
          <button key={key} type="button" aria-pressed={way === key} data-testid={`way-${key}`} onClick={() => setWay(key)}>
            {WAYS[key]}
          </button>
        ))}
      </div>
      {way === "signin" && <SignIn />}
      {way === "signup" && <SignUp />}
      {way === "key" && <ApiKey />}
    </div>
  );
}

function SignIn() {
  const email = useRef<HTMLInputElement>(null);

  async function forgot() {
    if (!email.current?.reportValidity()) return;
    try {
      await requestPasswordReset(email.current.value);
      // The same words for every address: nobody learns here who has an account.
      const text = "If this address has an account, a link for a new password is on its way to it.";
      setState({ notice: { tone: "info", text } });
    } catch (failure) {
      setState({ notice: { tone: "problem", text: textOf(failure) } });
    }
  }

  return (
    <Form
      label="Sign in"
      testId="signin"
      submit="Sign in"
      action={signIn}
      extra={
        <button type="button" className="button quiet" onClick={forgot}>
          Forgot password?
        </button>
      }
    >
      <Field label="E-mail" name="email" type="email" autoComplete="username" ref={email} data-testid="signin-email" />
      <Field label="Password" name="password" type="password" autoComplete="current-password" data-testid="signin-password" />
    </Form>
  );
}

function SignUp() {
  return (
    <Form label="Create account" testId="signup" submit="Create account" action={signUp}>
      <Field label="Your name" name="name" autoComplete="name" data-testid="signup-name" />
      <Field label="E-mail" name="email" type="email" autoComplete="username" data-testid="signup-email" />
      <Field label="Password" name="password" type="password" autoComplete="new-password" data-testid="signup-password" />
      <Field label="Organization" name="organizationName" autoComplete="organization" data-testid="signup-organization" />
    </Form>
  );
}

function ApiKey() {
  return (
    <Form label="Use an API key" testId="key" submit="Use key" action={({ apiKey }: { apiKey: string }) => enterWithKey(apiKey.trim())}>
      <Field label="API key" name="apiKey" type="password" autoComplete="off" data-testid="key-value" />
    </Form>
  );
}
