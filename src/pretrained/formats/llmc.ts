import { GPT2_LLMC } from "../../architectures/gpt2/formats/llmc.js";
import { tensorTable } from "../../architectures/registry.js";
import { readLlmcModel } from "../../checkpoint/llmc.js";
import { storedTensor } from "../../checkpoint/stored-tensor.js";
import type { Checkpoint } from "../checkpoint.js";
import { type ModelFiles, readingFiles, tokenizerFilesIn } from "../model-files.js";

/**
 * Reads the header of a llm.c model. Padding rows of the vocabulary are left out.
 *
 * @throws {CheckpointError} the file is malformed.
 */
export function openLlmc(file: string, files: ModelFiles): Checkpoint {
  return readingFiles(files, (opened) => {
    const model = readLlmcModel(opened.open(file));
    const { source, dtype } = model;
    const config = GPT2_LLMC.readConfig(model);
    const tensors = tensorTable(config).map((spec) => {
      const { name, shape } = spec;
      const offset = GPT2_LLMC.offset(spec, model);
      return [name, storedTensor({ name, dtype, shape, storedAs: "out_in", source, offset })] as const;
    });
    return {
      format: "llm.c",
      ...opened.describe(),
      config,
      dtype,
      tensors: new Map(tensors),
      metadata: {},
      ...tokenizerFilesIn(files, { tokenizerJson: "tokenizer.json", llmcBin: "gpt2_tokenizer.bin" }),
    };
  });
}
