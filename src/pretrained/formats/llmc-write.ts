import { join } from "node:path";
import { GPT2_LLMC } from "../../architectures/gpt2/formats/llmc.js";
import { mappingFor } from "../../architectures/mapping.js";
import { parameterCount, tensorTable } from "../../architectures/registry.js";
import { type LlmcDtype, llmcHeader, llmcLayout } from "../../checkpoint/llmc.js";
import { FLOAT_BYTES } from "../../dtype/floats.js";
import { writeLlmcTokenizer } from "../../tokenizer/llmc-file.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { writeNewFile } from "../../util/atomic-write.js";
import type { WriteTarget } from "../formats.js";
import type { ModelToSave, SaveOptions } from "../model-to-save.js";
import { type Place, writeTensors } from "../write-tensors.js";

/**
 * Writes a llm.c model, and the tokenizer beside it: llm.c's own, which only decodes, and tokenizer.json for encoding.
 *
 * @throws {ConfigError} llm.c's format cannot describe this model.
 */
export async function writeLlmc(
  { config, tensors, tokenizer }: ModelToSave,
  { folder, name, path }: WriteTarget,
  { dtype: held = "f32", signal, onProgress }: SaveOptions,
): Promise<void> {
  const dtype = held as LlmcDtype;
  const mapping = mappingFor([GPT2_LLMC], config, `writing ${path}: llm.c format`);
  const dims = mapping.writeConfig(config, path);
  const layout = { dtype, ...llmcLayout(dims) };
  const places = tensorTable(config).map((spec): Place => {
    return { spec, file: name, offset: mapping.offset(spec, layout), dtype, storedAs: "out_in" };
  });
  // The padding rows of wte are not written, so they are zero.
  const total = FLOAT_BYTES[dtype] * parameterCount(config);
  await writeNewFile(join(folder, name), async (file) => {
    await file.write(llmcHeader(dims, dtype), 0);
    let written = 0;
    const onBytes = (bytes: number) => onProgress?.((written += bytes), total);
    const write = (_: string, bytes: Uint8Array, position: number) => file.write(bytes, position);
    await writeTensors({ path, places, tensors, write, signal, onBytes });
  });
  for (const [name, content] of llmcTokenizerFiles(tokenizer)) await writeNewFile(join(folder, name), content);
}

/** The tokenizer's files by name. Several models in a folder may share them. None without `<|endoftext|>`. */
export function llmcTokenizerFiles(tokenizer: Tokenizer | undefined): Map<string, Uint8Array> {
  if (tokenizer?.endOfText === undefined) return new Map();
  return new Map([
    ["gpt2_tokenizer.bin", writeLlmcTokenizer(tokenizer.vocabulary)],
    ["tokenizer.json", new TextEncoder().encode(writeTokenizerJson(tokenizer.vocabulary))],
  ]);
}
