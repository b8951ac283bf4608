import { UsageError } from "../../errors.js";
import type { ContextScope } from "./contexts.js";
import { type WatermarkOptions, type WatermarkSettings, watermarkSettings } from "./options.js";

type Json = Readonly<Record<string, unknown>>;

/**
 * Reads watermark options from JSON: {@link WatermarkOptions}; a WatermarkingConfig or SynthIDTextWatermarkingConfig of
 * Hugging Face transformers, also as the `watermarking_config` of a generation_config.json; or a WatermarkConfig of vLLM. The
 * key may be missing.
 *
 * @param op for errors
 * @throws {UsageError} the JSON is none of these. Values are checked when the options are used.
 */
export function readWatermarkConfig(text: string, op = "reading a watermark's configuration"): WatermarkOptions {
  const json = objectIn(text, op);
  const inner = json.watermarking_config ?? json.watermark_config;
  if (inner !== undefined && inner !== null) return optionsOf(asObject(inner, op), op);
  return optionsOf(json, op);
}

function optionsOf(json: Json, op: string): WatermarkOptions {
  const isTheirs = "greenlist_ratio" in json || "hashing_key" in json || "seeding_scheme" in json;
  if (isTheirs) return renamed(json, KGW, "hf-kgw", op);
  if ("ngram_len" in json) return renamed(json, SYNTHID, "hf-synthid", op);
  if ("algorithm" in json || "context_width" in json) return fromVllm(json, op);
  return json as unknown as WatermarkOptions;
}

/** Our names for transformers' fields. */
const KGW: Readonly<Record<string, string>> = {
  greenlist_ratio: "gamma",
  bias: "delta",
  hashing_key: "key",
  seeding_scheme: "seeding",
  context_width: "contextWidth",
};
const SYNTHID: Readonly<Record<string, string>> = {
  ngram_len: "ngramLength",
  keys: "keys",
  context_history_size: "contextHistorySize",
  sampling_table_seed: "samplingTableSeed",
  sampling_table_size: "samplingTableSize",
  skip_first_ngram_calls: "skipFirstNgrams",
};
/** Our names for vLLM's fields, except the algorithm. */
const VLLM: Readonly<Record<string, string>> = {
  key: "key",
  alpha: "alpha",
  gamma: "gamma",
  delta: "delta",
  depth: "depth",
  context_width: "contextWidth",
  deduplicate_contexts_max_history: "maxHistory",
};
/** Fields that do not affect the text, only how vLLM and transformers compute. */
const IGNORED = new Set(["prf", "allow_target_only_watermarking", "debug_mode"]);

function renamed(json: Json, names: Readonly<Record<string, string>>, scheme: string, op: string) {
  const options: Record<string, unknown> = { scheme };
  for (const [name, value] of Object.entries(json)) {
    const ours = names[name];
    if (ours !== undefined) options[ours] = value;
    else if (!IGNORED.has(name)) throw new UsageError({ op, expected: `fields of ${scheme}`, got: name });
  }
  return options as unknown as WatermarkOptions;
}

/** Drops options that the scheme does not use: vLLM's configuration always has all of them. */
function fromVllm({ algorithm = "gumbel", deduplicate_contexts, ...json }: Json, op: string): WatermarkOptions {
  const scheme = String(algorithm).replaceAll("_", "-");
  const unused = scheme === "dual-key-gumbel" ? [] : ["alpha"];
  const kept = Object.fromEntries(Object.entries(json).filter(([name]) => !unused.includes(name)));
  const { maxHistory, ...options } = renamed(kept, VLLM, scheme, op) as unknown as Record<string, unknown>;
  return {
    ...options,
    ...(deduplicate_contexts !== undefined && {
      deduplicateContexts: String(deduplicate_contexts).replaceAll("_", "-") as ContextScope,
    }),
    // null searches all positions.
    ...(maxHistory !== undefined && { maxHistory: maxHistory ?? Number.MAX_SAFE_INTEGER }),
  } as unknown as WatermarkOptions;
}

/**
 * The JSON of transformers' WatermarkingConfig or SynthIDTextWatermarkingConfig, for `hf-kgw` and `hf-synthid`.
 *
 * @throws {UsageError} the scheme is another, or an option is out of range.
 */
export function transformersConfig(options: WatermarkOptions): string {
  const settings: WatermarkSettings = watermarkSettings(options);
  if (settings.scheme !== "hf-kgw" && settings.scheme !== "hf-synthid") {
    throw new UsageError({
      op: "writing transformers' configuration",
      expected: "hf-kgw or hf-synthid",
      got: settings.scheme,
    });
  }
  const names = Object.entries(settings.scheme === "hf-kgw" ? KGW : SYNTHID);
  const values = names.map(([theirs, ours]) => {
    const value = (settings as unknown as Json)[ours];
    return `  ${JSON.stringify(theirs)}: ${Array.isArray(value) ? `[${value.join(", ")}]` : jsonOf(ours, value)}`;
  });
  return `{\n${values.join(",\n")}\n}\n`;
}

/** Writes keys as integers, with all their digits. */
const jsonOf = (name: string, value: unknown): string =>
  name === "key" ? String(value).trim() : JSON.stringify(value);

function objectIn(text: string, op: string): Json {
  // Integers with too many digits for a number, as keys have, become strings.
  const exact = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g, (piece) =>
    /^-?\d{16,}$/.test(piece) ? `"${piece}"` : piece,
  );
  try {
    return asObject(JSON.parse(exact), op);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    // The parser's message quotes the file, which may hold the key.
    throw new UsageError({ op, expected: "JSON", got: "text that is not JSON" });
  }
}

function asObject(json: unknown, op: string): Json {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Json;
  throw new UsageError({ op, expected: "a JSON object", got: Array.isArray(json) ? "an array" : `a ${typeof json}` });
}
