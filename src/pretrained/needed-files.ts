import { memorySource } from "../checkpoint/byte-source.js";
import { isShardIndex, readShardIndex } from "../checkpoint/safetensors-index.js";
import type { FileSelection, ModelLayout } from "../hub/model-layout.js";
import { isFilePath } from "../hub/model-name.js";
import { FORMATS, type Format, type NeededFiles } from "./formats.js";

/** A LoRA adapter in PEFT's layout. */
const ADAPTER = { config: "adapter_config.json", weights: "adapter_model.safetensors" } as const;

/** Files that `gpt2 finetune` leaves beside an adapter: the names of its labels, its template. */
const BESIDE_ADAPTER = ["classifier.json", "template.json"];

/** The files that models of all formats, and adapters, are made of. */
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

/** Weights by their usual names. A pattern would take other things too: `optimizer.pt`. */
const namesOf = ({ detect }: Format): string[] => detect.inFolder.filter((name) => typeof name === "string");

/** The files beside a file of weights, by its format, where that is known by name. */
function neededBy(file: string): NeededFiles {
  const name = file.slice(folderOf(file).length);
  if (name === ADAPTER.weights) return { config: { file: ADAPTER.config, required: true }, beside: BESIDE_ADAPTER };
  const needed = FORMATS.find(({ detect }) => detect.inFolder.includes(name) || detect.name.test(name))?.neededFiles;
  return needed ?? { beside: [] };
}

function selection(weights: string, there: readonly string[], open: string): FileSelection {
  // What describes it lies in the same folder.
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
