import type { Pooling } from "../architectures/architecture.js";
import { isJsonObject, type JsonObject, parsePythonJson } from "../checkpoint/strict-json.js";
import { ConfigError } from "../errors.js";
import { quote } from "../util/quote.js";

/** How a sentence-transformers model makes one vector of a text, from the files beside its weights. */
export interface SentenceModules {
  readonly pooling: Pooling;
  /** Whether vectors are scaled to length 1. */
  readonly normalize: boolean;
  /** Number of tokens to which texts are truncated; undefined for the model's context. */
  readonly maxLength: number | undefined;
}

/** Reads a small file of the model's folder; undefined if it does not exist. */
export type ReadSmallFile = (path: string) => Uint8Array | undefined;

const POOLINGS: Readonly<Record<string, Pooling>> = {
  pooling_mode_mean_tokens: "mean",
  pooling_mode_cls_token: "first",
  pooling_mode_lasttoken: "last",
};
/** `pooling_mode` of newer files. */
const MODES: Readonly<Record<string, Pooling>> = { mean: "mean", cls: "first", lasttoken: "last" };

/**
 * Reads modules.json and the files of its modules; undefined if there is none.
 *
 * @throws {ConfigError} a module is unknown, or pooling is not by the mean, the first or the last token.
 */
export function readSentenceModules(read: ReadSmallFile): SentenceModules | undefined {
  const file = parseModules(read);
  if (file === undefined) return undefined;
  const { modules: list } = file;
  if (!Array.isArray(list)) throw refuse("modules.json", "a list of modules", list);
  let [pooling, normalize]: [Pooling | undefined, boolean] = [undefined, false];
  for (const module of list) {
    const { type, path = "" } = isJsonObject(module) ? module : {};
    const name = typeof type === "string" ? type.split(".").at(-1) : undefined;
    if (typeof path !== "string" || !/^[\w-]*$/.test(path)) throw refuse("modules.json", "paths that are names", path);
    if (name === "Pooling") pooling = readPooling(read, `${path}/config.json`);
    else if (name === "Normalize") normalize = true;
    else if (name !== "Transformer") throw refuse("modules.json", "Transformer, Pooling and Normalize", type);
  }
  const { max_seq_length: most } = parse(read, "sentence_bert_config.json") ?? {};
  const maxLength = most ?? undefined;
  if (maxLength !== undefined && !isLength(maxLength)) {
    throw refuse("sentence_bert_config.json: max_seq_length", "a number of tokens, from 1", maxLength);
  }
  return { pooling: pooling ?? "mean", normalize, maxLength };
}

/** The modules' files for sentence-transformers, by their paths in a folder. */
export function sentenceModuleFiles(
  { pooling, normalize, maxLength }: SentenceModules,
  width: number,
): Record<string, JsonObject | readonly JsonObject[]> {
  const module = (name: string, idx: number, path: string): JsonObject => {
    return { idx, name: String(idx), path, type: `sentence_transformers.models.${name}` };
  };
  const flags = Object.entries(POOLINGS).map(([flag, name]) => [flag, name === pooling]);
  return {
    "modules.json": [
      module("Transformer", 0, ""),
      module("Pooling", 1, "1_Pooling"),
      ...(normalize ? [module("Normalize", 2, "2_Normalize")] : []),
    ],
    "1_Pooling/config.json": { word_embedding_dimension: width, ...Object.fromEntries(flags) },
    ...(maxLength !== undefined && {
      "sentence_bert_config.json": { max_seq_length: maxLength, do_lower_case: false },
    }),
  };
}

const isLength = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;

function readPooling(read: ReadSmallFile, file: string): Pooling {
  const config = parse(read, file) ?? {};
  const { pooling_mode: mode } = config;
  const set = Object.keys(config).filter((key) => key.startsWith("pooling_mode_") && config[key] === true);
  const found = typeof mode === "string" ? MODES[mode] : POOLINGS[set[0] ?? "pooling_mode_mean_tokens"];
  if (found !== undefined && set.length <= 1) return found;
  throw refuse(file, "one of mean, cls and lasttoken", mode ?? set);
}

function parse(read: ReadSmallFile, file: string): JsonObject | undefined {
  const bytes = read(file);
  return bytes && parsePythonJson(bytes, `reading ${file}`);
}

/** The modules, as a JSON object: the file is a list. */
function parseModules(read: ReadSmallFile): JsonObject | undefined {
  const bytes = read("modules.json");
  if (bytes === undefined) return undefined;
  const [open, close] = ['{"modules":', "}"].map((text) => new TextEncoder().encode(text));
  return parsePythonJson(new Uint8Array([...open!, ...bytes, ...close!]), "reading modules.json");
}

const refuse = (file: string, expected: string, got: unknown): ConfigError =>
  new ConfigError({ op: `reading ${file}`, expected, got: quote(got) });
