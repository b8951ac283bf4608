/**
 * Characters that a terminal would obey rather than show: control characters (C0 except line feed and tab, DEL, C1), line and
 * paragraph separators, and the embeddings, overrides and isolates of bidirectional text, which reorder a text.
 */
const UNSAFE = /(?![\n\t])[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

const escapeCharacter = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/**
 * Makes text from a file, a hub or a model safe to write to a terminal: characters that could control it become JSON escapes
 * (`\u001b`). JSON text keeps its value.
 */
export function printable(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** {@link printable}, on one line: line feeds and tabs are escaped too. */
export function printableLine(text: string): string {
  return printable(text).replaceAll("\n", "\\n").replaceAll("\t", "\\t");
}
