import { ConstraintError } from "../../errors.js";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json };

/** A schema and its position: a JSON pointer. */
export interface Place {
  readonly schema: JsonObject | boolean;
  readonly pointer: string;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An error at a position. */
export function unfit(pointer: string, expected: string, got: string, hint?: string): ConstraintError {
  const op = `JSON schema at ${pointer === "" ? "its root" : pointer}`;
  return new ConstraintError({ op, expected, got, at: pointer, ...(hint !== undefined && { hint }) });
}

/** A feature that is not supported. */
export const unsupported = (pointer: string, what: string, hint?: string): ConstraintError =>
  unfit(pointer, "a supported schema", what, hint);

export const below = (pointer: string, ...names: readonly (string | number)[]): string =>
  [pointer, ...names.map((name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1"))].join("/");

const MOST_DEPTH = 200;

/** Finds the schemas of a document: one place for each, however it is reached. */
export class Places {
  readonly root: Place;
  readonly #places = new Map<JsonObject, Place>();
  readonly #named = new Map<string, Place>();
  readonly #true: Place = { schema: true, pointer: "" };
  readonly #false: Place = { schema: false, pointer: "" };

  /** @throws {ConstraintError} it is not a schema, or nested too deeply. */
  constructor(document: unknown) {
    if (!isObject(document) && typeof document !== "boolean")
      throw unfit("", "an object or true or false", kindOf(document));
    this.root = this.at(document, "");
    this.#collect(document, "", 0);
  }

  /** The place of a schema. @throws {ConstraintError} it is not a schema. */
  at(schema: unknown, pointer: string): Place {
    if (typeof schema === "boolean") return schema ? this.#true : this.#false;
    if (!isObject(schema)) throw unfit(pointer, "a schema: an object, true or false", kindOf(schema));
    let place = this.#places.get(schema);
    if (!place) this.#places.set(schema, (place = { schema, pointer }));
    return place;
  }

  /** Records the names of schemas: $id, $anchor and, in older drafts, id. */
  #collect(value: unknown, pointer: string, depth: number): void {
    if (depth > MOST_DEPTH) throw unfit(pointer, `at most ${MOST_DEPTH} levels`, "more");
    if (Array.isArray(value))
      for (const [i, each] of value.entries()) this.#collect(each, below(pointer, i), depth + 1);
    if (!isObject(value)) return;
    for (const name of [value.$id, value.id, typeof value.$anchor === "string" ? `#${value.$anchor}` : undefined]) {
      if (typeof name === "string" && !this.#named.has(name)) this.#named.set(name, this.at(value, pointer));
    }
    for (const [name, each] of Object.entries(value)) this.#collect(each, below(pointer, name), depth + 1);
  }

  /** The target of a $ref. @throws {ConstraintError} */
  resolve(reference: unknown, pointer: string): Place {
    if (typeof reference !== "string") throw unfit(pointer, "a reference", kindOf(reference));
    const named =
      this.#named.get(reference) ?? this.#named.get(`${reference}#`) ?? this.#named.get(reference.replace(/#$/, ""));
    if (named) return named;
    const [base, path = ""] = splitOnce(reference, "#");
    const start = base === "" ? this.root : (this.#named.get(base) ?? this.#named.get(`${base}#`));
    if (!start) throw unsupported(pointer, `a reference to another document: ${reference}`);
    let [value, at]: [unknown, string] = [start.schema, start.pointer];
    if (path !== "" && !path.startsWith("/")) throw unfit(pointer, "a reference to an existing schema", reference);
    for (const part of path.split("/").slice(1)) {
      const name = decode(part, pointer);
      const holds = typeof value === "object" && value !== null && Object.hasOwn(value, name);
      if (!holds) throw unfit(pointer, "a reference to an existing schema", reference);
      value = (value as JsonObject)[name];
      at = below(at, name);
    }
    return this.at(value, at);
  }
}

function splitOnce(text: string, at: string): string[] {
  const i = text.indexOf(at);
  return i < 0 ? [text] : [text.slice(0, i), text.slice(i + 1)];
}

function decode(part: string, pointer: string): string {
  try {
    return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    throw unfit(pointer, "a JSON pointer", part);
  }
}

export const kindOf = (value: unknown): string =>
  value === null ? "null" : Array.isArray(value) ? "an array" : value === undefined ? "nothing" : `a ${typeof value}`;
