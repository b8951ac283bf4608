import { ConstraintError } from "../../errors.js";
import { type CodePoints, utf8 } from "./code-points.js";
import type { Expression, Expressions } from "./expressions.js";
import { type Pattern, parsePattern } from "./syntax.js";

/** The spelling of a class's character: as UTF-8, or inside a JSON string. */
export type Spelling = (pool: Expressions, ranges: CodePoints) => Expression;

/**
 * The expression of all texts that a regular expression matches from start to end. Anchors at its ends are
 * redundant.
 *
 * @throws {ConstraintError} naming the position.
 */
export function wholeMatch(pool: Expressions, source: string): Expression {
  const compiler = new Compiler(pool, source, utf8);
  return compiler.anchored(parsePattern(source), pool.empty, pool.empty);
}

/**
 * The expression of all texts in which a regular expression is found, as for JSON Schema's `pattern`.
 *
 * @param any an expression for any character
 * @throws {ConstraintError} naming the position.
 */
export function anyMatch(pool: Expressions, source: string, spelling: Spelling, any: Expression): Expression {
  const compiler = new Compiler(pool, source, spelling);
  const around = pool.repeat(any, 0);
  return compiler.anchored(parsePattern(source), around, around);
}

class Compiler {
  readonly #pool: Expressions;
  readonly #source: string;
  readonly #spelling: Spelling;

  constructor(pool: Expressions, source: string, spelling: Spelling) {
    this.#pool = pool;
    this.#source = source;
    this.#spelling = spelling;
  }

  /** A pattern with arbitrary text before and after it, where no anchor forbids that. */
  anchored(pattern: Pattern, before: Expression, after: Expression): Expression {
    if (pattern.kind === "either") {
      return this.#pool.either(...pattern.parts.map((part) => this.anchored(part, before, after)));
    }
    const parts = pattern.kind === "sequence" ? [...pattern.parts] : [pattern];
    let [start, end] = [before, after];
    while (parts[0]?.kind === "start") {
      parts.shift();
      start = this.#pool.empty;
    }
    while (parts.at(-1)?.kind === "end") {
      parts.pop();
      end = this.#pool.empty;
    }
    const [only] = parts;
    if (parts.length === 1 && (only!.kind === "either" || only!.kind === "sequence")) {
      return this.anchored(only!, start, end);
    }
    return this.#pool.sequence(start, ...parts.map((part) => this.#compile(part)), end);
  }

  #compile(pattern: Pattern): Expression {
    const pool = this.#pool;
    switch (pattern.kind) {
      case "characters":
        return this.#spelling(pool, pattern.ranges);
      case "sequence":
        return pool.sequence(...pattern.parts.map((part) => this.#compile(part)));
      case "either":
        return pool.either(...pattern.parts.map((part) => this.#compile(part)));
      case "repeat":
        return pool.repeat(this.#compile(pattern.part), pattern.min, pattern.max);
      default: {
        const op = `regex ${this.#source}: position ${pattern.at}`;
        const got = pattern.kind === "start" ? "^ inside" : "$ inside";
        throw new ConstraintError({ op, expected: "anchors only at the ends", got, at: String(pattern.at) });
      }
    }
  }
}
