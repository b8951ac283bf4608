import { openFileSource } from "../checkpoint/file-source.js";
import type { Checkpoint } from "./checkpoint.js";
import type { FileKind } from "./identify.js";

/** One format that {@link openCheckpoint} reads: how its files are recognised, and what opens them. */
export interface Reader {
  /** What {@link identifyFile} calls its files. */
  readonly kind: Exclude<FileKind["kind"], "other">;
  /** What it takes, for the message that lists what there is. */
  readonly takes: string;
  /** The file to open of a folder: names, the first that is there counts, or a pattern that one file there must match. */
  readonly inFolder: readonly (string | RegExp)[];
  /**
   * @param file one file of the kind, or one that `inFolder` found.
   * @param path what the user gave: that file, or the folder it is in.
   */
  open(file: string, path: string): Promise<Checkpoint>;
}

/**
 * In the order of preference for folders that hold several: safetensors before pickles, as in transformers. Each is loaded
 * when needed, so that starting stays quick.
 */
export const READERS: readonly Reader[] = [
  {
    kind: "safetensors",
    takes:
      "a Hugging Face folder (config.json with model.safetensors or its shards), a .safetensors file beside its config.json",
    inFolder: ["model.safetensors", "model.safetensors.index.json"],
    open: async (file, path) => (await import("./open-folder.js")).openHuggingFace(file, path),
  },
  {
    kind: "pytorch",
    takes: "one with pytorch_model.bin or its shards, a checkpoint of torch.save (.bin, .pt, nanoGPT's ckpt.pt)",
    inFolder: ["pytorch_model.bin", "pytorch_model.bin.index.json", "ckpt.pt", /\.pth?$/],
    open: async (file, path) => (await import("./open-folder.js")).openTorch(file, path),
  },
  {
    kind: "tensorflow",
    takes: "a folder of OpenAI's release (hparams.json with model.ckpt.index)",
    inFolder: ["hparams.json"],
    open: async (file, path) => (await import("./formats/tensorflow/open.js")).openTensorFlow(file, path),
  },
  {
    kind: "llm.c",
    takes: "a llm.c model (.bin)",
    inFolder: [],
    open: async (file) => (await import("./open-folder.js")).openLlmc(file),
  },
  {
    kind: "gguf",
    takes: "a GGUF file",
    inFolder: [/\.gguf$/],
    open: async (file) => (await import("./formats/gguf/load.js")).loadGguf(openFileSource(file)),
  },
];
