import { UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import type { ContextScope } from "./contexts.js";
import { checkKey, type WatermarkKey } from "./key.js";

interface KeyedOptions {
  /** Secret: an integer of 64 bits, or a text from which they are made. */
  readonly key: WatermarkKey;
  /** Tokens before a token that decide about it together with the key. Default 4. */
  readonly contextWidth?: number | undefined;
  /**
   * Where a context is looked for before a token is marked by it, as a repeated one would give the same choice: in the
   * generated text (`single-turn`, the default), in prompt and text (`all`), or nowhere.
   */
  readonly deduplicateContexts?: ContextScope | undefined;
  /** Newest positions looked through. Default 8192. */
  readonly maxHistory?: number | undefined;
}

/** Aaronson's: the distribution stays as it is; the key decides the text, and the seed next to nothing. */
export interface GumbelOptions extends KeyedOptions {
  readonly scheme?: "gumbel" | undefined;
}

/** Aaronson's under two keys that are derived from one. */
export interface DualKeyGumbelOptions extends KeyedOptions {
  readonly scheme: "dual-key-gumbel";
  /** Share of tokens under the second key. Default 0.1. */
  readonly alpha?: number | undefined;
}

/** Kirchenbauer et al.'s: favours a share of the vocabulary. */
export interface RedGreenOptions extends KeyedOptions {
  readonly scheme: "red-green";
  /** Share of the vocabulary that is green. Default 0.25. */
  readonly gamma?: number | undefined;
  /** Added to the logits of green tokens. Default 2. */
  readonly delta?: number | undefined;
}

/** SynthID-Text's tournament. */
export interface SynthIdOptions extends KeyedOptions {
  readonly scheme: "synthid";
  /** Rounds, from 1 to 32. Default 32. */
  readonly depth?: number | undefined;
}

/** How a text is marked, and what it has to be verified with. */
export type WatermarkOptions = GumbelOptions | DualKeyGumbelOptions | RedGreenOptions | SynthIdOptions;

export type WatermarkScheme = NonNullable<WatermarkOptions["scheme"]>;

type Complete<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> };

/** The options with their defaults. */
export type WatermarkSettings =
  | Complete<GumbelOptions>
  | Complete<DualKeyGumbelOptions>
  | Complete<RedGreenOptions>
  | Complete<SynthIdOptions>;

interface Rule {
  readonly value: unknown;
  readonly expected: string;
  readonly holds: (x: unknown) => boolean;
}

const between = (value: number, low: number, high: number): Rule => ({
  value,
  expected: `a number from ${low} to ${high}`,
  holds: (x) => typeof x === "number" && x >= low && x <= high,
});
const integer = (value: number, low: number, high: number): Rule => ({
  value,
  expected: `an integer from ${low} to ${high}`,
  holds: (x) => Number.isInteger(x) && (x as number) >= low && (x as number) <= high,
});
const oneOf = (value: string, others: readonly string[]): Rule => ({
  value,
  expected: [value, ...others].join(", "),
  holds: (x) => x === value || others.includes(x as string),
});

const SHARED = {
  contextWidth: integer(4, 1, 64),
  deduplicateContexts: oneOf("single-turn", ["all", "none"]),
  maxHistory: integer(8192, 1, Number.MAX_SAFE_INTEGER),
};
const gamma: Rule = {
  value: 0.25,
  expected: "a number between 0 and 1",
  holds: (x) => typeof x === "number" && x > 0 && x < 1,
};
const delta: Rule = {
  value: 2,
  expected: "a positive number, at most 100",
  holds: (x) => typeof x === "number" && x > 0 && x <= 100,
};

/** For each scheme its options but the key, with default and rule. */
const SCHEMES: Readonly<Record<WatermarkScheme, Readonly<Record<string, Rule>>>> = {
  gumbel: SHARED,
  "dual-key-gumbel": { ...SHARED, alpha: between(0.1, 0, 1) },
  "red-green": { ...SHARED, gamma, delta },
  synthid: { ...SHARED, depth: integer(32, 1, 32) },
};

export const WATERMARK_SCHEMES = Object.keys(SCHEMES) as readonly WatermarkScheme[];

/** @throws {UsageError} an option that does not exist or is out of range. */
export function watermarkSettings(options: WatermarkOptions): WatermarkSettings {
  const { scheme = "gumbel", key, ...given } = options;
  if (!Object.hasOwn(SCHEMES, scheme)) {
    throw new UsageError({ op: "watermark: scheme", expected: WATERMARK_SCHEMES.join(", "), got: String(scheme) });
  }
  const rules = SCHEMES[scheme];
  checkOptionNames<Record<string, unknown>>(`watermark ${scheme}`, given, rules);
  checkKey(key);
  const values = Object.entries(rules).map(([name, { value, expected, holds }]) => {
    const x = (given as Record<string, unknown>)[name] ?? value;
    if (!holds(x)) throw new UsageError({ op: `watermark: ${name}`, expected, got: String(x) });
    return [name, x] as const;
  });
  return { scheme, key, ...Object.fromEntries(values) } as WatermarkSettings;
}
