import { memorySource } from "../checkpoint/byte-source.js";
import { isShardIndex, readShardIndex } from "../checkpoint/safetensors-index.js";
import type { FileSelection, ModelLayout } from "../hub/model-layout.js";
import { isFilePath } from "../hub/model-name.js";
import { FORMATS, type Format, type NeededFiles } from "./formats.js";

/** A LoRA adapter in PEFT's layout. */
const ADAPTER = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;

/** Files that `gpt2 finetune` writes beside an adapter: label names and template. */
const BESIDE_ADAPTER = ["classifier.json", "template.json"];

/** The files of models in all formats, and of adapters. */
export const MODEL_LAYOUT: ModelLayout = {
  select(files, wanted) {
    const there = files.filter(isFilePath);
    if (wanted !== undefined) return there.includes(wanted) ? selection(wanted, there, wanted) : `no file ${wanted}`;
    for (const format of FORMATS) {
      const weights = format.neededFiles && namesOf(format).find((name) => there.includes(name));
      if (weights === undefined) continue;
      const { config } = format.neededFiles!;
      if (config?.required && !there.includes(config.file)) return `no ${config.file}`;
      return selection(weights, there, config === undefined ? weights : "");
    }
    if (there.includes(ADAPTER.config) && there.includes(ADAPTER.weights)) return selection(ADAPTER.weights, there, "");
    const ggufs = there.filter((name) => name.endsWith(".gguf"));
    if (ggufs.length > 1) return `several models: ${listed(ggufs)}`;
    if (ggufs.length === 1) return selection(ggufs[0]!, there, ggufs[0]!);
    return `no weights (${listed([...FORMATS.flatMap(namesOf), "a .gguf"])}) among ${listed(files) || "no files"}`;
  },
  beside(file) {
    const { config, beside } = neededBy(file);
    return { config, small: beside, isIndex: isShardIndex(file) };
  },
  shardsOf(index, json) {
    try {
      const source = memorySource(index, new TextEncoder().encode(json));
      const shards = readShardIndex(source, /\.bin\.index\.json$/.test(index) ? "bin" : "safetensors");
      return [...new Set(shards.values())].map((name) => folderOf(index) + name);
    } catch {
      return undefined;
    }
  },
};

/** Usual names of weight files. A pattern would match others too, such as `optimizer.pt`. */
const namesOf = ({ detect }: Format): string[] => detect.inFolder.filter((name) => typeof name === "string");

/** The files beside a weight file, if its name tells the format. */
function neededBy(file: string): NeededFiles {
  const name = file.slice(folderOf(file).length);
  if (name === ADAPTER.weights) return { config: { file: ADAPTER.config, required: true }, beside: BESIDE_ADAPTER };
  const needed = FORMATS.find(({ detect }) => detect.inFolder.includes(name) || detect.name.test(name))?.neededFiles;
  return needed ?? { beside: [] };
}

function selection(weights: string, there: readonly string[], open: string): FileSelection {
  // Its description is in the same folder.
  const folder = folderOf(weights);
  const needed = neededBy(weights);
  const described = needed.config && folder + needed.config.file;
  const config = described !== undefined && there.includes(described) ? described : undefined;
  const small = needed.beside.map((name) => folder + name).filter((name) => there.includes(name));
  const index = isShardIndex(weights) ? weights : undefined;
  return { open, config, small: index ? [...small, index] : small, weights: index ? [] : [weights], index };
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);

function listed(names: readonly string[]): string {
  return names.length > 8 ? `${names.slice(0, 8).join(", ")}, … (${names.length})` : names.join(", ");
}
