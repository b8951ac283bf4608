import { type ApiError, invalid } from "./api-error.js";

/** The part of JSON Schema used here. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Validates a value of a request, and describes it for the OpenAPI document. */
export interface Schema<T> {
  readonly schema: JsonSchema;
  /** @throws {ApiError} it names the place in the request. */
  parse(value: unknown, at: string): T;
}

type Fields = Readonly<Record<string, Schema<unknown>>>;
export type Parsed<F extends Fields> = { readonly [K in keyof F]: F[K] extends Schema<infer T> ? T : never };

function fail(at: string, expected: string, value: unknown): ApiError {
  const text = JSON.stringify(value) ?? "nothing";
  const got = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  return invalid(
    at,
    `expected ${expected}, got ${got}`,
    value === undefined ? "missing_required_parameter" : "invalid_value",
  );
}

export function number(least: number, most: number, about?: string): Schema<number> {
  return {
    schema: { type: "number", minimum: least, maximum: most, ...(about && { description: about }) },
    parse: (value, at) => {
      if (typeof value === "number" && value >= least && value <= most) return value;
      throw fail(at, `a number from ${least} to ${most}`, value);
    },
  };
}

export function integer(least: number, most: number, about?: string): Schema<number> {
  return {
    schema: { type: "integer", minimum: least, maximum: most, ...(about && { description: about }) },
    parse: (value, at) => {
      if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return value as number;
      throw fail(at, `an integer from ${least} to ${most}`, value);
    },
  };
}

export function boolean(about?: string): Schema<boolean> {
  return {
    schema: { type: "boolean", ...(about && { description: about }) },
    parse: (value, at) => {
      if (typeof value === "boolean") return value;
      throw fail(at, "true or false", value);
    },
  };
}

export function string(most: number, { least = 0, about }: { least?: number; about?: string } = {}): Schema<string> {
  return {
    schema: {
      type: "string",
      maxLength: most,
      ...(least > 0 && { minLength: least }),
      ...(about && { description: about }),
    },
    parse: (value, at) => {
      if (typeof value === "string" && value.length >= least && value.length <= most) return value;
      throw fail(at, `a string of ${least} to ${most} characters`, value);
    },
  };
}

export function oneOf<const T extends string>(values: readonly T[], about?: string): Schema<T> {
  return {
    schema: { type: "string", enum: values, ...(about && { description: about }) },
    parse: (value, at) => {
      if (values.includes(value as T)) return value as T;
      throw fail(at, values.join(" or "), value);
    },
  };
}

export function list<T>(item: Schema<T>, most: number, least = 0): Schema<T[]> {
  return {
    schema: { type: "array", items: item.schema, maxItems: most, ...(least > 0 && { minItems: least }) },
    parse: (value, at) => {
      if (!Array.isArray(value) || value.length > most || value.length < least) {
        throw fail(at, `a list of ${least} to ${most}`, Array.isArray(value) ? `${value.length} of them` : value);
      }
      return value.map((each, i) => item.parse(each, `${at}[${i}]`));
    },
  };
}

/** An object whose keys match the pattern. */
export function record<T>(key: RegExp, item: Schema<T>, most: number): Schema<Record<string, T>> {
  return {
    schema: { type: "object", additionalProperties: item.schema, maxProperties: most },
    parse: (value, at) => {
      const entries = isObject(value) ? Object.entries(value) : [];
      if (!isObject(value) || entries.length > most) throw fail(at, `an object of at most ${most} entries`, value);
      return Object.fromEntries(
        entries.map(([name, each]) => {
          if (!key.test(name)) throw fail(`${at}.${name}`, `a key like ${key.source}`, name);
          return [name, item.parse(each, `${at}.${name}`)];
        }),
      );
    },
  };
}

/** Other fields are ignored: clients send options of other servers too. */
export function object<F extends Fields>(fields: F): Schema<Parsed<F>> {
  const required = Object.entries(fields).flatMap(([name, { schema }]) => (schema["x-optional"] ? [] : [name]));
  const properties = Object.fromEntries(
    Object.entries(fields).map(
      ([
        name,
        {
          schema: { "x-optional": _, ...schema },
        },
      ]) => [name, schema],
    ),
  );
  return {
    schema: { type: "object", properties, ...(required.length > 0 && { required }) },
    parse: (value, at) => {
      if (!isObject(value)) throw fail(at, "an object", value);
      const parsed = Object.entries(fields).map(([name, field]) => {
        const given = Object.hasOwn(value, name) ? value[name] : undefined;
        return [name, field.parse(given, at === "" ? name : `${at}.${name}`)];
      });
      return Object.fromEntries(parsed) as Parsed<F>;
    },
  };
}

/** The same with a description for the document. */
export function described<T>(inner: Schema<T>, about: string): Schema<T> {
  return { ...inner, schema: { ...inner.schema, description: about } };
}

/** Any JSON, as far as the body may nest. */
export function json(about: string): Schema<unknown> {
  return { schema: { description: about }, parse: (value) => value };
}

/** May be left out, or null. */
export function optional<T>(inner: Schema<T>): Schema<T | undefined> {
  return {
    schema: { ...inner.schema, nullable: true, "x-optional": true },
    parse: (value, at) => (value === undefined || value === null ? undefined : inner.parse(value, at)),
  };
}

export function withDefault<T>(inner: Schema<T>, value: T): Schema<T> {
  return {
    schema: { ...inner.schema, default: value, nullable: true, "x-optional": true },
    parse: (given, at) => (given === undefined || given === null ? value : inner.parse(given, at)),
  };
}

/** The first schema that accepts the value. If none does, the error comes from the one whose JSON type fits. */
export function anyOf<A, B, C = A>(...options: [Schema<A>, Schema<B>, Schema<C>?]): Schema<A | B | C> {
  const all = options.filter((option) => option !== undefined) as Schema<A | B | C>[];
  return {
    schema: { anyOf: all.map(({ schema }) => schema) },
    parse: (value, at) => {
      let last: unknown;
      for (const option of all) {
        try {
          return option.parse(value, at);
        } catch (error) {
          if (option.schema.type === typeOf(value) || last === undefined) last = error;
        }
      }
      throw last;
    },
  };
}

/** A field of OpenAI's API that this server lacks: refused unless absent, or set to a value without effect. */
export function refused(reason: string, ...harmless: readonly unknown[]): Schema<undefined> {
  return {
    schema: { description: `Not supported: ${reason}`, nullable: true, "x-optional": true },
    parse: (value, at) => {
      if (value === undefined || value === null || harmless.some((x) => JSON.stringify(x) === JSON.stringify(value)))
        return undefined;
      throw invalid(at, `not supported: ${reason}`, "unsupported_parameter");
    },
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const typeOf = (value: unknown): string => (Array.isArray(value) ? "array" : typeof value);

/** Deepest nesting of a request's JSON. */
const MOST_DEPTH = 32;

/** Parses JSON after checking how deep it is nested. @throws {ApiError} */
export function parseJson(text: string): unknown {
  let [depth, inString] = [0, false];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i++;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > MOST_DEPTH)
        throw invalid("", `the body is nested deeper than ${MOST_DEPTH} levels`, "invalid_json");
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("", "the body is not JSON", "invalid_json");
  }
}
