import { type GgufMapping, mappingFor } from "../../../architectures/mapping.js";
import { tensorTable } from "../../../architectures/registry.js";
import { heldAs } from "../../../architectures/weight-types.js";
import type { TensorSource } from "../../../checkpoint/encode-tensor.js";
import { layoutGguf, type MetadataEntry } from "../../../checkpoint/gguf/encode.js";
import { FILE_TYPES, QUANTIZATION_VERSION } from "../../../checkpoint/gguf/types.js";
import type { WeightType } from "../../../dtype/dtype.js";
import { CheckpointError } from "../../../errors.js";
import type { PositionedFile } from "../../../util/atomic-write.js";
import { type ModelToSave, type SaveOptions, specialTokensOf } from "../../model-to-save.js";
import { type Place, writeTensors } from "../../write-tensors.js";
import { GGUF_MAPPINGS, poolingToGguf } from "./read.js";
import { tokenizerToGguf } from "./tokenizer.js";
import { wordPieceToGguf } from "./word-piece.js";

/**
 * Writes a model as a GGUF file for llama.cpp. The same model gives the same bytes. Tensors are read, converted and written in
 * pieces of about 1 MiB, or as a whole if a Hugging Face file holds them transposed. {@link heldAs} chooses each storage dtype.
 *
 * @throws {ConfigError} llama.cpp does not compute this architecture or variant.
 */
export async function writeGguf(
  model: ModelToSave,
  file: PositionedFile,
  path: string,
  { dtype = "f32", signal, onProgress }: SaveOptions,
): Promise<void> {
  const mapping = mappingFor(GGUF_MAPPINGS, model.config, `writing ${path}: GGUF format`);
  const { fileName } = mapping;
  const config = mapping.held?.(model.config) ?? model.config;
  const table = tensorTable(config);
  const specs = table.map((spec) => ({ spec, dtype: heldAs(spec, dtype) }));
  const inFile = specs.map(({ spec, dtype }) => ({ name: fileName(spec.name), dtype, shape: spec.shape }));
  const { header, size, ranges } = layoutGguf(metadataOf(path, { ...model, config }, mapping, dtype), inFile);
  const places = specs.map(({ spec, dtype }): Place => {
    return { spec, file: path, offset: ranges.get(fileName(spec.name))!.offset, dtype, storedAs: "out_in" };
  });
  await file.write(header, 0);
  let written = header.length;
  let end = 0;
  const write = async (_: string, bytes: Uint8Array, position: number): Promise<void> => {
    await file.write(bytes, position);
    end = Math.max(end, position + bytes.length);
  };
  const onBytes = (bytes: number): void => onProgress?.((written += bytes), size);
  const tensors = config === model.config ? model.tensors : only(model.tensors, new Set(table.map(({ name }) => name)));
  await writeTensors({ path, places, tensors, write, signal, onBytes });
  if (end < size) await file.write(new Uint8Array(size - end), end);
}

/** The tensors of a model that the format can hold. */
async function* only(tensors: ModelToSave["tensors"], names: ReadonlySet<string>): AsyncGenerator<TensorSource> {
  for await (const tensor of tensors) if (names.has(tensor.name)) yield tensor;
}

function metadataOf(path: string, model: ModelToSave, mapping: GgufMapping, dtype: WeightType): MetadataEntry[] {
  const { config, tokenizer, wordPiece, metadata = {} } = model;
  if (tokenizer !== undefined && tokenizer.vocabSize > config.vocabSize) {
    const expected = `a tokenizer of at most ${config.vocabSize} tokens, the model's vocabulary`;
    throw new CheckpointError({ op: `writing ${path}`, expected, got: `${tokenizer.vocabSize}` });
  }
  return [
    ["general.architecture", "string", mapping.ggufArchitecture],
    ["general.type", "string", "model"],
    ...Object.entries(metadata).map(([key, text]): MetadataEntry => [`general.${key}`, "string", text]),
    ["general.file_type", "u32", FILE_TYPES[dtype]],
    ["general.quantization_version", "u32", QUANTIZATION_VERSION],
    ...mapping.writeConfig(config, path),
    ...poolingToGguf(model.sentence?.pooling),
    ...(wordPiece
      ? wordPieceToGguf(wordPiece, config.vocabSize)
      : tokenizerToGguf({
          vocabulary: tokenizer?.vocabulary,
          vocabSize: config.vocabSize,
          ...specialTokensOf(model),
        })),
  ];
}
