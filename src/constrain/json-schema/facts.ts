import {
  below,
  isObject,
  type Json,
  type JsonObject,
  kindOf,
  type Place,
  type Places,
  unfit,
  unsupported,
} from "./places.js";

export const TYPES = ["null", "boolean", "number", "string", "array", "object"] as const;
export type JsonType = (typeof TYPES)[number];

/** A bound on numbers. */
export interface Bound {
  readonly value: number;
  readonly exclusive: boolean;
}

/** The properties of one schema: `additional` applies to those not named and not matched by a pattern. */
export interface PropertyGroup {
  readonly properties: ReadonlyMap<string, Place>;
  readonly patterns: readonly { readonly source: string; readonly place: Place; readonly pointer: string }[];
  readonly additional: Place | undefined;
}

/** The items of one schema: the first ones, and those after them. */
export interface ItemGroup {
  readonly first: readonly Place[];
  readonly rest: Place | undefined;
}

/** All constraints on a value: those of several schemas, combined. */
export interface Facts {
  readonly types: ReadonlySet<JsonType>;
  /** Whether numbers must be integers. */
  readonly integer: boolean;
  /** If defined, the only allowed values. */
  readonly values: readonly Json[] | undefined;
  readonly least: Bound | undefined;
  readonly most: Bound | undefined;
  readonly multiples: readonly { readonly of: number; readonly pointer: string }[];
  readonly length: readonly [min: number, max: number];
  readonly patterns: readonly { readonly source: string; readonly pointer: string }[];
  readonly formats: readonly { readonly name: string; readonly pointer: string }[];
  readonly items: readonly [min: number, max: number];
  readonly itemGroups: readonly ItemGroup[];
  readonly required: ReadonlySet<string>;
  readonly properties: readonly [min: number, max: number];
  readonly propertyGroups: readonly PropertyGroup[];
  readonly names: readonly Place[];
  /** Pointer of a schema with a bound on the number of properties. */
  readonly pointer: string;
}

const ANY: readonly [number, number] = [0, Number.POSITIVE_INFINITY];

export const ANYTHING: Facts = {
  types: new Set(TYPES),
  integer: false,
  values: undefined,
  least: undefined,
  most: undefined,
  multiples: [],
  length: ANY,
  patterns: [],
  formats: [],
  items: ANY,
  itemGroups: [],
  required: new Set(),
  properties: ANY,
  propertyGroups: [],
  names: [],
  pointer: "",
};

/** Unsupported keywords of JSON Schema that change what is valid. */
const UNSUPPORTED = [
  "$dynamicRef",
  "$recursiveRef",
  "if",
  "unevaluatedProperties",
  "unevaluatedItems",
  "contains",
  "disallow",
  "extends",
] as const;

/** Values of unsupported keywords with which they change nothing. */
const HARMLESS: Readonly<Record<string, (value: Json) => boolean>> = {
  unevaluatedProperties: (value) => value === true,
  unevaluatedItems: (value) => value === true,
};

/** Adds the constraints of one schema's own keywords. @throws {ConstraintError} unsupported or malformed. */
export function addFacts(before: Facts, schema: JsonObject, pointer: string, places: Places): Facts {
  for (const name of UNSUPPORTED) {
    if (schema[name] !== undefined && !HARMLESS[name]?.(schema[name]!)) {
      throw unsupported(below(pointer, name), name);
    }
  }
  const read = new Reader(schema, pointer, places);
  let facts = read.types(before);
  facts = read.values(facts);
  facts = read.numbers(facts);
  facts = read.strings(facts);
  facts = read.arrays(facts);
  return read.objects(facts);
}

class Reader {
  readonly #schema: JsonObject;
  readonly #pointer: string;
  readonly #places: Places;

  constructor(schema: JsonObject, pointer: string, places: Places) {
    this.#schema = schema;
    this.#pointer = pointer;
    this.#places = places;
  }

  types(facts: Facts): Facts {
    const { type } = this.#schema;
    if (type === undefined) return facts;
    const names = Array.isArray(type) ? (type as readonly Json[]) : [type];
    const known = ["integer", ...TYPES] as readonly Json[];
    const wrong = names.find((name) => !known.includes(name));
    if (wrong !== undefined || names.length === 0) {
      throw unfit(below(this.#pointer, "type"), known.join(", "), JSON.stringify(type));
    }
    const wholeOnly = names.includes("integer") && !names.includes("number");
    const types = new Set(names.map((name) => (name === "integer" ? "number" : (name as JsonType))));
    return {
      ...facts,
      types: new Set([...facts.types].filter((each) => types.has(each))),
      integer: facts.integer || wholeOnly,
    };
  }

  values(facts: Facts): Facts {
    const { enum: list, const: only } = this.#schema;
    let { values } = facts;
    if (only !== undefined) values = intersect(values, [only]);
    if (list === undefined) return { ...facts, values };
    if (!Array.isArray(list)) throw unfit(below(this.#pointer, "enum"), "a list", kindOf(list));
    return { ...facts, values: intersect(values, list as readonly Json[]) };
  }

  numbers(facts: Facts): Facts {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = this.#schema;
    let { least, most } = facts;
    const tighten = (lower: boolean, value: number | undefined, exclusive: boolean): void => {
      if (value === undefined) return;
      const bound = { value, exclusive };
      if (lower) least = tighter(least, bound, 1);
      else most = tighter(most, bound, -1);
    };
    // In draft 4 the exclusive bounds were booleans beside the others.
    tighten(true, this.#number("minimum", minimum), exclusiveMinimum === true);
    tighten(false, this.#number("maximum", maximum), exclusiveMaximum === true);
    if (typeof exclusiveMinimum !== "boolean") tighten(true, this.#number("exclusiveMinimum", exclusiveMinimum), true);
    if (typeof exclusiveMaximum !== "boolean") tighten(false, this.#number("exclusiveMaximum", exclusiveMaximum), true);
    const of = this.#number("multipleOf", this.#schema.multipleOf);
    const pointer = below(this.#pointer, "multipleOf");
    if (of !== undefined && of <= 0) throw unfit(pointer, "a positive number", String(of));
    return {
      ...facts,
      least,
      most,
      multiples: of === undefined ? facts.multiples : [...facts.multiples, { of, pointer }],
    };
  }

  strings(facts: Facts): Facts {
    const source = this.#text("pattern");
    const name = this.#text("format");
    return {
      ...facts,
      length: this.#range(facts.length, "minLength", "maxLength"),
      patterns:
        source === undefined
          ? facts.patterns
          : [...facts.patterns, { source, pointer: below(this.#pointer, "pattern") }],
      formats:
        name === undefined ? facts.formats : [...facts.formats, { name, pointer: below(this.#pointer, "format") }],
    };
  }

  arrays(facts: Facts): Facts {
    const { items, prefixItems, additionalItems, uniqueItems } = this.#schema;
    const range = this.#range(facts.items, "minItems", "maxItems");
    if (uniqueItems === true && range[1] > 1) throw unsupported(below(this.#pointer, "uniqueItems"), "uniqueItems");
    if ((items ?? prefixItems) === undefined) return { ...facts, items: range };
    const [list, name] = Array.isArray(items) ? [items, "items"] : [prefixItems ?? [], "prefixItems"];
    if (!Array.isArray(list)) throw unfit(below(this.#pointer, name), "a list of schemas", kindOf(list));
    const first = list.map((each, i) => this.#places.at(each, below(this.#pointer, name, i)));
    const after = Array.isArray(items) ? additionalItems : items;
    const afterName = Array.isArray(items) ? "additionalItems" : "items";
    const rest = after === undefined ? undefined : this.#places.at(after, below(this.#pointer, afterName));
    return { ...facts, items: range, itemGroups: [...facts.itemGroups, { first, rest }] };
  }

  objects(facts: Facts): Facts {
    const { properties, patternProperties, additionalProperties, propertyNames, required } = this.#schema;
    const placesOf = (name: string, object: Json | undefined): [string, Place, string][] => {
      if (object === undefined) return [];
      if (!isObject(object)) throw unfit(below(this.#pointer, name), "an object of schemas", kindOf(object));
      return Object.entries(object).map(([key, each]) => {
        const pointer = below(this.#pointer, name, key);
        return [key, this.#places.at(each, pointer), pointer];
      });
    };
    const named = placesOf("properties", properties);
    const patterns = placesOf("patternProperties", patternProperties).map(([source, place, pointer]) => ({
      source,
      place,
      pointer,
    }));
    const additional =
      additionalProperties === undefined
        ? undefined
        : this.#places.at(additionalProperties, below(this.#pointer, "additionalProperties"));
    const group = { properties: new Map(named.map(([key, place]) => [key, place])), patterns, additional };
    const says = named.length > 0 || patterns.length > 0 || additional !== undefined;
    const names =
      propertyNames === undefined ? [] : [this.#places.at(propertyNames, below(this.#pointer, "propertyNames"))];
    // In draft 3 `required` was a boolean on the property itself.
    const needed = typeof required === "boolean" ? [] : required;
    if (needed !== undefined && !(Array.isArray(needed) && needed.every((key) => typeof key === "string"))) {
      throw unfit(below(this.#pointer, "required"), "a list of names", kindOf(needed));
    }
    const bounds = this.#range(facts.properties, "minProperties", "maxProperties");
    return {
      ...facts,
      required: new Set([...facts.required, ...((needed ?? []) as string[])]),
      properties: bounds,
      propertyGroups: says ? [...facts.propertyGroups, group] : facts.propertyGroups,
      names: [...facts.names, ...names],
      pointer: this.#schema.minProperties === undefined ? facts.pointer : below(this.#pointer, "minProperties"),
    };
  }

  #number(name: string, value: Json | undefined): number | undefined {
    if (value === undefined || typeof value === "number") return value;
    throw unfit(below(this.#pointer, name), "a number", kindOf(value));
  }

  #text(name: string): string | undefined {
    const value = this.#schema[name];
    if (value === undefined || typeof value === "string") return value;
    throw unfit(below(this.#pointer, name), "a string", kindOf(value));
  }

  #range([min, max]: readonly [number, number], least: string, most: string): readonly [number, number] {
    const [low, high] = [least, most].map((name) => {
      const value = this.#number(name, this.#schema[name]);
      if (value === undefined || (Number.isInteger(value) && value >= 0)) return value;
      throw unfit(below(this.#pointer, name), "0 or a positive integer", String(value));
    });
    return [Math.max(min, low ?? 0), Math.min(max, high ?? Number.POSITIVE_INFINITY)];
  }
}

/** The tighter of two bounds. @param sign 1 for lower ones */
function tighter(a: Bound | undefined, b: Bound, sign: 1 | -1): Bound {
  if (a === undefined) return b;
  if (a.value === b.value) return a.exclusive ? a : b;
  return sign * (a.value - b.value) > 0 ? a : b;
}

function intersect(before: readonly Json[] | undefined, values: readonly Json[]): readonly Json[] {
  if (before === undefined) return values;
  const keys = new Set(values.map(canonical));
  return before.filter((value) => keys.has(canonical(value)));
}

/** A text of a value that is the same for equal values. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${(value as readonly Json[]).map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${canonical(each)}`);
  return `{${entries.sort().join(",")}}`;
}

export function typeOf(value: Json): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value as JsonType;
}
