import { ConstraintLimitError } from "../../errors.js";
import type { Part, Parts, Rule } from "../grammar.js";
import { Machine, type State } from "../machine.js";
import { anyMatch } from "../regex/compile.js";
import type { Expression } from "../regex/expressions.js";
import { type Alternative, Alternatives } from "./alternatives.js";
import { ArrayForm } from "./arrays.js";
import { canonical, type Facts, typeOf } from "./facts.js";
import { FORMATS, UNSUPPORTED_FORMATS } from "./formats.js";
import { multipleOf } from "./multiples.js";
import { NumberForms } from "./numbers.js";
import { ObjectForm } from "./objects.js";
import { type Json, type Place, Places, unfit, unsupported } from "./places.js";
import { anyCharacter, inString, StringTerminal } from "./strings.js";
import { type Spaces, spaces, type WhiteSpace } from "./white-space.js";

const MOST_SCHEMAS = 20_000;
const MOST_DEPTH = 300;
/** Maximum number of integers listed one by one where a multiple and bounds meet. */
const MOST_LISTED = 10_000;

/**
 * Compiles a JSON Schema to a grammar of the JSON texts that satisfy it, with properties in the order in which the schema lists
 * them, and additional ones after them.
 *
 * @throws {ConstraintError} naming the place by JSON pointer.
 */
export function compileSchema(parts: Parts, schema: unknown, whiteSpace: WhiteSpace): Part {
  return new SchemaCompiler(parts, new Places(schema), whiteSpace).compile();
}

/** Compiles the places of a schema to parts of a grammar. */
export class SchemaCompiler {
  readonly parts: Parts;
  readonly spaces: Spaces;
  readonly #places: Places;
  readonly #alternatives: Alternatives;
  readonly #numbers: NumberForms;
  readonly #objects: ObjectForm;
  readonly #arrays: ArrayForm;
  /** Compiled combinations of places, and those being compiled. */
  readonly #made = new Map<string, Part>();
  readonly #open = new Map<string, Rule | undefined>();
  readonly #ids = new Map<Place, number>();
  readonly #patterns = new Map<string, Expression>();

  constructor(parts: Parts, places: Places, whiteSpace: WhiteSpace) {
    this.parts = parts;
    this.spaces = spaces(parts, whiteSpace);
    this.#places = places;
    this.#alternatives = new Alternatives(places, (a, b) => this.#areDisjoint(a, b));
    this.#numbers = new NumberForms(parts.pool);
    this.#objects = new ObjectForm(this);
    this.#arrays = new ArrayForm(this);
  }

  compile(): Part {
    return this.value([this.#places.root]);
  }

  /** A value that satisfies all of the places. Recursive values become rules. */
  value(places: readonly Place[]): Part {
    const distinct = [...new Set(places)].filter(({ schema }) => schema !== true);
    const key = distinct
      .map((place) => this.#id(place))
      .sort((a, b) => a - b)
      .join(" ");
    const made = this.#made.get(key);
    if (made) return made;
    if (this.#open.has(key)) {
      const rule = this.#open.get(key) ?? this.parts.rule(distinct[0]?.pointer || "value");
      this.#open.set(key, rule);
      return rule;
    }
    if (this.#open.size > MOST_DEPTH) throw new ConstraintLimitError("levels of schemas", MOST_DEPTH);
    if (this.#made.size > MOST_SCHEMAS) throw new ConstraintLimitError("combinations of schemas", MOST_SCHEMAS);
    this.#open.set(key, undefined);
    const body = this.parts.choice(...this.#alternatives.of(distinct).map(({ facts }) => this.#of(facts)));
    const rule = this.#open.get(key);
    if (rule) rule.body = body;
    this.#open.delete(key);
    this.#made.set(key, rule ?? body);
    return rule ?? body;
  }

  #id(place: Place): number {
    let id = this.#ids.get(place);
    if (id === undefined) this.#ids.set(place, (id = this.#ids.size));
    return id;
  }

  #of(facts: Facts): Part {
    if (facts.values)
      return this.parts.choice(...this.#listed(facts, facts.values).map((value) => this.literal(value)));
    return this.parts.choice(
      ...[...facts.types].map((type) => this.#ofType({ ...facts, types: new Set([type]) }, type)),
    );
  }

  #ofType(facts: Facts, type: string): Part {
    const { parts } = this;
    if (type === "null") return parts.text("null");
    if (type === "boolean") return parts.choice(parts.text("true"), parts.text("false"));
    if (type === "number") return this.#number(facts);
    if (type === "string") return this.#string(facts);
    return type === "array" ? this.#arrays.of(facts) : this.#objects.of(facts);
  }

  #number({ least, most, integer, multiples }: Facts): Part {
    const { parts } = this;
    if (multiples.length > 0)
      return multipleOf(this.parts, this.#numbers, { least, most, integer, multiples }, MOST_LISTED);
    if (least || most) return parts.expression(this.#numbers.within(least, most, integer));
    return parts.expression(integer ? this.#numbers.integer : this.#numbers.number);
  }

  #string({ length: [min, max], patterns, formats }: Facts): Part {
    if (min > max) return this.parts.nothing;
    const content = this.#content(patterns, formats);
    if (!content) return this.parts.terminal(StringTerminal.of(min, max));
    const { pool } = this.parts;
    const bounded = min > 0 || max < Number.POSITIVE_INFINITY;
    const all = bounded ? pool.both(content, pool.repeat(anyCharacter(pool), min, max)) : content;
    return this.parts.expression(pool.sequence(pool.text('"'), all, pool.text('"')));
  }

  /** The text between the quotes; undefined if it is unrestricted. */
  #content(patterns: Facts["patterns"], formats: Facts["formats"]): Expression | undefined {
    const { pool } = this.parts;
    const all = patterns.map(({ source, pointer }) => this.pattern(source, pointer));
    for (const { name, pointer } of formats) {
      if (UNSUPPORTED_FORMATS.includes(name)) throw unsupported(pointer, `format ${name}`, "A pattern may do instead");
      if (Object.hasOwn(FORMATS, name)) all.push(this.pattern(`^(?:${FORMATS[name]})$`, pointer));
    }
    return all.length === 0 ? undefined : pool.both(...all);
  }

  /** A pattern inside a JSON string. @throws {ConstraintError} naming the place in the schema. */
  pattern(source: string, pointer: string): Expression {
    const known = this.#patterns.get(source);
    if (known) return known;
    try {
      const expression = anyMatch(this.parts.pool, source, inString, anyCharacter(this.parts.pool));
      this.#patterns.set(source, expression);
      return expression;
    } catch (error) {
      if (error instanceof ConstraintLimitError) throw error;
      throw unfit(
        pointer,
        "a regular expression that is supported",
        error instanceof Error ? error.message : String(error),
      );
    }
  }

  /** The text between the quotes of a string that satisfies the places: for names of properties. */
  nameContent(places: readonly Place[]): Expression {
    const { pool } = this.parts;
    const any = pool.repeat(anyCharacter(pool), 0);
    const alternatives = this.#alternatives.of(places).filter(({ facts }) => facts.types.has("string"));
    return pool.either(
      ...alternatives.map(({ facts }) => {
        const { values, length, patterns, formats } = facts;
        const content = this.#content(patterns, formats) ?? any;
        const bounded = pool.both(content, pool.repeat(anyCharacter(pool), ...length));
        if (!values) return bounded;
        const texts = values.filter((value) => typeof value === "string").map((text) => this.quoted(text));
        return pool.both(bounded, pool.either(...texts));
      }),
    );
  }

  /** A text inside a JSON string, without the quotes. */
  quoted(text: string): Expression {
    const { pool } = this.parts;
    if (!UNUSUAL.test(text)) return pool.text(JSON.stringify(text).slice(1, -1));
    return pool.sequence(...Array.from(text, (c) => inString(pool, [[c.codePointAt(0)!, c.codePointAt(0)!]])));
  }

  /** One value, without the white space around it. */
  literal(value: Json): Part {
    const { parts, spaces } = this;
    if (typeof value === "string")
      return parts.sequence(parts.text('"'), parts.expression(this.quoted(value)), parts.text('"'));
    if (typeof value !== "object" || value === null) return parts.text(JSON.stringify(value));
    const isList = Array.isArray(value);
    const items = isList
      ? (value as readonly Json[]).map((each) => this.literal(each))
      : Object.entries(value).map(([name, each]) =>
          parts.sequence(this.literal(name), spaces.colon, this.literal(each)),
        );
    const [open, close] = isList ? [spaces.openList, spaces.closeList] : [spaces.openObject, spaces.closeObject];
    if (items.length === 0) return isList ? spaces.emptyList : spaces.emptyObject;
    const separated = items.flatMap((item, i) => (i === 0 ? [item] : [spaces.comma, item]));
    return parts.sequence(open, ...separated, close);
  }

  /** Values of a list that satisfy what else is known. */
  #listed(facts: Facts, values: readonly Json[]): readonly Json[] {
    const typed = values.filter((value) => facts.types.has(typeOf(value)));
    const others: Facts = { ...facts, values: undefined };
    if (typed.length > 0 && !saysMore(others)) return typed.filter((value) => !facts.integer || !isFraction(value));
    // A grammar of what else is known reads each of them.
    const rest = this.#of(others);
    if (rest === this.parts.nothing) return [];
    const machine = new Machine({ pool: this.parts.pool, root: rest });
    return typed.filter((value) => reads(machine, JSON.stringify(value)));
  }

  /** Whether no value satisfies both: where that can be told. */
  #areDisjoint(a: Alternative, b: Alternative): boolean {
    return [...a.facts.types].every((type) => !b.facts.types.has(type) || this.#areDisjointOf(type, a.facts, b.facts));
  }

  #areDisjointOf(type: string, a: Facts, b: Facts): boolean {
    if (a.values && b.values) {
      const keys = new Set(b.values.map(canonical));
      return !a.values.some((value) => keys.has(canonical(value)));
    }
    if (type === "object") return this.#objects.areDisjoint(a, b, (x, y) => this.disjoint(x, y));
    if (type === "array" || type === "null" || type === "boolean") return false;
    const [x, y] = [a, b].map((facts) => this.#of({ ...facts, types: new Set([type as "string"]) }));
    const { pool } = this.parts;
    const [first, second] = [this.#expressionOf(x!), this.#expressionOf(y!)];
    return first !== undefined && second !== undefined && !pool.isPossible(pool.both(first, second));
  }

  /** Whether no value satisfies both lists of places. */
  disjoint(a: readonly Place[], b: readonly Place[]): boolean {
    const [first, second] = [this.#alternatives.of(a), this.#alternatives.of(b)];
    return first.every((x) => second.every((y) => this.#areDisjoint(x, y)));
  }

  #expressionOf(part: Part): Expression | undefined {
    const { pool } = this.parts;
    if (part.kind === "expression") return part.expression;
    if (part.kind !== "terminal" || !(part.terminal instanceof StringTerminal)) return undefined;
    const [min, max] = part.terminal.bounds;
    return pool.sequence(pool.text('"'), pool.repeat(anyCharacter(pool), min, max), pool.text('"'));
  }

  /** Whether an expression of names, without quotes, matches one. */
  takesName(expression: Expression, name: string): boolean {
    const { pool } = this.parts;
    const text = new TextEncoder().encode(JSON.stringify(name).slice(1, -1));
    let rest = expression;
    for (const byte of text) rest = pool.derivative(rest, byte);
    return rest.nullable;
  }
}

function saysMore({
  least,
  most,
  multiples,
  length,
  patterns,
  formats,
  items,
  itemGroups,
  required,
  propertyGroups,
  names,
  properties,
}: Facts): boolean {
  const ranges = [length, items, properties].some(([min, max]) => min > 0 || max < Number.POSITIVE_INFINITY);
  const lists = [multiples, patterns, formats, itemGroups, propertyGroups, names].some((list) => list.length > 0);
  return ranges || lists || required.size > 0 || least !== undefined || most !== undefined;
}

/** Control characters, which have several escapes, and halves of surrogate pairs. */
const UNUSUAL = /[\p{Cc}\p{Cs}]/u;

const isFraction = (value: Json): boolean => typeof value === "number" && !Number.isInteger(value);

function reads(machine: Machine, text: string): boolean {
  let state: State | null = machine.start;
  for (const byte of new TextEncoder().encode(text)) if ((state = machine.step(state, byte)) === null) return false;
  return state.accepts;
}
