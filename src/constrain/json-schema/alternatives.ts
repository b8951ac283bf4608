import { ConstraintLimitError } from "../../errors.js";
import { ANYTHING, addFacts, type Facts, type JsonType, TYPES } from "./facts.js";
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

/** One way to satisfy schemas: its facts, and the schemas that contribute to it. */
export interface Alternative {
  readonly facts: Facts;
  readonly holds: ReadonlySet<Place>;
}

const MOST_ALTERNATIVES = 1000;
const MOST_DEPTH = 300;

/** Expands schemas: references, `allOf`, `anyOf` and similar keywords become alternatives of plain facts. */
export class Alternatives {
  readonly #places: Places;
  readonly #areDisjoint: (a: Alternative, b: Alternative) => boolean;
  #depth = 0;

  /** @param areDisjoint whether no value satisfies both, for `oneOf` */
  constructor(places: Places, areDisjoint: (a: Alternative, b: Alternative) => boolean) {
    this.#places = places;
    this.#areDisjoint = areDisjoint;
  }

  /** The ways to satisfy all of the places; empty if there is none. */
  of(places: readonly Place[]): Alternative[] {
    return this.#all(places, [{ facts: ANYTHING, holds: new Set() }]);
  }

  #all(places: readonly Place[], before: Alternative[]): Alternative[] {
    return places.reduce((alternatives, place) => this.#add(place, alternatives), before);
  }

  /** Adds one schema to the alternatives so far. */
  #add(place: Place, before: Alternative[]): Alternative[] {
    const { schema, pointer } = place;
    if (schema === true) return before;
    if (schema === false) return [];
    if (++this.#depth > MOST_DEPTH) throw new ConstraintLimitError("levels of references and alternatives", MOST_DEPTH);
    const held = before.filter(({ holds }) => holds.has(place));
    let alternatives = before
      .filter(({ holds }) => !holds.has(place))
      .map(({ facts, holds }) => ({ facts, holds: new Set([...holds, place]) as ReadonlySet<Place> }));
    if (alternatives.length > 0) {
      alternatives = this.#reference(schema, pointer, alternatives);
      if (!this.#isOldReference(schema)) alternatives = this.#keywords(schema, pointer, alternatives);
    }
    this.#depth--;
    return [...held, ...alternatives];
  }

  /** Whether a $ref hides the keywords beside it, as up to draft 7; in practice those are only annotations. */
  #isOldReference(schema: JsonObject): boolean {
    const root = this.#places.root.schema;
    const draft = isObject(root) && typeof root.$schema === "string" ? root.$schema : "";
    return schema.$ref !== undefined && /draft-0[3-7]/.test(draft);
  }

  #reference(schema: JsonObject, pointer: string, before: Alternative[]): Alternative[] {
    if (schema.$ref === undefined) return before;
    return this.#add(this.#places.resolve(schema.$ref, below(pointer, "$ref")), before);
  }

  #keywords(schema: JsonObject, pointer: string, before: Alternative[]): Alternative[] {
    let alternatives = before
      .map(({ facts, holds }) => ({ facts: addFacts(facts, schema, pointer, this.#places), holds }))
      .filter(({ facts }) => facts.types.size > 0 && facts.values?.length !== 0);
    if (schema.not !== undefined) alternatives = this.#not(schema.not, below(pointer, "not"), alternatives);
    alternatives = this.#all(this.#list(schema, "allOf", pointer), alternatives);
    alternatives = this.#dependencies(schema, pointer, alternatives);
    for (const name of ["anyOf", "oneOf"]) {
      if (schema[name] === undefined) continue;
      const options = this.#list(schema, name, pointer);
      if (name === "oneOf") this.#checkDisjoint(options, alternatives, below(pointer, name));
      const all = options.flatMap((option) => this.#add(option, alternatives));
      if (all.length > MOST_ALTERNATIVES) throw new ConstraintLimitError("alternatives of a schema", MOST_ALTERNATIVES);
      alternatives = all;
    }
    return alternatives;
  }

  #list(schema: JsonObject, name: string, pointer: string): Place[] {
    const list = schema[name];
    if (list === undefined) return [];
    const at = below(pointer, name);
    if (!Array.isArray(list) || list.length === 0) throw unfit(at, "a list of schemas", kindOf(list));
    return (list as readonly Json[]).map((each, i) => this.#places.at(each, below(at, i)));
  }

  /** `oneOf` equals `anyOf` if no two options can hold at once, which is checked. */
  #checkDisjoint(options: readonly Place[], before: readonly Alternative[], pointer: string): void {
    for (const alternative of before) {
      const all = options.map((option) => this.#add(option, [alternative]));
      for (const [i, first] of all.entries()) {
        for (const second of all.slice(i + 1)) {
          if (first.every((a) => second.every((b) => this.#areDisjoint(a, b)))) continue;
          const hint = "Write anyOf, or give the options types, bounds or a required constant that tell them apart";
          throw unsupported(pointer, "oneOf of options that may hold at once", hint);
        }
      }
    }
  }

  /** `not` of types, or of nothing or everything. */
  #not(schema: Json, pointer: string, before: Alternative[]): Alternative[] {
    const { schema: inner } = this.#places.at(schema, pointer);
    if (inner === false) return before;
    if (inner === true || Object.keys(inner).length === 0) return [];
    const { type } = inner;
    const names = (Array.isArray(type) ? type : [type]) as readonly Json[];
    const known = names.every((name) => (TYPES as readonly Json[]).includes(name));
    if (Object.keys(inner).length === 1 && known) {
      return before
        .map(({ facts, holds }) => {
          return {
            facts: { ...facts, types: new Set([...facts.types].filter((each) => !names.includes(each))) },
            holds,
          };
        })
        .filter(({ facts }) => facts.types.size > 0);
    }
    throw unsupported(pointer, "not of anything but types", "Describe what is allowed instead");
  }

  /** If a property is present, others must be too, or a schema must hold: as alternatives with it and without it. */
  #dependencies(schema: JsonObject, pointer: string, before: Alternative[]): Alternative[] {
    let alternatives = before;
    for (const keyword of ["dependentRequired", "dependentSchemas", "dependencies"]) {
      const dependencies = schema[keyword];
      if (dependencies === undefined) continue;
      if (!isObject(dependencies)) throw unfit(below(pointer, keyword), "an object", kindOf(dependencies));
      for (const [name, needed] of Object.entries(dependencies)) {
        const at = below(pointer, keyword, name);
        const without = { type: "object", properties: { [name]: false } };
        const withIt = { type: "object", required: [name, ...(Array.isArray(needed) ? needed : [])] };
        const notObject = alternatives.map(({ facts, holds }) => {
          return { facts: withTypes(facts, (type) => type !== "object"), holds };
        });
        const then = Array.isArray(needed) ? [] : [this.#places.at(needed, at)];
        alternatives = [
          ...notObject.filter(({ facts }) => facts.types.size > 0),
          ...this.#add({ schema: without, pointer: at }, alternatives),
          ...this.#all([{ schema: withIt, pointer: at }, ...then], alternatives),
        ];
        if (alternatives.length > MOST_ALTERNATIVES) {
          throw new ConstraintLimitError("alternatives of a schema", MOST_ALTERNATIVES);
        }
      }
    }
    return alternatives;
  }
}

function withTypes(facts: Facts, keep: (type: JsonType) => boolean): Facts {
  return { ...facts, types: new Set([...facts.types].filter(keep)) };
}
