import { useEffect, useState } from "react";

/**
 * Links in mails and from the command line carry their token in the fragment, which browsers keep to themselves: it
 * never reaches a server's log or another site's Referer.
 */
export interface Link {
  kind: "invitation" | "reset" | "verify";
  token: string;
}

function readLink(): Link | null {
  const [, kind, query] = /^#\/(invitation|reset|verify)\?(.*)$/.exec(location.hash) ?? [];
  const token = new URLSearchParams(query).get("token");
  return kind && token ? { kind: kind as Link["kind"], token } : null;
}

/** Takes the token out of the address and of the browser's history, once it is used or turned down. */
export function clearFragment(): void {
  history.replaceState(null, "", location.pathname + location.search);
}

/** The link that the page was opened with, and how to put it away. */
export function useLink(): [Link | null, () => void] {
  const [link, setLink] = useState(readLink);
  useEffect(() => {
    const follow = () => setLink(readLink());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  function close() {
    clearFragment();
    setLink(null);
  }
  return [link, close];
}
