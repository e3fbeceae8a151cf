import { applyEdits, format } from "jsonc-parser";
import type { Parser, Printer } from "prettier";

/**
 * GraphiQL formats variables with Prettier's JavaScript parser and printer, half a megabyte for a few lines of JSON.
 * This plugin takes their place: it formats JSON with the small library that GraphiQL reads it with anyway.
 */
interface FormattedText {
  text: string;
}

const jsonc: Parser<FormattedText> = {
  astFormat: "formatted-text",
  parse: (text) => ({ text: applyEdits(text, format(text, undefined, { insertSpaces: true, tabSize: 2 })) }),
  locStart: () => 0,
  locEnd: ({ text }) => text.length,
};

const formattedText: Printer<FormattedText> = { print: (path) => path.node.text };

export const parsers = { jsonc };
export const printers = { "formatted-text": formattedText };
