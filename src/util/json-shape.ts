/**
 * A shape for parsed JSON: a type, an object with these fields (and any others), a list of one shape, one of several
 * values, or an optional shape.
 */
export type Shape =
  | "string"
  | "number"
  | "count"
  | "boolean"
  | { readonly fields: Readonly<Record<string, Shape>> }
  | { readonly list: Shape }
  | { readonly oneOf: readonly unknown[] }
  | { readonly optional: Shape };

export interface Mismatch {
  /** `splits.train.tokens`; empty for the value itself. */
  readonly path: string;
  readonly expected: string;
  /** The actual value, abbreviated. */
  readonly got: string;
}

/** The first place where a value does not have a shape. It goes no deeper than the shape, however deep the value is. */
export function mismatch(value: unknown, shape: Shape, path = ""): Mismatch | undefined {
  const wrong = (expected: string): Mismatch => ({ path, expected, got: shortly(value) });
  if (shape === "count") return Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : wrong("a count");
  if (typeof shape === "string") return typeof value === shape ? undefined : wrong(`a ${shape}`);
  if ("optional" in shape) return value === undefined ? undefined : mismatch(value, shape.optional, path);
  if ("oneOf" in shape) return shape.oneOf.includes(value) ? undefined : wrong(shape.oneOf.map(shortly).join(" or "));
  if ("list" in shape) {
    return Array.isArray(value)
      ? first(
          value.entries(),
          (i) => `${path}[${i}]`,
          () => shape.list,
        )
      : wrong("a list");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong("an object");
  const fields = Object.keys(shape.fields).map((key) => [key, (value as Record<string, unknown>)[key]] as const);
  return first(
    fields,
    (key) => (path === "" ? key : `${path}.${key}`),
    (key) => shape.fields[key]!,
  );
}

function first<K>(
  entries: Iterable<readonly [K, unknown]>,
  pathOf: (key: K) => string,
  shapeOf: (key: K) => Shape,
): Mismatch | undefined {
  for (const [key, value] of entries) {
    const found = mismatch(value, shapeOf(key), pathOf(key));
    if (found) return found;
  }
  return undefined;
}

function shortly(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  return JSON.stringify(value).slice(0, 60);
}
