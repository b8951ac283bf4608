/**
 * The LM evaluation harness's de-tokenization of WikiText (task wikitext, version 2). It is not invertible, and serves only
 * to reproduce the harness's figures.
 */

/** Replacements, in this order. */
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

/** White space inside pairs is removed. */
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

/** De-tokenizes a page as the harness does. */
export function harnessWikitext(page: string): string {
  return [...BEFORE_BRACKETS, ...PAIRS, ...AFTER_BRACKETS].reduce(
    (text, [from, to]) => (typeof from === "string" ? text.replaceAll(from, () => to) : text.replace(from, to)),
    page,
  );
}

/**
 * The pages that the harness scores (EleutherAI/wikitext_document_level): split before level-one headings, without the line
 * feed between two pages.
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
