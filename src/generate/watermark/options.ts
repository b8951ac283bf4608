import { UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import type { ContextScope } from "./contexts.js";
import { checkKey, type WatermarkKey } from "./key.js";

export interface KeyedOptions {
  /** The secret: a 64-bit integer, or a text from which one is made. */
  readonly key: WatermarkKey;
  /** Number of preceding tokens that, with the key, decide about a token. Default 4. */
  readonly contextWidth?: number | undefined;
  /**
   * Where to look for earlier occurrences of a context, which would repeat the same choice and are left unmarked: in the
   * generated text (`single-turn`, the default), in prompt and text (`all`), or nowhere (`none`).
   */
  readonly deduplicateContexts?: ContextScope | undefined;
  /** Number of newest positions to search. Default 8192. */
  readonly maxHistory?: number | undefined;
}

/** Aaronson's scheme: keeps the distribution; the key decides the text, and the seed hardly matters. */
export interface GumbelOptions extends KeyedOptions {
  readonly scheme?: "gumbel" | undefined;
}

/** Aaronson's scheme under two keys derived from one. */
export interface DualKeyGumbelOptions extends KeyedOptions {
  readonly scheme: "dual-key-gumbel";
  /** Share of tokens under the second key. Default 0.1. */
  readonly alpha?: number | undefined;
}

/** The scheme of Kirchenbauer et al.: favours a share of the vocabulary. */
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

/** Red-green as Hugging Face transformers has it, WatermarkingConfig. */
export interface HfKgwOptions {
  readonly scheme: "hf-kgw";
  /** Its `hashing_key`: an integer below 2^63. */
  readonly key: WatermarkKey;
  /** Its `greenlist_ratio`. Default 0.25. */
  readonly gamma?: number | undefined;
  /** Its `bias`. Default 2. */
  readonly delta?: number | undefined;
  /** Its `seeding_scheme`: by the token before (`lefthash`, the default), or also by the token itself. */
  readonly seeding?: "lefthash" | "selfhash" | undefined;
  /** Its `context_width`. Default 1. */
  readonly contextWidth?: number | undefined;
}

/** SynthID-Text as Hugging Face transformers has it, SynthIDTextWatermarkingConfig. */
export interface HfSynthIdOptions {
  readonly scheme: "hf-synthid";
  /** One key for each round: signed 64-bit integers. */
  readonly keys: readonly (number | bigint | string)[];
  /** Its `ngram_len`. Default 5. */
  readonly ngramLength?: number | undefined;
  /** Its `context_history_size`. Default 1024. */
  readonly contextHistorySize?: number | undefined;
  /** Default 0. */
  readonly samplingTableSeed?: number | undefined;
  /** Default 65536. */
  readonly samplingTableSize?: number | undefined;
  /** Its `skip_first_ngram_calls`: leave the first tokens, whose context is incomplete, unmarked. Default false. */
  readonly skipFirstNgrams?: boolean | undefined;
}

/** How to mark a text; verification takes the same options. */
export type WatermarkOptions =
  | GumbelOptions
  | DualKeyGumbelOptions
  | RedGreenOptions
  | SynthIdOptions
  | HfKgwOptions
  | HfSynthIdOptions;

export type WatermarkScheme = NonNullable<WatermarkOptions["scheme"]>;

export type Complete<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> };

/** The options with their defaults. */
export type WatermarkSettings =
  | Complete<GumbelOptions>
  | Complete<DualKeyGumbelOptions>
  | Complete<RedGreenOptions>
  | Complete<SynthIdOptions>
  | Complete<HfKgwOptions>
  | Complete<HfSynthIdOptions>;

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

/** The options of each scheme but the key, with default and rule. */
const SCHEMES: Readonly<Record<WatermarkScheme, Readonly<Record<string, Rule>>>> = {
  gumbel: SHARED,
  "dual-key-gumbel": { ...SHARED, alpha: between(0.1, 0, 1) },
  "red-green": { ...SHARED, gamma, delta },
  synthid: { ...SHARED, depth: integer(32, 1, 32) },
  "hf-kgw": { gamma, delta, seeding: oneOf("lefthash", ["selfhash"]), contextWidth: integer(1, 1, 64) },
  "hf-synthid": {
    ngramLength: integer(5, 2, 64),
    contextHistorySize: integer(1024, 1, 2 ** 24),
    samplingTableSeed: integer(0, 0, Number.MAX_SAFE_INTEGER),
    samplingTableSize: integer(2 ** 16, 1, 2 ** 24),
    skipFirstNgrams: { value: false, expected: "true or false", holds: (x) => typeof x === "boolean" },
  },
};

export const WATERMARK_SCHEMES = Object.keys(SCHEMES) as readonly WatermarkScheme[];

/** Whether a scheme can change the likeliest token. The others have nothing to choose from at temperature 0. */
export const marksGreedy = (scheme: WatermarkScheme): boolean => scheme === "hf-kgw" || scheme === "hf-synthid";

/** @throws {UsageError} an option that does not exist or is out of range. */
export function watermarkSettings(options: WatermarkOptions): WatermarkSettings {
  const { scheme = "gumbel", ...given } = options;
  if (!Object.hasOwn(SCHEMES, scheme)) {
    throw new UsageError({ op: "watermark: scheme", expected: WATERMARK_SCHEMES.join(", "), got: String(scheme) });
  }
  const rules = SCHEMES[scheme];
  const secret = scheme === "hf-synthid" ? "keys" : "key";
  checkOptionNames<Record<string, unknown>>(`watermark ${scheme}`, given, { ...rules, [secret]: true });
  const secrets = { [secret]: checkedSecret(scheme, (given as Record<string, unknown>)[secret]) };
  const values = Object.entries(rules).map(([name, { value, expected, holds }]) => {
    const x = (given as Record<string, unknown>)[name] ?? value;
    if (!holds(x)) throw new UsageError({ op: `watermark: ${name}`, expected, got: String(x) });
    return [name, x] as const;
  });
  return { scheme, ...secrets, ...Object.fromEntries(values) } as WatermarkSettings;
}

/** The key or keys in the form in which they are used. Errors do not quote them. */
function checkedSecret(scheme: WatermarkScheme, secret: unknown): WatermarkKey | readonly bigint[] {
  if (scheme === "hf-synthid") {
    if (Array.isArray(secret) && secret.length > 0) return secret.map(checkedSignedKey);
    throw new UsageError({ op: "watermark: keys", expected: "integers, one for each round", got: kindOf(secret) });
  }
  checkKey(secret);
  if (scheme === "hf-kgw" && integerKey(secret) === undefined) {
    throw new UsageError({
      op: "watermark: key",
      expected: "transformers' hashing_key, below 2^63",
      got: kindOf(secret),
    });
  }
  return secret;
}

function checkedSignedKey(key: unknown): bigint {
  const value = integerKey(key);
  if (value !== undefined) return value;
  throw new UsageError({ op: "watermark: keys", expected: "integers from -2^63 to 2^63 - 1", got: kindOf(key) });
}

/** A signed 64-bit integer; undefined if `key` is none. */
function integerKey(key: unknown): bigint | undefined {
  const isInteger =
    typeof key === "bigint" || Number.isSafeInteger(key) || (typeof key === "string" && /^\s*-?\d+\s*$/.test(key));
  if (!isInteger) return undefined;
  const value = BigInt(key as string | number | bigint);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

const kindOf = (x: unknown): string => {
  if (x === undefined) return "none";
  if (typeof x === "string") return "a text";
  return Array.isArray(x) ? "an empty list" : `a ${typeof x} out of range`;
};
