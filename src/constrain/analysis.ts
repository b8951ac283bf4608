import { ConstraintError } from "../errors.js";
import type { Part, Rule } from "./grammar.js";
import type { Expressions } from "./regex/expressions.js";

/** Properties of a grammar's parts, computed once before it runs. */
export class Analysis {
  readonly #pool: Expressions;
  /** Parts that match the empty string, and parts that match anything at all. */
  readonly #nullable = new Set<Part>();
  readonly #possible = new Set<Part>();

  /** @throws {ConstraintError} nothing matches the grammar, or a rule is left-recursive. */
  constructor(pool: Expressions, root: Part) {
    this.#pool = pool;
    const parts = [...reachable(root)].toReversed();
    for (let before = -1; before !== this.#nullable.size + this.#possible.size; ) {
      before = this.#nullable.size + this.#possible.size;
      for (const part of parts) {
        if (!this.#possible.has(part) && this.#canMatch(part)) this.#possible.add(part);
        if (!this.#nullable.has(part) && this.#canBeEmpty(part)) this.#nullable.add(part);
      }
    }
    if (!this.isPossible(root)) {
      const hint = "Its conditions contradict each other, or a rule contains itself without end";
      throw new ConstraintError({
        op: "constraint",
        expected: "a constraint that some text satisfies",
        got: "an unsatisfiable one",
        hint,
      });
    }
    this.#refuseLeftRecursion(parts);
  }

  isNullable(part: Part): boolean {
    return this.#nullable.has(part);
  }

  isPossible(part: Part): boolean {
    return this.#possible.has(part);
  }

  #canMatch(part: Part): boolean {
    const possible = (each: Part): boolean => this.#possible.has(each);
    switch (part.kind) {
      case "expression":
        return this.#pool.isPossible(part.expression);
      case "terminal":
        return true;
      case "sequence":
        return part.parts.every(possible);
      case "choice":
        return part.parts.some(possible);
      case "repeat":
        return part.min === 0 || possible(part.part);
      case "rule":
        return possible(part.body);
    }
  }

  #canBeEmpty(part: Part): boolean {
    const nullable = (each: Part): boolean => this.#nullable.has(each);
    switch (part.kind) {
      case "expression":
        return part.expression.nullable;
      case "terminal":
        return part.terminal.accepts(part.terminal.start);
      case "sequence":
        return part.parts.every(nullable);
      case "choice":
        return part.parts.some(nullable);
      case "repeat":
        return part.min === 0 || nullable(part.part);
      case "rule":
        return nullable(part.body);
    }
  }

  /** Parts that may come first in a part. */
  #firstOf(part: Part): readonly Part[] {
    if (part.kind === "rule") return [part.body];
    if (part.kind === "repeat") return [part.part];
    if (part.kind === "choice") return part.parts;
    if (part.kind !== "sequence") return [];
    const end = part.parts.findIndex((each) => !this.#nullable.has(each));
    return end < 0 ? part.parts : part.parts.slice(0, end + 1);
  }

  /** Refuses a rule that begins with itself, which would need an infinite stack. */
  #refuseLeftRecursion(parts: readonly Part[]): void {
    const done = new Set<Part>();
    for (const start of parts) {
      if (start.kind !== "rule" || done.has(start)) continue;
      const open = new Set<Part>();
      const path = [{ part: start as Part, left: [...this.#firstOf(start)] }];
      open.add(start);
      while (path.length > 0) {
        const next = path.at(-1)!.left.pop();
        if (next === undefined) {
          const { part } = path.pop()!;
          open.delete(part);
          done.add(part);
        } else if (open.has(next)) throw leftRecursion(path.findLast(({ part }) => part.kind === "rule")!.part as Rule);
        else if (!done.has(next)) {
          open.add(next);
          path.push({ part: next, left: [...this.#firstOf(next)] });
        }
      }
    }
  }
}

function leftRecursion({ name }: Rule): ConstraintError {
  return new ConstraintError({
    op: `grammar: rule ${name}`,
    expected: "a rule that does not begin with itself",
    got: "left recursion",
    hint: "Write a repetition instead: a ::= b (op b)*",
    at: name,
  });
}

function reachable(root: Part): Set<Part> {
  const found = new Set([root]);
  for (const part of found) {
    if (part.kind === "rule") found.add(part.body);
    else if (part.kind === "repeat") found.add(part.part);
    else if (part.kind === "sequence" || part.kind === "choice") for (const each of part.parts) found.add(each);
  }
  return found;
}
