import { type ReactNode, useEffect, useRef } from "react";
import { Invitation } from "./invitation";
import { useLink } from "./link";
import { EmailVerification, PasswordReset } from "./recovery";

/** What a link from a mail asks for, above the page. */
export function LinkDialog() {
  const [link, close] = useLink();
  if (!link) return null;
  const key = `${link.kind} ${link.token}`;
  return (
    <Dialog key={key} onClose={close}>
      {link.kind === "invitation" && <Invitation token={link.token} onClose={close} />}
      {link.kind === "reset" && <PasswordReset token={link.token} onClose={close} />}
      {link.kind === "verify" && <EmailVerification token={link.token} onClose={close} />}
    </Dialog>
  );
}

function Dialog({ onClose, children }: { onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="link-title" data-testid="link-dialog" onClose={onClose}>
      {children}
    </dialog>
  );
}

/** The last step of every link: one sentence and the way back to the page. */
export function Finished({ title, children, onClose }: { title: string; children: ReactNode; onClose: () => void }) {
  return (
    <>
      <h2 id="link-title">{title}</h2>
      <p role="status" data-testid="link-message">
        {children}
      </p>
      <div className="form-buttons">
        <button type="button" className="button primary" autoFocus onClick={onClose}>
          Go to the console
        </button>
      </div>
    </>
  );
}
