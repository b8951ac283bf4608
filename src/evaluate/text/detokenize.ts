/**
 * Invertible de-tokenizers. Language-modelling sets are split into words with a space between any two: `it did n't , he
 * said`. GPT-2 was trained on ordinary text, so the paper scores `it didn't, he said` (section 3.1); since the original can
 * be recovered from it, that is a probability of the original text. The paper's de-tokenizers were not published; these are
 * our own.
 *
 * Why they are invertible: the text is a sequence of chunks separated by spaces. Words are joined to a chunk only if
 * splitting the chunk ({@link TokenStyle.split}, which sees nothing else) gives back exactly these words; otherwise they
 * stay apart, and a word that does not come back even alone is marked by an additional space before it.
 */

/** How a data set's words are joined, and split again. */
export interface TokenStyle {
  /** For each word of a line but the first, whether to join it to the one before. */
  readonly joins: (words: readonly string[]) => readonly boolean[];
  /** A word in ordinary text: `-` for `@-@`. */
  readonly write: (word: string) => string;
  /** The words of a chunk, as a guess that is verified. */
  readonly split: (chunk: string) => readonly string[];
}

/** Marks a line that is kept unchanged. */
const RAW = "\r";

/**
 * Whether lines have a space before their first word and after their last, as in WikiText and Penn Treebank; decided by the
 * first line that is not blank.
 */
export function isFramed(text: string): boolean {
  const line = text.split("\n").find((candidate) => candidate.trim() !== "") ?? "";
  return line.startsWith(" ") && line.endsWith(" ");
}

/**
 * Ordinary text for lines of words of a data set.
 *
 * @param framed {@link isFramed}; the inverse needs the same
 */
export function detokenizeText(text: string, style: TokenStyle, framed: boolean): string {
  return mapLines(text, (line, isLast) => {
    // An empty last line means that the text ends with a line feed; a blank last line must not look the same.
    if (line === "" && (isLast || !framed)) return "";
    if (line === " " && framed && !isLast) return "";
    const hasFrame = line.length >= 2 && line.startsWith(" ") && line.endsWith(" ");
    const words = framed ? line.slice(1, -1) : line;
    const written = hasFrame || !framed ? detokenizeLine(words, style) : RAW;
    return written.startsWith(RAW) || written === "" ? RAW + line : written;
  });
}

/** Inverse of {@link detokenizeText}. */
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

/** Ordinary text for words separated by spaces. */
export function detokenizeLine(line: string, style: TokenStyle): string {
  const words = line.split(" ");
  const joins = style.joins(words);
  const chunks: string[] = [];
  for (let start = 0; start < words.length; ) {
    let end = start + 1;
    while (end < words.length && joins[end - 1]) end++;
    while (end > start && !comesBack(words.slice(start, end), style)) end--;
    // Not even the word alone comes back: an empty chunk precedes it, and it is kept unchanged.
    if (end === start) chunks.push("", words[start]!);
    else chunks.push(words.slice(start, end).map(style.write).join(""));
    start = Math.max(end, start + 1);
  }
  return chunks.join(" ");
}

/** Inverse of {@link detokenizeLine}. */
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
  const words2 = split(chunk);
  return words2.length === words.length && words2.every((word, i) => word === words[i]);
}
