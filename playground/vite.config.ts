import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// Names without hashes: the server revalidates every file, and a rebuild gives the same bytes under the same names.
const names = {
  entryFileNames: "[name].js",
  chunkFileNames: "[name].js",
  assetFileNames: "[name][extname]",
};

export default defineConfig({
  base: "/playground/",
  plugins: [react()],
  resolve: {
    alias: [
      { find: "./editor.all.js", replacement: here("src/editor/features.ts") },
      { find: "prettier/plugins/estree", replacement: here("src/editor/json-format.ts") },
      { find: "prettier/parser-babel", replacement: here("src/editor/json-format.ts") },
    ],
  },
  worker: { rolldownOptions: { output: names } },
  build: {
    assetsDir: "",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 3500,
    license: { fileName: "licenses.md" },
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        ...names,
        codeSplitting: {
          groups: [
            // Apart from the editors, so that the bar does not wait for them.
            { name: "preload", test: /vite\/preload-helper/, priority: 1 },
            { name: "prettier", test: /node_modules\/prettier\// },
            { name: "monaco", test: /node_modules\/monaco-(editor|graphql)\/|src\/editor\/features/ },
          ],
        },
      },
      // The libraries carry "use no memo" for a compiler that is not part of this build.
      onLog: (level, log, handler) => {
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") handler(level, log);
      },
    },
  },
});
