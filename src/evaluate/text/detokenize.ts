/**
 * Invertible de-tokenizers. Language-modelling sets come cut into words with a space between any two: `it did n't , he
 * said`. GPT-2 has seen ordinary text, so the paper scores `it didn't, he said` (section 3.1), and since the original can
 * be had back from it, that is a probability of the original text. These are ours; the paper's were not published.
 *
 * How it stays invertible: the text is a row of chunks with spaces between. A chunk is written only if cutting it up again
 * ({@link TokenStyle.split}, which sees nothing but the chunk) gives exactly the words it is made of; words that would not
 * come back are written apart, and a word that would not come back even alone is marked by an additional space before it.
 */

/** How one data set's words are written together, and cut apart again. */
export interface TokenStyle {
  /** For each word but the first of a line, whether it is to be written against the one before. */
  readonly joins: (words: readonly string[]) => readonly boolean[];
  /** A word as it is written: `@-@` as `-`. */
  readonly write: (word: string) => string;
  /** The words that a written chunk was made of; a guess that is checked. */
  readonly split: (chunk: string) => readonly string[];
}

/** Starts a line that is kept as it is. */
const RAW = "\r";

/**
 * Whether lines have a space before their first word and after their last, as WikiText's and Penn Treebank's do; told by
 * the first that is not blank.
 */
export function isFramed(text: string): boolean {
  const line = text.split("\n").find((candidate) => candidate.trim() !== "") ?? "";
  return line.startsWith(" ") && line.endsWith(" ");
}

/**
 * A text of lines of words, as the data set has it, as ordinary text.
 *
 * @param framed {@link isFramed}; inverting needs the same.
 */
export function detokenizeText(text: string, style: TokenStyle, framed: boolean): string {
  return mapLines(text, (line, isLast) => {
    // An empty last line means that the text ends with a line end; a blank one must not look like it.
    if (line === "" && (isLast || !framed)) return "";
    if (line === " " && framed && !isLast) return "";
    const hasFrame = line.length >= 2 && line.startsWith(" ") && line.endsWith(" ");
    const words = framed ? line.slice(1, -1) : line;
    const written = hasFrame || !framed ? detokenizeLine(words, style) : RAW;
    return written.startsWith(RAW) || written === "" ? RAW + line : written;
  });
}

/** What {@link detokenizeText} was given. */
export function retokenizeText(text: string, style: TokenStyle, framed: boolean): string {
  return mapLines(text, (line, isLast) => {
    if (line === "") return isLast || !framed ? "" : " ";
    if (line.startsWith(RAW)) return line.slice(RAW.length);
    const words = retokenizeLine(line, style);
    return framed ? ` ${words} ` : words;
  });
}

function mapLines(text: string, f: (line: string, isLast: boolean) => string): string {
  const lines = text.split("\n");
  return lines.map((line, i) => f(line, i === lines.length - 1)).join("\n");
}

/** Words with a space between any two, as ordinary text. */
export function detokenizeLine(line: string, style: TokenStyle): string {
  const words = line.split(" ");
  const joins = style.joins(words);
  const chunks: string[] = [];
  for (let start = 0; start < words.length; ) {
    let end = start + 1;
    while (end < words.length && joins[end - 1]) end++;
    while (end > start && !comesBack(words.slice(start, end), style)) end--;
    // Not even the word alone: after an empty chunk stands a word as it is.
    if (end === start) chunks.push("", words[start]!);
    else chunks.push(words.slice(start, end).map(style.write).join(""));
    start = Math.max(end, start + 1);
  }
  return chunks.join(" ");
}

/** What {@link detokenizeLine} was given. */
export function retokenizeLine(line: string, style: TokenStyle): string {
  const words: string[] = [];
  const chunks = line.split(" ");
  for (let i = 0; i < chunks.length; i++) {
    if (chunks[i] === "") words.push(chunks[++i]!);
    else words.push(...style.split(chunks[i]!));
  }
  return words.join(" ");
}

function comesBack(words: readonly string[], { write, split }: TokenStyle): boolean {
  const chunk = words.map(write).join("");
  if (chunk === "" || chunk.includes(" ")) return false;
  const again = split(chunk);
  return again.length === words.length && again.every((word, i) => word === words[i]);
}
