// Builds the page into a temporary folder and compares every byte with dist, which is committed.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const root = fileURLToPath(new URL("../", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "aicos-playground-"));
try {
  await build({ root, logLevel: "warn", build: { outDir: fresh, emptyOutDir: true } });
  const expected = filesOf(fresh);
  const actual = filesOf(join(root, "dist"));
  const differing = [...new Set([...expected.keys(), ...actual.keys()])]
    .filter((name) => !expected.get(name)?.equals(actual.get(name) ?? Buffer.alloc(0)))
    .sort();
  if (differing.length > 0) {
    console.error(`dist is not what the sources build (${differing.join(", ")}): run \`npm ci && npm run build\` and commit dist.`);
    process.exitCode = 1;
  } else {
    console.log(`dist is what the sources build: ${expected.size} files, byte for byte.`);
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}

/** Every file's bytes by its name; the build has no folders inside. */
function filesOf(folder) {
  try {
    return new Map(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  } catch (failure) {
    if (failure.code === "ENOENT") return new Map();
    throw failure;
  }
}
