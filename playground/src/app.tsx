import { lazy, Suspense, useEffect } from "react";
import { Header } from "./header";
import { LinkDialog } from "./link-dialog";
import { loadContext } from "./session";

// The editors are most of the page's bytes: the bar is there at once, they follow.
const Explorer = lazy(() => import("./explorer"));

export function App() {
  useEffect(() => void loadContext(), []);
  return (
    <>
      <Header />
      <main>
        <Suspense fallback={<p className="loading">Loading the editors …</p>}>
          <Explorer />
        </Suspense>
      </main>
      <LinkDialog />
    </>
  );
}
