import { isFilePath } from "./model-name.js";

/** The files of a repository that a model is made of; the rest of it is left where it is. */
export interface NeededFiles {
  /** What to open, relative to the repository: "" for all of it, or one file. */
  readonly open: string;
  /** To fetch before all others, because it says whether they are wanted. */
  readonly config: string | undefined;
  /** Small ones: tokenizer, settings, the index of shards. */
  readonly small: readonly string[];
  readonly weights: readonly string[];
  /** One of `small`, which names the weights. */
  readonly index: string | undefined;
}

/** What `gpt2 finetune` leaves beside an adapter or a model: the names of its labels, its template. */
export const LEFT_BESIDE = ["classifier.json", "template.json"];

/** Whatever of these is there: what programs, Python's too, need to make tokens and to go on from a configuration. */
const SMALL = [
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "tokenizer_config.json",
  "generation_config.json",
  ...LEFT_BESIDE,
];

/** In the order of preference: safetensors before pickles. Of an index the shards are wanted too. */
const WEIGHTS = [
  "model.safetensors",
  "model.safetensors.index.json",
  "pytorch_model.bin",
  "pytorch_model.bin.index.json",
];
export const ADAPTER = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;

/**
 * @param files paths of all files there are.
 * @param wanted one of them, with what belongs to it, instead of the model at the top.
 * @returns what is lacking, in words, if no model is there.
 */
export function neededFiles(files: readonly string[], wanted?: string): NeededFiles | string {
  const there = new Set(files.filter(isFilePath));
  if (wanted !== undefined) return there.has(wanted) ? neededFor(wanted, there) : `no file ${wanted}`;
  const weights = WEIGHTS.find((name) => there.has(name));
  if (weights !== undefined) return there.has("config.json") ? neededFor(weights, there, "") : "no config.json";
  const ggufs = [...there].filter((name) => name.endsWith(".gguf"));
  if (ggufs.length === 1) return neededFor(ggufs[0]!, there);
  if (ggufs.length > 1) return `several models: ${listed(ggufs)}`;
  if (there.has(ADAPTER.config) && there.has(ADAPTER.weights)) return neededFor(ADAPTER.weights, there, "");
  return `no weights (${listed(WEIGHTS)}, a .gguf) among ${listed(files) || "no files"}`;
}

function neededFor(weights: string, there: ReadonlySet<string>, open = weights): NeededFiles {
  // What describes it lies in the same folder.
  const folder = weights.slice(0, weights.lastIndexOf("/") + 1);
  const settings = folder + (weights === folder + ADAPTER.weights ? ADAPTER.config : "config.json");
  const config = there.has(settings) ? settings : undefined;
  if (weights.endsWith(".gguf")) return { open, config: undefined, small: [], weights: [weights], index: undefined };
  const small = SMALL.map((name) => folder + name).filter((name) => there.has(name));
  const index = weights.endsWith(".index.json") ? weights : undefined;
  return { open, config, small: index ? [...small, index] : small, weights: index ? [] : [weights], index };
}

/** Plain names: a shard lies beside its index. */
const SHARD = /^[\w-][\w.+ -]*\.(safetensors|bin)$/;

/**
 * The shards that an index names, as paths of the repository; undefined if it is not an index.
 *
 * @param json text of model.safetensors.index.json or pytorch_model.bin.index.json.
 */
export function shardsOf(index: string, json: string): string[] | undefined {
  try {
    const { weight_map: map } = JSON.parse(json) as { weight_map?: unknown };
    const names = [...new Set(Object.values((map ?? {}) as Record<string, unknown>))];
    if (names.length === 0 || !names.every((name) => typeof name === "string" && SHARD.test(name))) return undefined;
    const folder = index.slice(0, index.lastIndexOf("/") + 1);
    return names.map((name) => `${folder}${name}`);
  } catch {
    return undefined;
  }
}

function listed(names: readonly string[]): string {
  return names.length > 8 ? `${names.slice(0, 8).join(", ")}, … (${names.length})` : names.join(", ");
}
