/// <reference types="vite/client" />

// Monaco describes its public face only; these parts of it are imported for what they register.
declare module "monaco-editor/esm/vs/*";

interface Window {
  MonacoEnvironment?: import("monaco-editor").Environment;
}
