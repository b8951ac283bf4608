import { ConstraintLimitError } from "../../errors.js";
import type { Part } from "../grammar.js";
import type { Expression } from "../regex/expressions.js";
import type { SchemaCompiler } from "./compile.js";
import type { Facts, PropertyGroup } from "./facts.js";
import { type Place, unsupported } from "./places.js";
import { anyCharacter, StringTerminal } from "./strings.js";

const MOST_PATTERNS = 5;
/** Maximum number of optional properties times the counts to distinguish. */
const MOST_STEPS = 50_000;

/** JSON objects: the properties that the schema names, in its order, then additional ones. */
export class ObjectForm {
  readonly #compiler: SchemaCompiler;

  constructor(compiler: SchemaCompiler) {
    this.#compiler = compiler;
  }

  of(facts: Facts): Part {
    const { parts, spaces } = this.#compiler;
    const [min, max] = facts.properties;
    if (min > max || facts.required.size > max) return parts.nothing;
    const names = namesOf(facts);
    const allowed = facts.names.length > 0 ? this.#compiler.nameContent(facts.names) : undefined;
    const named = names.map((name): Named => {
      const takes = allowed === undefined || this.#compiler.takesName(allowed, name);
      const value = takes ? this.#compiler.value(this.#placesOf(facts.propertyGroups, name)) : parts.nothing;
      const key = parts.sequence(this.#compiler.literal(name), spaces.colon);
      return { pair: parts.sequence(key, value), required: facts.required.has(name) };
    });
    if (named.some(({ pair, required }) => required && pair === parts.nothing)) return parts.nothing;
    const possible = named.filter(({ pair }) => pair !== parts.nothing);
    const others = max > facts.required.size ? this.#others(facts, names, allowed) : parts.nothing;
    if (others !== parts.nothing && min > Math.max(1, facts.required.size)) {
      // Two additional properties could have the same name, and would count once.
      throw unsupported(
        facts.pointer,
        "minProperties above the number of required properties, with properties of any name",
      );
    }
    const members = membersOf(this.#compiler, possible, others, facts.properties);
    const full = parts.sequence(spaces.openObject, members, spaces.closeObject);
    return min > 0 || facts.required.size > 0 ? full : parts.branch(spaces.emptyObject, full);
  }

  #placesOf(groups: readonly PropertyGroup[], name: string): Place[] {
    return groups.flatMap(({ properties, patterns, additional }) => {
      const own = properties.get(name);
      const matching = patterns.filter(({ source, pointer }) => {
        return this.#compiler.takesName(this.#compiler.pattern(source, pointer), name);
      });
      const places = [...(own ? [own] : []), ...matching.map(({ place }) => place)];
      return places.length > 0 ? places : additional ? [additional] : [];
    });
  }

  /** A pair whose name is none of those in the schema. */
  #others({ propertyGroups: groups, pointer }: Facts, names: readonly string[], allowed: Expression | undefined): Part {
    const { parts, spaces } = this.#compiler;
    const { pool } = parts;
    const sources = new Map(
      groups.flatMap(({ patterns }) => patterns.map((each) => [each.source, each.pointer] as const)),
    );
    if (sources.size > MOST_PATTERNS)
      throw unsupported(pointer, `more than ${MOST_PATTERNS} patternProperties at once`);
    const patterns = [...sources].map(([source, at]) => ({ source, expression: this.#compiler.pattern(source, at) }));
    const any = pool.repeat(anyCharacter(pool), 0);
    const declared = pool.either(...names.map((name) => this.#compiler.quoted(name)));
    const pairs: Part[] = [];
    for (let subset = 0; subset < 1 << patterns.length; subset++) {
      const matches = patterns.filter((_, i) => subset & (1 << i)).map(({ source }) => source);
      const places = groups.flatMap(({ patterns: own, additional }) => {
        const found = own.filter(({ source }) => matches.includes(source)).map(({ place }) => place);
        return found.length > 0 ? found : additional ? [additional] : [];
      });
      if (places.some(({ schema }) => schema === false)) continue;
      const plain = names.length === 0 && patterns.length === 0 && !allowed;
      const name = pool.both(
        any,
        names.length > 0 ? pool.not(declared) : pool.anything,
        allowed ?? pool.anything,
        ...patterns.map(({ expression }, i) => (subset & (1 << i) ? expression : pool.not(expression))),
      );
      if (!pool.isPossible(name)) continue;
      const value = this.#compiler.value(places);
      if (value === parts.nothing) continue;
      const quote = pool.text('"');
      const key = plain
        ? parts.terminal(StringTerminal.of(0, Number.POSITIVE_INFINITY))
        : parts.expression(pool.sequence(quote, name, quote));
      pairs.push(parts.chain(key, parts.sequence(spaces.colon, value)));
    }
    return pairs.length === 0 ? parts.nothing : parts.branch(...pairs);
  }

  /** Whether no object satisfies both: a property that both require has no common value, or one requires what the other forbids. */
  areDisjoint(a: Facts, b: Facts, disjoint: (a: readonly Place[], b: readonly Place[]) => boolean): boolean {
    return [...a.required, ...b.required].some((name) => {
      const [first, second] = [a, b].map((facts) => this.#placesOf(facts.propertyGroups, name));
      if ([...first!, ...second!].some(({ schema }) => schema === false)) return true;
      if (!a.required.has(name) || !b.required.has(name)) return false;
      return first!.length > 0 && second!.length > 0 && disjoint(first!, second!);
    });
  }
}

interface Named {
  readonly pair: Part;
  readonly required: boolean;
}

/** Names that the schema lists, in its order, and then those that it only requires. */
function namesOf({ propertyGroups, required }: Facts): string[] {
  return [...new Set([...propertyGroups.flatMap(({ properties }) => [...properties.keys()]), ...required])];
}

/**
 * The text after the opening bracket: named properties, present or absent, then additional ones. At least one pair: an empty object
 * is compiled separately.
 */
function membersOf(
  { parts, spaces }: SchemaCompiler,
  named: readonly Named[],
  others: Part,
  [min, max]: readonly [number, number],
): Part {
  // Numbers of earlier pairs up to this are distinguished; larger ones are equivalent.
  const counted = Math.max(1, min, Number.isFinite(max) ? Math.min(max + 1, named.length) : 0);
  if (named.length * counted > MOST_STEPS)
    throw new ConstraintLimitError("properties, times those counted", MOST_STEPS);
  const rest = (count: number): Part => {
    const [missing, room] = [Math.max(0, min - count), max - count];
    if (room < 0) return parts.nothing;
    if (others === parts.nothing || room === 0) return missing > 0 || count === 0 ? parts.nothing : parts.empty;
    const next = parts.chain(spaces.comma, others);
    if (count > 0) return parts.repeat(next, missing, room);
    return parts.chain(others, parts.repeat(next, Math.max(0, missing - 1), room - 1));
  };
  // Built from the back: what may follow, by the number of earlier pairs.
  let after = Array.from({ length: counted + 1 }, (_, count) => rest(count));
  for (const { pair, required } of named.toReversed()) {
    after = after.map((without, count) => {
      if (count > max) return parts.nothing;
      const own = count > 0 ? parts.sequence(spaces.comma, pair) : pair;
      const taken = parts.chain(own, after[Math.min(count + 1, counted)]!);
      return required ? taken : parts.branch(taken, without);
    });
  }
  return after[0]!;
}
