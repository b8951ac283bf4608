import { ConstraintLimitError } from "../../errors.js";
import { ByteSet, byteClasses } from "../byte-set.js";

/**
 * A regular expression over bytes. Equal expressions of a pool are the same object, in a normal form: sequences are nested to
 * the right, alternatives are flat and sorted, impossible parts are removed.
 */
export interface Expression {
  readonly id: number;
  readonly kind: "nothing" | "empty" | "bytes" | "sequence" | "either" | "both" | "not" | "repeat";
  /** Whether it matches the empty string. */
  readonly nullable: boolean;
  /** Whether every expression reached from it matches something unless it is `nothing`: true without intersection and complement. */
  readonly plain: boolean;
  /** The depth to which a derivative recurses. */
  readonly depth: number;
  readonly set: ByteSet;
  /** Two for a sequence, one for a complement or repetition. */
  readonly parts: readonly Expression[];
  readonly min: number;
  readonly max: number;
}

/** Above the number of every expression. */
const PAIR = 2 ** 26;
const MOST_DEPTH = 1000;
const MOST_SEARCHED = 20_000;

/** Number of expressions after which a pool is replaced by a new one. */
const MOST_POOLED = 400_000;

/**
 * Makes expressions and their derivatives (Brzozowski 1964): the expression of the texts that may follow a byte. Naively a text
 * is matched by trying all alternatives with backtracking, and intersections and complements need a match each. Here each
 * byte replaces the expression by its derivative; equal expressions are one object and derivatives are kept, so an
 * expression's derivatives are the states of an automaton, made when they are first reached.
 */
export class Expressions {
  static #current: Expressions | undefined;
  readonly nothing: Expression;
  readonly empty: Expression;
  /** Matches everything. */
  readonly anything: Expression;
  readonly #known = new Map<string, Expression>();
  /**
   * Sequences, the most frequent expressions, by the numbers of their two parts: a number is cheaper to look up than a
   * string.
   */
  readonly #sequences = new Map<number, Expression>();
  readonly #derivatives = new Map<number, Expression>();
  readonly #single: Expression[] = [];
  readonly #live = new Map<Expression, boolean>();
  #count = 0;
  /** Number of expressions that may still be made. */
  #left = Number.POSITIVE_INFINITY;

  constructor() {
    this.nothing = this.#make("nothing", [], {});
    this.empty = this.#make("empty", [], { nullable: true });
    this.anything = this.not(this.nothing);
  }

  /** The pool shared by constraints, so that common parts are made only once. */
  static shared(): Expressions {
    if (!Expressions.#current || Expressions.#current.#count > MOST_POOLED) Expressions.#current = new Expressions();
    return Expressions.#current;
  }

  /** Calls a function with a limit on the number of expressions made. @throws {ConstraintLimitError} */
  within<T>(most: number, run: () => T): T {
    const before = this.#left;
    this.#left = Math.min(before, most);
    try {
      return run();
    } finally {
      this.#left = before;
    }
  }

  bytes(set: ByteSet): Expression {
    return set.isEmpty ? this.nothing : this.#make("bytes", [], { set });
  }

  literal(bytes: Iterable<number>): Expression {
    let result = this.empty;
    for (const byte of Array.from(bytes).reverse()) {
      result = this.#join((this.#single[byte] ??= this.bytes(ByteSet.of([byte]))), result);
    }
    return result;
  }

  text(text: string): Expression {
    return this.literal(new TextEncoder().encode(text));
  }

  sequence(...parts: readonly Expression[]): Expression {
    return parts.reduceRight((rest, part) => this.#join(part, rest), this.empty);
  }

  /** `first` then `rest`, which is in normal form. */
  #join(first: Expression, rest: Expression): Expression {
    if (rest === this.empty) return first;
    const spine: Expression[] = [];
    let end = first;
    for (; end.kind === "sequence"; end = end.parts[1]!) {
      spine.push(end.parts[0]!);
      if (spine.length > this.#left) throw new ConstraintLimitError("parts", MOST_POOLED);
    }
    spine.push(end);
    let result = rest;
    for (const part of spine.toReversed()) {
      if (part === this.nothing || result === this.nothing) return this.nothing;
      if (part === this.empty) continue;
      result = this.#pair(part, result);
    }
    return result;
  }

  /** The sequence of two expressions in normal form. */
  #pair(first: Expression, rest: Expression): Expression {
    const key = first.id * PAIR + rest.id;
    const known = this.#sequences.get(key);
    if (known) return known;
    const made = this.#add("sequence", [first, rest], {
      nullable: first.nullable && rest.nullable,
      depth: Math.max(first.depth, first.nullable ? rest.depth : 0),
    });
    this.#sequences.set(key, made);
    return made;
  }

  either(...given: readonly Expression[]): Expression {
    const parts = new Set<Expression>();
    let set = ByteSet.none;
    const add = (part: Expression): void => {
      if (part.kind === "either") for (const inner of part.parts) add(inner);
      else if (part.kind === "bytes") set = set.union(part.set);
      else if (part !== this.nothing) parts.add(part);
    };
    for (const part of given) add(part);
    if (parts.has(this.anything)) return this.anything;
    if (!set.isEmpty) parts.add(this.bytes(set));
    const nullable = [...parts].some((part) => part.nullable);
    if (parts.has(this.empty) && [...parts].some((part) => part !== this.empty && part.nullable))
      parts.delete(this.empty);
    const sorted = [...parts].sort((a, b) => a.id - b.id);
    if (sorted.length === 0) return this.nothing;
    return sorted.length === 1 ? sorted[0]! : this.#make("either", sorted, { nullable });
  }

  both(...given: readonly Expression[]): Expression {
    const parts = new Set<Expression>();
    const add = (part: Expression): void => {
      if (part.kind === "both") for (const inner of part.parts) add(inner);
      else if (part !== this.anything) parts.add(part);
    };
    for (const part of given) add(part);
    const nullable = [...parts].every((part) => part.nullable);
    if (parts.has(this.nothing)) return this.nothing;
    if (parts.has(this.empty)) return nullable ? this.empty : this.nothing;
    const sets = [...parts].filter((part) => part.kind === "bytes");
    if (sets.length > 1) {
      for (const part of sets) parts.delete(part);
      const common = this.bytes(sets.reduce((set, part) => set.intersect(part.set), ByteSet.all));
      return this.both(common, ...parts);
    }
    const sorted = [...parts].sort((a, b) => a.id - b.id);
    if (sorted.length === 0) return this.anything;
    return sorted.length === 1 ? sorted[0]! : this.#make("both", sorted, { nullable, plain: false });
  }

  not(part: Expression): Expression {
    return part.kind === "not" ? part.parts[0]! : this.#make("not", [part], { nullable: !part.nullable, plain: false });
  }

  repeat(part: Expression, min: number, max = Number.POSITIVE_INFINITY): Expression {
    if (part === this.nothing) return min === 0 ? this.empty : this.nothing;
    if (part === this.empty || max === 0) return this.empty;
    if (part.nullable && min > 0) return this.repeat(part, 0, max);
    if (min === 1 && max === 1) return part;
    if (part.kind === "repeat" && part.min <= 1 && part.max === Number.POSITIVE_INFINITY && max > 0) {
      // (x*)*, (x+)* and the like: any number of x.
      return this.repeat(part.parts[0]!, min === 0 ? 0 : min * part.min, Number.POSITIVE_INFINITY);
    }
    return this.#make("repeat", [part], { nullable: min === 0, min, max });
  }

  /** The expression of what may follow after a byte. */
  derivative(of: Expression, byte: number): Expression {
    if (of.kind === "bytes") return of.set.has(byte) ? this.empty : this.nothing;
    if (of.kind === "nothing" || of.kind === "empty") return this.nothing;
    const [first, rest] = of.parts;
    // Literal text, the most frequent case, needs no cache.
    if (of.kind === "sequence" && first!.kind === "bytes") return first!.set.has(byte) ? rest! : this.nothing;
    const key = of.id * 256 + byte;
    const known = this.#derivatives.get(key);
    if (known) return known;
    const result = this.#derive(of, byte);
    this.#derivatives.set(key, result);
    return result;
  }

  #derive({ kind, parts, min, max }: Expression, byte: number): Expression {
    const [first, rest] = parts as [Expression, Expression];
    if (kind === "sequence") {
      const after = this.#join(this.derivative(first, byte), rest);
      return first.nullable ? this.either(after, this.derivative(rest, byte)) : after;
    }
    if (kind === "either") return this.either(...parts.map((part) => this.derivative(part, byte)));
    if (kind === "both") return this.both(...parts.map((part) => this.derivative(part, byte)));
    if (kind === "not") return this.not(this.derivative(first, byte));
    return this.#join(this.derivative(first, byte), this.repeat(first, Math.max(0, min - 1), max - 1));
  }

  /**
   * Whether it matches anything at all. With intersections and complements this takes a search.
   *
   * @param examples one byte of each class that it distinguishes
   */
  isPossible(start: Expression, examples?: readonly number[]): boolean {
    if (start.plain) return start !== this.nothing;
    const known = this.#live.get(start);
    return known ?? this.#search(start, examples ?? byteClasses(byteSetsOf(start)).examples);
  }

  #search(start: Expression, examples: readonly number[]): boolean {
    const from = new Map<Expression, Expression | undefined>([[start, undefined]]);
    const isLive = (expression: Expression): boolean =>
      expression.nullable || this.#live.get(expression) === true || (expression.plain && expression !== this.nothing);
    const open = [start];
    let found = isLive(start) ? start : undefined;
    for (let expression = open.pop(); expression && !found; expression = open.pop()) {
      for (const byte of examples) {
        const next = this.derivative(expression, byte);
        if (from.has(next) || this.#live.get(next) === false) continue;
        from.set(next, expression);
        if (from.size > MOST_SEARCHED) throw new ConstraintLimitError("states to search for an end", MOST_SEARCHED);
        open.push(next);
        if (!isLive(next)) continue;
        found = next;
        break;
      }
    }
    // No end was found in all that can be reached.
    if (!found) for (const expression of from.keys()) this.#live.set(expression, false);
    for (let at = found; at; at = from.get(at)) this.#live.set(at, true);
    return found !== undefined;
  }

  #make(kind: Expression["kind"], parts: readonly Expression[], fields: Partial<Expression>): Expression {
    let key = kind as string;
    for (const { id } of parts) key += ` ${id}`;
    if (kind === "bytes") key += fields.set!.key;
    else if (kind === "repeat") key += ` ${fields.min} ${fields.max}`;
    const known = this.#known.get(key);
    if (known) return known;
    const made = this.#add(kind, parts, fields);
    this.#known.set(key, made);
    return made;
  }

  #add(kind: Expression["kind"], parts: readonly Expression[], fields: Partial<Expression>): Expression {
    const { nullable = false, set = ByteSet.none, min = 0, max = 0 } = fields;
    if (this.#left-- <= 0) throw new ConstraintLimitError("states and parts", MOST_POOLED);
    const depth = 1 + (fields.depth ?? parts.reduce((most, part) => Math.max(most, part.depth), 0));
    if (depth > MOST_DEPTH) throw new ConstraintLimitError("levels of nesting", MOST_DEPTH);
    const plain = fields.plain ?? parts.every((part) => part.plain);
    return { id: this.#count++, kind, nullable, plain, depth, set, parts, min, max };
  }
}

/** All sets of bytes in an expression. */
export function byteSetsOf(expression: Expression): ByteSet[] {
  const seen = new Set([expression]);
  for (const { parts } of seen) for (const part of parts) seen.add(part);
  const sets = new Map<string, ByteSet>();
  for (const { kind, set } of seen) if (kind === "bytes") sets.set(set.key, set);
  return [...sets.values()];
}
