import { Account } from "./account";
import { Entrance } from "./entrance";
import { useSession } from "./store";

export function Header() {
  const { credential, notice } = useSession();
  return (
    <header className="bar">
      <div className="bar-row">
        <Brand />
        {credential ? <Account /> : <Entrance />}
      </div>
      <p className="notice message" role="status" aria-live="polite" data-tone={notice?.tone} data-testid="notice">
        {notice?.text}
      </p>
    </header>
  );
}

function Brand() {
  return (
    <div className="brand">
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="8" />
        <path d="M16 8 8.5 22h15z" />
        <circle cx="16" cy="8" r="3.4" />
        <circle cx="8.5" cy="22" r="3.4" />
        <circle cx="23.5" cy="22" r="3.4" />
      </svg>
      <h1>
        aicos <span>GraphQL console</span>
      </h1>
    </div>
  );
}
