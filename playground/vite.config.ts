import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const names = { entryFileNames: "[name].js", chunkFileNames: "[name].js", assetFileNames: "[name][extname]" };
export default defineConfig({
  base: "/playground/",
  plugins: [react()],
  worker: { rolldownOptions: { output: names } },
  build: { assetsDir: "", chunkSizeWarningLimit: 6000, target:"es2022", rolldownOptions: { output: names } },
});
