/**
 * How the LM evaluation harness (task wikitext, version 2) writes a page of WikiText before scoring it. It is not
 * invertible: what it merges cannot be told apart again. Here only to reproduce the harness's figures.
 */

/** Replaced everywhere, in this order. */
const BEFORE_BRACKETS: readonly (readonly [string | RegExp, string])[] = [
  ["s '", "s'"],
  [/\/' [0-9]\//g, "/'[0-9]/"],
  [" @-@ ", "-"],
  [" @,@ ", ","],
  [" @.@ ", "."],
  [" : ", ": "],
  [" ; ", "; "],
  [" . ", ". "],
  [" ! ", "! "],
  [" ? ", "? "],
  [" , ", ", "],
];

/** White space inside a pair goes. */
const PAIRS: readonly (readonly [RegExp, string])[] = [
  [/\(\s*([^)]*?)\s*\)/g, "($1)"],
  [/\[\s*([^\]]*?)\s*\]/g, "[$1]"],
  [/\{\s*([^}]*?)\s*\}/g, "{$1}"],
  [/"\s*([^"]*?)\s*"/g, '"$1"'],
  [/'\s*([^']*?)\s*'/g, "'$1'"],
];

const AFTER_BRACKETS: readonly (readonly [string, string])[] = [
  ["= = = =", "===="],
  ["= = =", "==="],
  ["= =", "=="],
  [" ° ", "°"],
  [" \n", "\n"],
  ["\n ", "\n"],
  [" N ", " 1 "],
  [" 's", "'s"],
];

/** A page as the harness scores it. */
export function harnessWikitext(page: string): string {
  return [...BEFORE_BRACKETS, ...PAIRS, ...AFTER_BRACKETS].reduce(
    (text, [from, to]) => (typeof from === "string" ? text.replaceAll(from, () => to) : text.replace(from, to)),
    page,
  );
}

/**
 * The pages that the harness scores (EleutherAI/wikitext_document_level): cut before level-one headings, without the line
 * end between two pages.
 */
export function harnessPages(text: string): string[] {
  const pages: string[] = [];
  let lines: string[] = [];
  for (const line of text.split("\n")) {
    const title = line.replaceAll("= = =", "===").replaceAll("= =", "==").trim();
    if (title.startsWith("= ") && title.endsWith(" =")) {
      if (lines.some((before) => before.trim() !== "")) pages.push(lines.join("\n"));
      lines = [];
    }
    lines.push(line);
  }
  return [...pages, lines.join("\n")];
}
