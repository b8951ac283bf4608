import type { Expression, Expressions } from "./regex/expressions.js";
import { ExpressionTerminal, type Terminal } from "./terminal.js";

/** The common target of all front ends: expressions over bytes for regular parts, with sequences, choices and rules around them. */
export type Part =
  | { readonly kind: "expression"; readonly expression: Expression }
  | { readonly kind: "terminal"; readonly terminal: Terminal }
  | { readonly kind: "sequence"; readonly parts: readonly Part[] }
  | { readonly kind: "choice"; readonly parts: readonly Part[] }
  | { readonly kind: "repeat"; readonly part: Part; readonly min: number; readonly max: number }
  | Rule;

/** A named part, which may contain itself. */
export interface Rule {
  readonly kind: "rule";
  readonly name: string;
  body: Part;
}

/** Makes parts, and joins adjacent expressions into one. */
export class Parts {
  readonly pool: Expressions;
  readonly nothing: Part;
  readonly empty: Part;
  readonly #terminals = new Map<Expression, Part>();

  constructor(pool: Expressions) {
    this.pool = pool;
    this.nothing = this.expression(pool.nothing);
    this.empty = this.expression(pool.empty);
  }

  expression(expression: Expression): Part {
    let part = this.#terminals.get(expression);
    if (!part) this.#terminals.set(expression, (part = { kind: "expression", expression }));
    return part;
  }

  text(text: string): Part {
    return this.expression(this.pool.text(text));
  }

  terminal(terminal: Terminal): Part {
    return { kind: "terminal", terminal };
  }

  sequence(...given: readonly Part[]): Part {
    const parts: Part[] = [];
    for (const part of given.flatMap((each) => (each.kind === "sequence" ? each.parts : [each]))) {
      const last = parts.at(-1);
      if (part === this.nothing) return this.nothing;
      if (part === this.empty) continue;
      if (part.kind === "expression" && last?.kind === "expression") {
        parts[parts.length - 1] = this.expression(this.pool.sequence(last.expression, part.expression));
      } else parts.push(part);
    }
    if (parts.length === 0) return this.empty;
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  choice(...given: readonly Part[]): Part {
    const flat = given.flatMap((each) => (each.kind === "choice" ? each.parts : [each]));
    const others = new Set(flat.filter((part) => part.kind !== "expression"));
    const expressions = flat.flatMap((part) => (part.kind === "expression" ? [part.expression] : []));
    const joined = this.pool.either(...expressions);
    const parts = joined === this.pool.nothing ? [...others] : [this.expression(joined), ...others];
    if (parts.length === 0) return this.nothing;
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  /** A part and the rest, kept apart: for long rows of parts, whose ends would otherwise be joined repeatedly. */
  chain(part: Part, rest: Part): Part {
    if (part === this.nothing || rest === this.nothing) return this.nothing;
    return rest === this.empty ? part : { kind: "sequence", parts: [part, rest] };
  }

  /** A choice whose alternatives are kept apart. */
  branch(...given: readonly Part[]): Part {
    const parts = [...new Set(given)].filter((part) => part !== this.nothing);
    if (parts.length === 0) return this.nothing;
    return parts.length === 1 ? parts[0]! : { kind: "choice", parts };
  }

  repeat(part: Part, min: number, max = Number.POSITIVE_INFINITY): Part {
    if (part.kind === "expression") return this.expression(this.pool.repeat(part.expression, min, max));
    if (max === 0) return this.empty;
    return min === 1 && max === 1 ? part : { kind: "repeat", part, min, max };
  }

  rule(name: string): Rule {
    return { kind: "rule", name, body: this.nothing };
  }
}

/** A compiled grammar: every expression has become a terminal. */
export interface Grammar {
  readonly pool: Expressions;
  readonly root: Part;
}

const terminals = new WeakMap<Expression, Terminal>();

/** The automaton of an expression, shared by equal expressions. */
export function terminalOf(pool: Expressions, expression: Expression): Terminal {
  let terminal = terminals.get(expression);
  if (!terminal) terminals.set(expression, (terminal = new ExpressionTerminal(pool, expression)));
  return terminal;
}
