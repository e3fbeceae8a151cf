import { type ComponentProps, createContext, type FormEvent, type ReactNode, useContext, useId, useState } from "react";
import { Refusal, textOf } from "./answers";

interface Complaint {
  id: string;
  fields: string[];
}

const ComplaintContext = createContext<Complaint>({ id: "", fields: [] });

interface FormProps<Name extends string> {
  label: string;
  testId: string;
  submit: string;
  action: (values: Record<Name, string>) => Promise<string | void>;
  className?: string;
  children: ReactNode;
  /** Further buttons, after the one that sends. */
  extra?: ReactNode;
}

/** A form that sends its values to `action` and reads out what comes back: a sentence, or why it was refused. */
export function Form<Name extends string>({ label, testId, submit, action, className, children, extra }: FormProps<Name>) {
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [message, setMessage] = useState<{ tone: "info" | "problem"; text: string } | null>(null);
  const [fields, setFields] = useState<string[]>([]);

  async function onSubmit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    setBusy(true);
    setMessage(null);
    setFields([]);
    try {
      const text = await action(Object.fromEntries(new FormData(form)) as Record<Name, string>);
      if (text) setMessage({ tone: "info", text });
    } catch (failure) {
      setMessage({ tone: "problem", text: textOf(failure) });
      const names = failure instanceof Refusal ? failure.fields : [];
      setFields(names);
      const first = names.map((name) => form.elements.namedItem(name)).find((element) => element instanceof HTMLInputElement);
      first?.focus();
    } finally {
      setBusy(false);
    }
  }

  return (
    <form className={`form ${className ?? ""}`} aria-label={label} data-testid={testId} aria-busy={busy} onSubmit={onSubmit}>
      <ComplaintContext value={{ id, fields }}>{children}</ComplaintContext>
      <div className="form-buttons">
        <button type="submit" className="button primary" disabled={busy} data-testid={`${testId}-submit`}>
          {submit}
        </button>
        {extra}
      </div>
      <p id={id} className="message" role="status" aria-live="polite" data-tone={message?.tone} data-testid={`${testId}-message`}>
        {message?.text}
      </p>
    </form>
  );
}

interface FieldProps extends ComponentProps<"input"> {
  label: string;
  name: string;
}

export function Field({ label, name, ...input }: FieldProps) {
  const complaint = useContext(ComplaintContext);
  const isRefused = complaint.fields.includes(name);
  return (
    <label className="field">
      <span>{label}</span>
      <input name={name} required aria-invalid={isRefused} aria-describedby={isRefused ? complaint.id : undefined} {...input} />
    </label>
  );
}
