import { ConstraintError, ConstraintLimitError } from "../errors.js";
import type { Part, Parts, Rule } from "./grammar.js";
import { type CodePoints, codePoints, complement, utf8 } from "./regex/code-points.js";

const MOST_LENGTH = 1_000_000;
const MOST_DEPTH = 200;
const MOST_REPEATS = 100_000;
const ESCAPES: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  '"': 34,
  "\\": 92,
  "[": 91,
  "]": 93,
  "-": 45,
  "^": 94,
};

/** The right side of a rule. */
type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "characters"; readonly ranges: CodePoints }
  | { readonly kind: "name"; readonly name: string; readonly at: string }
  | { readonly kind: "sequence" | "choice"; readonly nodes: readonly Node[] }
  | { readonly kind: "repeat"; readonly node: Node; readonly min: number; readonly max: number };

/**
 * Compiles a grammar in llama.cpp's GBNF. A text satisfies it if it matches the rule `root`.
 *
 * @throws {ConstraintError} naming line and column, or a rule.
 */
export function compileGbnf(parts: Parts, source: string): Part {
  return new GbnfCompiler(parts, new GbnfParser(source).parse()).rule("root", "1:1");
}

class GbnfCompiler {
  readonly #parts: Parts;
  readonly #rules: ReadonlyMap<string, Node>;
  readonly #made = new Map<string, Part>();
  /** Rules being compiled; those referred to meanwhile are recursive. */
  readonly #open = new Map<string, Rule | undefined>();

  constructor(parts: Parts, rules: ReadonlyMap<string, Node>) {
    this.#parts = parts;
    this.#rules = rules;
  }

  /** Inlines rules that are not recursive, so that regular parts become one automaton. */
  rule(name: string, at: string): Part {
    const made = this.#made.get(name);
    if (made) return made;
    if (this.#open.has(name)) {
      const rule = this.#open.get(name) ?? this.#parts.rule(name);
      this.#open.set(name, rule);
      return rule;
    }
    const node = this.#rules.get(name);
    if (!node) throw new ConstraintError({ op: `grammar at ${at}`, expected: "a rule that is defined", got: name, at });
    if (this.#open.size > MOST_DEPTH) throw new ConstraintLimitError("levels of rules", MOST_DEPTH);
    this.#open.set(name, undefined);
    const body = this.#part(node);
    const rule = this.#open.get(name);
    if (rule) rule.body = body;
    this.#open.delete(name);
    this.#made.set(name, rule ?? body);
    return rule ?? body;
  }

  #part(node: Node): Part {
    const { pool } = this.#parts;
    switch (node.kind) {
      case "text":
        return this.#parts.text(node.text);
      case "characters":
        return this.#parts.expression(utf8(pool, node.ranges));
      case "name":
        return this.rule(node.name, node.at);
      case "sequence":
        return this.#parts.sequence(...node.nodes.map((each) => this.#part(each)));
      case "choice":
        return this.#parts.choice(...node.nodes.map((each) => this.#part(each)));
      case "repeat":
        return this.#parts.repeat(this.#part(node.node), node.min, node.max);
    }
  }
}

class GbnfParser {
  readonly #source: string;
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
    if (source.length > MOST_LENGTH) throw new ConstraintLimitError("characters of a grammar", MOST_LENGTH);
  }

  parse(): Map<string, Node> {
    const rules = new Map<string, Node>();
    for (this.#space(true); this.#at < this.#source.length; this.#space(true)) {
      const start = this.#at;
      const name = this.#name();
      if (name === undefined) this.#fail("a rule: name ::= …");
      this.#space(false);
      if (!this.#take("::=")) this.#fail("::=");
      if (rules.has(name)) this.#fail("one rule of each name", name, start);
      this.#space(true);
      rules.set(name, this.#choice(false));
    }
    return rules;
  }

  #choice(nested: boolean): Node {
    if (++this.#depth > MOST_DEPTH) this.#fail(`at most ${MOST_DEPTH} levels of groups`, "more");
    const nodes = [this.#sequence(nested)];
    while (this.#takeBar()) {
      this.#space(true);
      nodes.push(this.#sequence(nested));
    }
    this.#depth--;
    return nodes.length === 1 ? nodes[0]! : { kind: "choice", nodes };
  }

  /** Reads a bar, which may begin a line. */
  #takeBar(): boolean {
    const before = this.#at;
    this.#space(true);
    if (this.#take("|")) return true;
    this.#at = before;
    return false;
  }

  #sequence(nested: boolean): Node {
    const nodes: Node[] = [];
    for (;;) {
      const node = this.#item();
      if (!node) break;
      nodes.push(this.#repeated(node));
      this.#space(nested);
    }
    return nodes.length === 1 ? nodes[0]! : { kind: "sequence", nodes };
  }

  #item(): Node | undefined {
    const c = this.#source[this.#at];
    if (c === '"') return this.#text();
    if (c === "[") return this.#class();
    if (c === "(") return this.#group();
    if (this.#take(".")) return { kind: "characters", ranges: complement([]) };
    if (c === "<" || c === "!") this.#fail("a text, class, rule or group (no tokens by name)");
    const at = this.#place();
    const name = this.#name();
    return name === undefined ? undefined : { kind: "name", name, at };
  }

  #group(): Node {
    const start = this.#at++;
    this.#space(true);
    const inner = this.#choice(true);
    this.#space(true);
    if (!this.#take(")")) this.#fail("( to be closed by )", undefined, start);
    return inner;
  }

  #repeated(node: Node): Node {
    const repeat = (of: Node, min: number, max: number): Node => ({ kind: "repeat", node: of, min, max });
    for (let result = node; ; ) {
      if (this.#take("*")) result = repeat(result, 0, Number.POSITIVE_INFINITY);
      else if (this.#take("+")) result = repeat(result, 1, Number.POSITIVE_INFINITY);
      else if (this.#take("?")) result = repeat(result, 0, 1);
      else if (this.#source[this.#at] === "{") {
        const [min, max] = this.#counts();
        result = repeat(result, min, max);
      } else return result;
    }
  }

  #counts(): [number, number] {
    const pattern = /\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}/y;
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#source);
    if (!match) this.#fail("{n}, {n,} or {n,m}");
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3]);
    const bounded = min <= MOST_REPEATS && (max <= MOST_REPEATS || max === Number.POSITIVE_INFINITY);
    if (max < min || !bounded) this.#fail(`bounds in order, at most ${MOST_REPEATS}`, match[0]);
    this.#at += match[0].length;
    return [min, max];
  }

  #text(): Node {
    const start = this.#at++;
    let text = "";
    while (!this.#take('"')) text += String.fromCodePoint(this.#character(start));
    return { kind: "text", text };
  }

  #class(): Node {
    const start = this.#at++;
    const negated = this.#take("^");
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take("]")) {
      const from = this.#character(start);
      const isRange = this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]";
      if (isRange) this.#at++;
      const to = isRange ? this.#character(start) : from;
      if (to < from) this.#fail("a range of characters in order");
      ranges.push([from, to]);
    }
    return { kind: "characters", ranges: negated ? complement(ranges) : codePoints(ranges) };
  }

  /** Reads a character of a text or class, possibly escaped. */
  #character(start: number): number {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined || code === 10) this.#fail("the closing quote or bracket", undefined, start);
    this.#at += code > 0xffff ? 2 : 1;
    if (code !== 92) return code;
    const c = this.#source[this.#at++] ?? "";
    const digits = { x: 2, u: 4, U: 8 }[c];
    if (digits !== undefined) {
      const hex = this.#source.slice(this.#at, this.#at + digits);
      const value = /^[0-9a-fA-F]+$/.test(hex) && hex.length === digits ? Number.parseInt(hex, 16) : -1;
      if (value < 0 || value > 0x10ffff) this.#fail(`${digits} hexadecimal digits of a character`);
      this.#at += digits;
      return value;
    }
    const escaped = ESCAPES[c];
    if (escaped === undefined) this.#fail("an escape of GBNF", `\\${c}`, this.#at - 2);
    return escaped;
  }

  #name(): string | undefined {
    const pattern = /[a-zA-Z0-9_-]+/y;
    pattern.lastIndex = this.#at;
    const name = pattern.exec(this.#source)?.[0];
    // A name before ::= begins the next rule.
    if (name === undefined || (this.#depth > 0 && this.#beginsRule(this.#at + name.length))) return undefined;
    this.#at += name.length;
    return name;
  }

  #beginsRule(at: number): boolean {
    const pattern = /[ \t]*::=/y;
    pattern.lastIndex = at;
    return pattern.test(this.#source);
  }

  /** Skips blanks and comments, and line breaks where they are insignificant. */
  #space(lines: boolean): void {
    const pattern = lines ? /(?:[ \t\r\n]|#[^\n]*)*/y : /(?:[ \t]|#[^\n]*)*/y;
    pattern.lastIndex = this.#at;
    this.#at += pattern.exec(this.#source)![0].length;
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** The line and column. */
  #place(position = this.#at): string {
    const lines = this.#source.slice(0, position).split("\n");
    return `${lines.length}:${lines.at(-1)!.length + 1}`;
  }

  #fail(expected: string, got = this.#source[this.#at] ?? "the end", position = this.#at): never {
    const at = this.#place(position);
    throw new ConstraintError({ op: `grammar at ${at}`, expected, got, at });
  }
}
