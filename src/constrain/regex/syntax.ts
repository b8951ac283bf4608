import { ConstraintError } from "../../errors.js";
import { type CodePoints, codePoints, complement, matchedBy } from "./code-points.js";

/** A parsed regular expression. */
export type Pattern =
  | { readonly kind: "characters"; readonly ranges: CodePoints; readonly at: number }
  | { readonly kind: "sequence" | "either"; readonly parts: readonly Pattern[]; readonly at: number }
  | {
      readonly kind: "repeat";
      readonly part: Pattern;
      readonly min: number;
      readonly max: number;
      readonly at: number;
    }
  | { readonly kind: "start" | "end"; readonly at: number };

const MOST_DEPTH = 200;
const MOST_LENGTH = 100_000;
const MOST_REPEATS = 1_000_000;

const DIGIT: CodePoints = [[0x30, 0x39]];
const WORD: CodePoints = codePoints([...DIGIT, [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]);
/** White space and line breaks, as in ECMA-262. */
const SPACE: CodePoints = codePoints([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);
const LINE_BREAKS: CodePoints = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 };

/**
 * Parses a regular expression in JavaScript's syntax with the flag u, and most of Rust's: without look-around, back
 * references and word boundaries, which this kind of automaton cannot express.
 *
 * @throws {ConstraintError} naming the position.
 */
export function parsePattern(source: string): Pattern {
  return new PatternParser(source).parse();
}

class PatternParser {
  readonly #source: string;
  readonly #text: string[];
  #at = 0;
  #depth = 0;
  #dotAll = false;
  #ignoreCase = false;

  constructor(source: string) {
    this.#source = source;
    if (source.length > MOST_LENGTH) this.#fail(`at most ${MOST_LENGTH} characters`, `${source.length}`);
    this.#text = [...source];
  }

  parse(): Pattern {
    for (let flags = this.#flags(); flags; flags = this.#flags()) {
      if (flags.includes("s")) this.#dotAll = true;
      if (flags.includes("i")) this.#ignoreCase = true;
    }
    const pattern = this.#either();
    if (this.#at < this.#text.length) this.#fail("the end, or ( before it");
    return pattern;
  }

  /** Flags for the whole expression, as in Rust and Python. */
  #flags(): string | undefined {
    const match = /^\(\?([isu]+)\)/.exec(this.#text.slice(this.#at, this.#at + 8).join(""));
    if (match) this.#at += match[0].length;
    return match?.[1];
  }

  #either(): Pattern {
    const at = this.#at;
    if (++this.#depth > MOST_DEPTH) this.#fail(`at most ${MOST_DEPTH} levels of groups`, "more");
    const parts = [this.#sequence()];
    while (this.#take("|")) parts.push(this.#sequence());
    this.#depth--;
    return parts.length === 1 ? parts[0]! : { kind: "either", parts, at };
  }

  #sequence(): Pattern {
    const at = this.#at;
    const parts: Pattern[] = [];
    for (let c = this.#peek(); c !== undefined && c !== "|" && c !== ")"; c = this.#peek()) {
      parts.push(this.#quantified());
    }
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts, at };
  }

  #quantified(): Pattern {
    const at = this.#at;
    let part = this.#atom();
    for (;;) {
      const counts = this.#counts();
      if (!counts) return part;
      if (part.kind === "start" || part.kind === "end") this.#fail("something to repeat", "an anchor", at);
      const [min, max] = counts;
      // A lazy quantifier matches the same texts.
      if (!this.#take("?") && this.#peek() === "+") this.#fail("no possessive quantifier");
      part = { kind: "repeat", part, min, max, at };
    }
  }

  #counts(): readonly [min: number, max: number] | undefined {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    if (this.#peek() !== "{") return undefined;
    const match = /^\{(\d+)(?:(,)(\d*))?\}/.exec(this.#text.slice(this.#at, this.#at + 40).join(""));
    if (!match) this.#fail("{n}, {n,} or {n,m}; a brace as such is \\{");
    const [whole, least, comma, most] = match;
    const min = Number(least);
    const max = comma === undefined ? min : most === "" ? Number.POSITIVE_INFINITY : Number(most);
    if (max < min) this.#fail("bounds in order", whole);
    if (min > MOST_REPEATS || (max > MOST_REPEATS && max < Number.POSITIVE_INFINITY))
      this.#fail(`at most ${MOST_REPEATS} repetitions`, whole);
    this.#at += whole.length;
    return [min, max];
  }

  #atom(): Pattern {
    const at = this.#at;
    const c = this.#text[this.#at++]!;
    if (c === "^") return { kind: "start", at };
    if (c === "$") return { kind: "end", at };
    if (c === "(") return this.#group(at);
    if (c === "[") return this.#characters(this.#class(), at);
    if (c === ".") return this.#characters(this.#dotAll ? complement([]) : complement(LINE_BREAKS), at);
    if (c === "\\") return this.#characters(this.#escape(false), at);
    if (c === "*" || c === "+" || c === "?" || c === "{") this.#fail("something to repeat", c, at);
    return this.#characters(single(c.codePointAt(0)!), at);
  }

  #characters(ranges: CodePoints, at: number): Pattern {
    return { kind: "characters", ranges: this.#ignoreCase ? bothCases(ranges) : ranges, at };
  }

  #group(at: number): Pattern {
    if (this.#take("?")) {
      const name = /^(?::|P?<(?![=!])[\p{L}_][\p{L}\p{N}_]*>)/u.exec(
        this.#text.slice(this.#at, this.#at + 80).join(""),
      );
      if (!name) this.#fail("a group (…), (?:…) or (?<name>…): look-around and flags inside are not supported");
      this.#at += [...name[0]].length;
    }
    const inner = this.#either();
    if (!this.#take(")")) this.#fail("( to be closed by )", "the end", at);
    return inner;
  }

  /** Parses a class, after `[`. */
  #class(): CodePoints {
    const start = this.#at - 1;
    const negated = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      if (this.#at >= this.#text.length) this.#fail("[ to be closed by ]", "the end", start);
      const from = this.#classAtom();
      const isRange =
        this.#peek() === "-" && this.#text[this.#at + 1] !== "]" && this.#text[this.#at + 1] !== undefined;
      if (!isRange) {
        ranges.push(...from);
        continue;
      }
      const at = this.#at++;
      const to = this.#classAtom();
      const [low, high] = [from[0]?.[0], to[0]?.[1]];
      if (!isSingle(from) || !isSingle(to) || low! > high!) this.#fail("a range of characters in order", "another", at);
      ranges.push([low!, high!]);
    }
    return negated ? complement(this.#ignoreCase ? bothCases(ranges) : ranges) : codePoints(ranges);
  }

  #classAtom(): CodePoints {
    const c = this.#text[this.#at++];
    if (c === undefined) this.#fail("a character");
    if (c === "[" && this.#peek() === ":") this.#fail("a class without [: :]");
    return c === "\\" ? this.#escape(true) : single(c.codePointAt(0)!);
  }

  /** Parses an escape, after a backslash. */
  #escape(inClass: boolean): CodePoints {
    const at = this.#at - 1;
    const c = this.#text[this.#at++];
    if (c === undefined) this.#fail("a character after \\", "the end", at);
    if (c === "d") return DIGIT;
    if (c === "D") return complement(DIGIT);
    if (c === "w") return WORD;
    if (c === "W") return complement(WORD);
    if (c === "s") return SPACE;
    if (c === "S") return complement(SPACE);
    if (c === "p" || c === "P") return this.#property(c, at);
    if (c === "x" || c === "u" || c === "U") return single(this.#codePoint(c, at));
    if (c === "b" && inClass) return single(8);
    if (c === "0" && !/\d/.test(this.#peek() ?? "")) return single(0);
    if (c === "c" && /[A-Za-z]/.test(this.#peek() ?? "")) return single(this.#text[this.#at++]!.charCodeAt(0) & 31);
    const control = CONTROLS[c];
    if (control !== undefined) return single(control);
    if (/[A-Za-z0-9]/.test(c)) this.#fail("an escape that is supported: no \\b, \\B and back references", `\\${c}`, at);
    return single(c.codePointAt(0)!);
  }

  #property(letter: string, at: number): CodePoints {
    const match = /^(?:\{[\w=]+\}|[A-Z])/.exec(this.#text.slice(this.#at, this.#at + 60).join(""));
    if (!match) this.#fail(`\\${letter}{NAME}`, undefined, at);
    this.#at += match[0].length;
    const name = match[0].replace(/^(.)$/, "{$1}");
    try {
      const ranges = matchedBy(`\\p${name}`);
      return letter === "p" ? ranges : complement(ranges);
    } catch {
      return this.#fail("a property of Unicode", `\\${letter}${name}`, at);
    }
  }

  /** The digits of \xHH, \uHHHH (two of them for a surrogate pair) or \u{H…}. */
  #codePoint(letter: string, at: number): number {
    const rest = this.#text.slice(this.#at, this.#at + 12).join("");
    const digits = { x: /^[0-9a-f]{2}/i, u: /^[0-9a-f]{4}/i, U: /^[0-9a-f]{8}/i }[letter]!;
    const match = /^\{([0-9a-f]{1,6})\}/i.exec(rest) ?? digits.exec(rest);
    if (!match) this.#fail(`hexadecimal digits after \\${letter}`, undefined, at);
    this.#at += match[0].length;
    const value = Number.parseInt(match[1] ?? match[0], 16);
    const low = /^\\u(d[c-f][0-9a-f]{2})/i.exec(rest.slice(match[0].length));
    if (value >= 0xd800 && value <= 0xdbff && low) {
      this.#at += low[0].length;
      return 0x10000 + ((value & 0x3ff) << 10) + (Number.parseInt(low[1]!, 16) & 0x3ff);
    }
    if (value > 0x10ffff) this.#fail("a code point", match[0], at);
    return value;
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #take(c: string): boolean {
    if (this.#text[this.#at] !== c) return false;
    this.#at++;
    return true;
  }

  #fail(expected: string, got = this.#text[this.#at] ?? "the end", position = this.#at): never {
    const short = this.#source.length > 80 ? `${this.#source.slice(0, 80)}…` : this.#source;
    throw new ConstraintError({ op: `regex ${short}: position ${position}`, expected, got, at: String(position) });
  }
}

const single = (codePoint: number): CodePoints => [[codePoint, codePoint]];

const isSingle = (ranges: CodePoints): boolean => ranges.length === 1 && ranges[0]![0] === ranges[0]![1];

/** Adds the characters that differ only in case. */
function bothCases(ranges: CodePoints): CodePoints {
  const added: [number, number][] = [];
  for (const [from, to] of ranges) {
    for (let c = from; c <= Math.min(to, 0x1e943); c++) {
      const text = String.fromCodePoint(c);
      for (const other of [text.toLowerCase(), text.toUpperCase()]) {
        const code = other.codePointAt(0)!;
        if (code !== c && other.length === String.fromCodePoint(code).length) added.push([code, code]);
      }
    }
  }
  return codePoints([...ranges, ...added]);
}
