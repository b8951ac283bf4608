import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import type { ByteSource } from "./byte-source.js";
import { byteLengthOf } from "./safetensors.js";
import type { SafetensorsSpec } from "./safetensors-writer.js";
import { isJsonObject, type JsonObject, readJsonSource } from "./strict-json.js";

/**
 * `model.safetensors.index.json`, `pytorch_model.bin.index.json`: which of several files holds each tensor (Hugging Face's
 * sharding).
 * A shard is named by a plain file name; anything that could lead out of the folder is refused.
 */

/** A plain name of letters, digits, dots, dashes and the like: no separator, drive or control character, no leading dot. */
const SHARD_NAME = /^[\w-][\w.+ -]*$/;

/** Whether a file is such an index, judged by its name. */
export const isShardIndex = (name: string): boolean => name.endsWith(".index.json");

/**
 * A map from tensor names to shard file names.
 *
 * @throws {CheckpointError} no weight_map, an empty one, or a shard name that is not a plain file name with that extension.
 */
export function readShardIndex(source: ByteSource, extension: "safetensors" | "bin"): Map<string, string> {
  const op = `reading ${source.name}: weight_map`;
  const { weight_map: weightMap } = readJsonSource(source);
  if (!isJsonObject(weightMap)) {
    throw new CheckpointError({ op, expected: "an object from tensor names to file names", got: quote(weightMap) });
  }
  const entries = Object.entries(weightMap);
  if (entries.length === 0) throw new CheckpointError({ op, expected: "at least one tensor", got: "none" });
  for (const [name, file] of entries) {
    if (typeof file === "string" && SHARD_NAME.test(file) && file.endsWith(`.${extension}`)) continue;
    throw new CheckpointError({
      op: `${op}: tensor ${quote(name)}`,
      expected: `the plain name of a .${extension} file in the same folder`,
      got: quote(file),
    });
  }
  return new Map(entries as [string, string][]);
}

/**
 * The tensors of all shards together. The shards decide which tensors exist, as in transformers: an index may list one
 * that no shard has (a tied head), or leave one out (a mask buffer).
 *
 * @throws {CheckpointError} two shards have a tensor of the same name.
 */
export function joinShards<T extends { readonly name: string }>(
  shards: Iterable<{ readonly source: ByteSource; readonly tensors: ReadonlyMap<string, T> }>,
): Map<string, T> {
  const joined = new Map<string, T>();
  for (const { source, tensors } of shards) {
    for (const [name, tensor] of tensors) {
      if (joined.has(name)) {
        const op = `reading ${source.name}: tensor ${quote(name)}`;
        throw new CheckpointError({
          op,
          expected: "each tensor in one shard",
          got: "the same tensor in another shard",
        });
      }
      joined.set(name, tensor);
    }
  }
  return joined;
}

/** One file of a sharded checkpoint, or the only one. */
export interface Shard {
  readonly file: string;
  readonly specs: readonly SafetensorsSpec[];
}

/**
 * Fills shards in the given order, each with at most `maxShardBytes` of data (a single larger tensor gets its own).
 * A single shard is named `model.safetensors`, several `model-00001-of-00003.safetensors` and so on.
 */
export function planShards(specs: readonly SafetensorsSpec[], maxShardBytes = Number.POSITIVE_INFINITY): Shard[] {
  const groups: SafetensorsSpec[][] = [];
  let room = 0;
  for (const spec of specs) {
    const bytes = byteLengthOf(spec.dtype, spec.shape, `writing safetensors: tensor ${quote(spec.name)}`);
    if (groups.length === 0 || bytes > room) {
      groups.push([]);
      room = maxShardBytes;
    }
    groups.at(-1)!.push(spec);
    room -= bytes;
  }
  const number = (n: number): string => String(n).padStart(5, "0");
  return groups.map((group, i) => ({
    file: groups.length === 1 ? "model.safetensors" : `model-${number(i + 1)}-of-${number(groups.length)}.safetensors`,
    specs: group,
  }));
}

/** The index of the shards, in Hugging Face's format. */
export function safetensorsIndex(shards: readonly Shard[]): JsonObject {
  let totalSize = 0;
  const weightMap: [name: string, file: string][] = [];
  for (const { file, specs } of shards) {
    for (const { name, dtype, shape } of specs) {
      weightMap.push([name, file]);
      totalSize += byteLengthOf(dtype, shape, "writing safetensors index");
    }
  }
  return { metadata: { total_size: totalSize }, weight_map: Object.fromEntries(weightMap) };
}
