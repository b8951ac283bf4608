import type { TokenStyle } from "./detokenize.js";

/** The differences between data sets tokenized in the manner of Penn Treebank or Moses. */
interface Conventions {
  /** Endings of contractions that are words of their own: `'s`, `n't`. */
  readonly contractions: RegExp;
  /** Words whose ordinary form differs. */
  readonly written?: Readonly<Record<string, string>>;
  /** Double quotation marks of the data set: opening and closing. Default: `"` for both. */
  readonly quotes?: readonly [opening: string, closing: string];
  /** Marks within words that are words of their own: `@-@` for `-`. */
  readonly infixes?: readonly { readonly word: string; readonly mark: string; readonly between: RegExp }[];
  /** Whether there is punctuation at all. */
  readonly punctuation: boolean;
}

const CLOSING = new Set([",", ".", ";", ":", "!", "?", ")", "]", "%", "...", "”", "’"]);
const OPENING = new Set(["(", "[", "$", "£", "¥", "₱", "#", "“", "‘"]);
const CLOSING_END = /^(.+?)(\.\.\.|[,.;:!?)\]%”’"'])$/su;
const OPENING_START = /^([([$£¥₱#“‘"'])(.+)$/su;
/** Abbreviations that keep their full stop. */
const ABBREVIATION =
  /^(?:(?:\p{L}\.){2,}|[\p{Lu}pv]\.|(?:Nos?|Col|St|vs|Gen|Drs?|Mrs?|Ms|Sr|Jr|Inc|Co|Corp|Ltd|Bros|Capt|Maj|Lt|Sgt|Sen|Rep|Gov|Prof|Rev|Mt|Ft|Jan|Feb|Aug|Sept?|Oct|Nov|Dec|etc|al)\.|\.+)$/u;

/** Words that a single apostrophe makes a genitive; after other words in s it opens a quotation. */
const PLURAL = /(?<!^(?:a|i|wa|ha|hi|thi|it|u))s$/;

/** Styles of the paper's data sets. */
export const TOKEN_STYLES = {
  /** WikiText: Moses, with `@-@`, `@,@` and `@.@` inside words. */
  wikitext: tokenStyle({
    contractions: /^(.+)('\p{L}+)$/su,
    infixes: [
      { word: "@-@", mark: "-", between: /^[^\s-]-[^\s-]$/u },
      { word: "@,@", mark: ",", between: /^[\d>],[\d<]$/u },
      { word: "@.@", mark: ".", between: /^[\d>]\.[\d<]$/u },
      { word: "–", mark: "–", between: /^\d–\d$/u },
      { word: "=", mark: "=", between: /^==$/u },
    ],
    punctuation: true,
  }),
  /** Penn Treebank as Mikolov prepared it: lower case, without punctuation. */
  ptb: tokenStyle({
    contractions: /^(.+)('(?:s|re|ve|m|d|ll)|n't)$/su,
    punctuation: false,
  }),
  /** One Billion Word: Moses, without the marks inside words. */
  billion: tokenStyle({
    contractions: /^(.+)('(?:s|t|re|ve|m|d|ll))$/su,
    punctuation: true,
  }),
  /** Children's Book Test: Penn Treebank with punctuation. */
  treebank: treebank({ "-LRB-": "(", "-RRB-": ")" }),
  /** The original LAMBADA: the same in small letters. */
  treebankLower: treebank({ "-lrb-": "(", "-rrb-": ")" }),
} as const;

function treebank(written: Readonly<Record<string, string>>): TokenStyle {
  return tokenStyle({
    contractions: /^(.+)('(?:s|re|ve|m|d|ll)|n't)$/su,
    written,
    quotes: ["``", "''"],
    punctuation: true,
  });
}

function tokenStyle(conventions: Conventions): TokenStyle {
  const { written = {}, quotes = ['"', '"'], infixes = [] } = conventions;
  const marks = new Map(infixes.map(({ word, mark }) => [word, mark]));
  const write = (word: string): string => {
    if (word === quotes[0] || word === quotes[1]) return '"';
    return marks.get(word) ?? written[word] ?? word;
  };
  return { write, joins: (words) => joins(words, conventions), split: (chunk) => split(chunk, conventions) };
}

/** joins[i]: word i + 1 is joined to word i. */
function joins(words: readonly string[], conventions: Conventions): boolean[] {
  const { contractions, quotes = ['"', '"'], infixes = [], punctuation, written = {} } = conventions;
  const result = words.slice(1).map(() => false);
  const join = (i: number) => {
    if (i >= 0 && i < result.length) result[i] = true;
  };
  let [inDouble, inSingle] = [false, false];
  for (const [i, word] of words.entries()) {
    const before = words[i - 1] ?? "";
    const after = words[i + 1] ?? "";
    const plain = written[word] ?? word;
    const infix = infixes.find((rule) => rule.word === word);
    if (infix?.between.test(before.slice(-1) + infix.mark + after.slice(0, 1))) {
      join(i - 1);
      join(i);
    } else if (infix && word === "=" && before === "=") join(i - 1);
    else if (contractions.test(`x${word}`) && before !== "") join(i - 1);
    else if (word.endsWith("$") && /^[\dN]/.test(after)) join(i);
    else if (word === "'" && PLURAL.test(before) && !inSingle) join(i - 1);
    else if (!punctuation) continue;
    else if (word === quotes[0] || word === quotes[1]) {
      const closing = quotes[0] === quotes[1] ? inDouble : word === quotes[1];
      join(closing ? i - 1 : i);
      inDouble = !closing;
    } else if (word === "'") {
      join(inSingle ? i - 1 : i);
      inSingle = !inSingle;
    } else if (CLOSING.has(plain)) join(i - 1);
    else if (OPENING.has(plain)) join(i);
  }
  return result;
}

/** Splits a chunk, as far as it determines its words. */
function split(chunk: string, conventions: Conventions): string[] {
  const { contractions, quotes = ['"', '"'], punctuation, written = {}, infixes = [] } = conventions;
  const unwritten = new Map(Object.entries(written).map(([word, mark]) => [mark, word]));
  const heading = infixes.some(({ word }) => word === "=") && /^=+$/.test(chunk);
  if (heading) return [...chunk];
  const [start, end]: [string[], string[]] = [[], []];
  let rest = chunk;
  const money = /^(.*\$)([\dN].*)$/su.exec(rest);
  if (punctuation) {
    for (let found = OPENING_START.exec(rest); found; found = OPENING_START.exec(rest)) {
      const mark = found[1]!;
      start.push(mark === '"' ? quotes[0] : (unwritten.get(mark) ?? mark));
      rest = found[2]!;
    }
  } else if (money) {
    start.push(money[1]!);
    rest = money[2]!;
  }
  for (;;) {
    const contraction = contractions.exec(rest);
    const closing = punctuation || rest.endsWith("s'") ? CLOSING_END.exec(rest) : null;
    const found = contraction ?? (ABBREVIATION.test(rest) ? null : closing);
    if (!found) break;
    const mark = found[2]!;
    end.unshift(mark === '"' ? quotes[1] : (unwritten.get(mark) ?? mark));
    rest = found[1]!;
  }
  return [...start, ...splitInside(rest, conventions), ...end];
}

/** `1,000` is `1 @,@ 000`. */
function splitInside(word: string, { infixes = [], quotes = ['"', '"'], written = {} }: Conventions): string[] {
  if (word === '"') return [quotes[0]];
  const words: string[] = [];
  let start = 0;
  for (let i = 1; i + 1 < word.length; i++) {
    const infix = infixes.find(({ mark, between }) => word[i] === mark && between.test(word.slice(i - 1, i + 2)));
    if (!infix) continue;
    words.push(word.slice(start, i), infix.word);
    start = i + 1;
  }
  const unwritten = Object.entries(written).find(([, mark]) => mark === word)?.[0];
  return [...words, unwritten ?? word.slice(start)];
}
