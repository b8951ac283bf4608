import type { WeightType } from "../dtype/dtype.js";
import type { PositionedFile } from "../util/atomic-write.js";
import type { Checkpoint } from "./checkpoint.js";
import type { ModelFiles } from "./model-files.js";
import type { ModelToSave, SaveOptions } from "./model-to-save.js";

export type FormatName = "huggingface" | "pytorch" | "tensorflow" | "llm.c" | "gguf";

/** One format of model files: how it is recognized, read and written. */
export interface Format {
  readonly name: FormatName;
  /** Its usual name. */
  readonly title: string;
  /** Files that can be opened, for the message that lists those of all formats. */
  readonly reads: string;
  readonly detect: {
    /** Recognizes the format by a file's first 16 bytes, or by all if there are fewer. */
    content(head: Uint8Array): boolean;
    /** Recognizes the format by a file's name, if the bytes of no format match. */
    readonly name: RegExp;
    /** The file of a folder to open: names in order of preference, or a pattern that exactly one file matches. */
    readonly inFolder: readonly (string | RegExp)[];
  };
  /** Files beside the weights, for fetching. Undefined if the hub has no models of the format. */
  readonly neededFiles?: NeededFiles;
  /**
   * Reads the headers of a model. Tensors stay in their files.
   *
   * @param file the weights, found by `detect`.
   */
  read(file: string, files: ModelFiles): Promise<Checkpoint>;
  readonly write?: FormatWriter;
}

export interface NeededFiles {
  /** Describes the model. It is fetched first, because it decides whether the others are wanted. */
  readonly config?: { readonly file: string; readonly required: boolean };
  /** Small optional files. */
  readonly beside: readonly string[];
}

/** Writes a model as one file, or as several. */
export type FormatWriter = {
  /** Storage dtypes of the weights. */
  readonly dtypes: readonly WeightType[];
} & (
  | {
      /** Suffix of the file's name. */
      readonly extension: string;
      writeFile(model: ModelToSave, file: PositionedFile, path: string, options: SaveOptions): Promise<void>;
    }
  | {
      /** Suffix of the weight file's name, if there are files beside it; undefined if the model is a folder. */
      readonly extension?: string;
      writeFiles(model: ModelToSave, target: WriteTarget, options: SaveOptions): Promise<void>;
    }
);

export interface WriteTarget {
  /** A temporary folder, whose files are all moved to their place at once. */
  readonly folder: string;
  /** Name of the file with the weights. */
  readonly name: string;
  /** The target's name in messages. */
  readonly path: string;
}

const startsWith = (head: Uint8Array, ...bytes: readonly number[]): boolean =>
  bytes.every((byte, i) => head[i] === byte);

/** 20240326 in little-endian. */
const LLMC_MAGIC = [0xc6, 0xd7, 0x34, 0x01];

/** The header's length, less than 2^32, and the opening brace of its JSON. */
const isSafetensors = (head: Uint8Array): boolean =>
  head.length > 8 && [4, 5, 6, 7].every((i) => head[i] === 0) && head[8] === 0x7b;

/** A zip archive, or for old versions of torch.save a pickle of protocol 2. */
const isTorch = (head: Uint8Array): boolean => startsWith(head, 0x50, 0x4b, 3, 4) || startsWith(head, 0x80, 2);

/** Tokenizers, settings for Python's programs, and what `gpt2 finetune` leaves beside a model. */
const BESIDE_WEIGHTS = [
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
  "tokenizer_config.json",
  "generation_config.json",
  "classifier.json",
  "template.json",
  "vocab.txt",
  "modules.json",
  "1_Pooling/config.json",
  "sentence_bert_config.json",
];

/**
 * All formats, in order of preference for folders that hold several: safetensors before pickles, as in transformers. Readers
 * and writers are loaded on demand, which keeps starts quick.
 */
export const FORMATS: readonly Format[] = [
  {
    name: "huggingface",
    title: "Hugging Face",
    reads:
      "a Hugging Face folder (config.json with model.safetensors or its shards), a .safetensors file beside its config.json",
    detect: {
      content: isSafetensors,
      name: /\.safetensors(\.index\.json)?$/,
      inFolder: ["model.safetensors", "model.safetensors.index.json"],
    },
    neededFiles: { config: { file: "config.json", required: true }, beside: BESIDE_WEIGHTS },
    read: async (file, files) => (await import("./formats/huggingface.js")).openHuggingFace(file, files),
    write: {
      dtypes: ["f32", "f16", "bf16"],
      writeFiles: async (...job) =>
        (await import("#node/pretrained/formats/huggingface-write.js")).writeHuggingFace(...job),
    },
  },
  {
    name: "pytorch",
    title: "PyTorch",
    reads: "one with pytorch_model.bin or its shards, a checkpoint of torch.save (.bin, .pt, nanoGPT's ckpt.pt)",
    detect: {
      content: isTorch,
      name: /^pytorch_model.*\.bin$|\.bin\.index\.json$|\.pth?$/,
      inFolder: ["pytorch_model.bin", "pytorch_model.bin.index.json", "ckpt.pt", /\.pth?$/],
    },
    // A checkpoint may contain its settings.
    neededFiles: { config: { file: "config.json", required: false }, beside: BESIDE_WEIGHTS },
    read: async (file, files) => (await import("./formats/torch.js")).openTorch(file, files),
  },
  {
    name: "tensorflow",
    title: "TensorFlow",
    reads: "a folder of OpenAI's GPT-2 or Google's BERT (hparams.json or bert_config.json with a .ckpt.index)",
    detect: { content: () => false, name: /\.index$/, inFolder: ["hparams.json", "bert_config.json"] },
    read: async (file, files) => (await import("./formats/tensorflow.js")).openTensorFlow(file, files),
  },
  {
    name: "llm.c",
    title: "llm.c",
    reads: "a llm.c model (.bin)",
    detect: { content: (head) => startsWith(head, ...LLMC_MAGIC), name: /\.bin$/, inFolder: [] },
    neededFiles: { beside: ["tokenizer.json", "gpt2_tokenizer.bin"] },
    read: async (file, files) => (await import("./formats/llmc.js")).openLlmc(file, files),
    write: {
      dtypes: ["f32", "bf16"],
      extension: ".bin",
      writeFiles: async (...job) => (await import("#node/pretrained/formats/llmc-write.js")).writeLlmc(...job),
    },
  },
  {
    name: "gguf",
    title: "GGUF",
    reads: "a GGUF file",
    detect: { content: (head) => startsWith(head, 0x47, 0x47, 0x55, 0x46), name: /\.gguf$/, inFolder: [/\.gguf$/] },
    neededFiles: { beside: [] },
    read: async (file, files) => (await import("./formats/gguf/read.js")).openGguf(file, files),
    write: {
      dtypes: ["f32", "f16", "bf16", "q8_0", "q4_0"],
      extension: ".gguf",
      writeFile: async (...job) => (await import("./formats/gguf/write.js")).writeGguf(...job),
    },
  },
];

export const formatNamed = (name: FormatName): Format => FORMATS.find((format) => format.name === name)!;

/** The file of a folder to open in a format. */
export function findFile({ detect }: Format, names: readonly string[]): string | undefined {
  for (const wanted of detect.inFolder) {
    const found = names.filter((name) => (typeof wanted === "string" ? name === wanted : wanted.test(name)));
    if (found.length === 1) return found[0];
  }
  return undefined;
}
