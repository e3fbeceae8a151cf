import * as monaco from "monaco-graphql/esm/monaco-editor.js";

/** The page's colours for the editors: the same accent as in styles.css, on a transparent ground. */
function define(name: string, base: "vs" | "vs-dark", accent: string, text: string, surface: string, tokens: Record<string, string>): void {
  const clear = "#ffffff00";
  monaco.editor.defineTheme(name, {
    base,
    inherit: true,
    rules: Object.entries(tokens).map(([token, foreground]) => ({ token, foreground })),
    colors: {
      "editor.background": clear,
      "scrollbar.shadow": clear,
      focusBorder: accent,
      "textLink.foreground": accent,
      "textLink.activeForeground": accent,
      "editorLink.activeForeground": accent,
      "editorWidget.background": surface,
      "editorHoverWidget.background": surface,
      "editorSuggestWidget.background": surface,
      "editorSuggestWidget.selectedBackground": `${accent}26`,
      "editorSuggestWidget.foreground": text,
      "editorSuggestWidget.selectedForeground": text,
      "editorSuggestWidget.selectedIconForeground": text,
      "editorSuggestWidget.highlightForeground": accent,
      "editorSuggestWidget.focusHighlightForeground": accent,
      "list.hoverBackground": `${accent}19`,
      "list.highlightForeground": accent,
      "list.focusHighlightForeground": accent,
      "menu.background": surface,
      "menu.foreground": text,
      "menu.selectionForeground": text,
      "menu.selectionBackground": `${accent}26`,
      "quickInput.background": surface,
      "quickInput.foreground": text,
      "quickInputList.focusBackground": `${accent}26`,
      "quickInputList.focusForeground": text,
    },
  });
}

export const editorTheme = { light: "aicos-light", dark: "aicos-dark" };

define(editorTheme.light, "vs", "#4338ca", "#171c2e", "#ffffff", {
  comment: "5b6475",
  keyword: "4338ca",
  "argument.identifier.gql": "8a3ffc",
  "type.identifier.gql": "0f766e",
  "string.key.json": "4338ca",
  "string.value.json": "0f766e",
});
define(editorTheme.dark, "vs-dark", "#a5b4fc", "#eceffa", "#1b2236", {
  comment: "8e9ab3",
  keyword: "a5b4fc",
  "argument.identifier.gql": "c4a7ff",
  "type.identifier.gql": "5eead4",
  "string.key.json": "a5b4fc",
  "string.value.json": "5eead4",
});
