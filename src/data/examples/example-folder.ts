/** A folder of encoded examples: examples.json, train.safetensors, val.safetensors, tokenizer.json. */
import { join } from "node:path";
import { openFileSource } from "../../checkpoint/file-source.js";
import { readSafetensors, type SafetensorsDtype } from "../../checkpoint/safetensors.js";
import { writeSafetensorsFile } from "../../checkpoint/safetensors-file.js";
import { DataError, GPT2Error } from "../../errors.js";
import { type InfoFile, readInfo } from "../read-info.js";
import type { ExampleTokens } from "./example-set.js";
import { checkTemplate, type Template } from "./template.js";

export const EXAMPLES_FILE = "examples.json";
export const EXAMPLES_TOKENIZER_FILE = "tokenizer.json";

export interface ExampleSplitInfo {
  readonly examples: number;
  readonly tokens: number;
  /** Tokens that are learned. */
  readonly counted: number;
}

export interface ExamplesInfo {
  readonly format: "gpt2-ts examples";
  readonly version: 1;
  readonly tokenizer: {
    readonly name: string;
    readonly sha256: string;
    readonly vocabSize: number;
    readonly endOfText: number;
  };
  readonly template: Template;
  readonly splits: { readonly train: ExampleSplitInfo; readonly val?: ExampleSplitInfo };
  /** The files and folders as they were named. */
  readonly sources: readonly { readonly input: string; readonly heldOut: boolean; readonly examples: number }[];
  readonly settings: {
    readonly valFraction: number;
    /** How the held-out part was chosen. */
    readonly heldOut: "none" | "files" | "examples" | "tail";
    readonly seed: number;
  };
  /** Lines in which nothing was left to learn. */
  readonly empty: number;
}

const SPLIT = { fields: { examples: "count", tokens: "count", counted: "count" } } as const;

const INFO: InfoFile = {
  format: "gpt2-ts examples",
  shape: {
    fields: {
      tokenizer: { fields: { name: "string", sha256: "string", vocabSize: "count", endOfText: "count" } },
      splits: { fields: { train: SPLIT, val: { optional: SPLIT } } },
      sources: { list: { fields: { input: "string", heldOut: "boolean" } } },
    },
  },
  hint: "Make the data again",
};

/** @returns undefined if the folder holds something else. @throws {DataError} it is damaged. */
export function readExamplesInfo(folder: string): ExamplesInfo | undefined {
  const path = join(folder, EXAMPLES_FILE);
  const info = readInfo<ExamplesInfo>(path, INFO);
  if (info === undefined) return undefined;
  try {
    checkTemplate(info.template, `reading ${path}`);
  } catch (cause) {
    const got = (cause as Error).message;
    throw new DataError({ op: `reading ${path}: template`, expected: "a template", got, hint: INFO.hint, cause });
  }
  return info;
}

const splitFile = (folder: string, split: "train" | "val"): string => join(folder, `${split}.safetensors`);

const LAYOUT = { tokens: "U16", counted: "U8", starts: "U32" } as const satisfies Record<string, SafetensorsDtype>;

/** Into a folder that is being written. */
export async function writeExamples(folder: string, split: "train" | "val", examples: ExampleTokens): Promise<void> {
  const tensors = Object.entries(LAYOUT).map(([name, dtype]) => {
    const data = examples[name as keyof ExampleTokens];
    return { name, dtype, shape: [data.length], data };
  });
  await writeSafetensorsFile(splitFile(folder, split), tensors, {}, DataError);
}

/** @throws {DataError} the file is missing or damaged. */
export function readExamples(folder: string, split: "train" | "val"): ExampleTokens {
  const path = splitFile(folder, split);
  try {
    const source = openFileSource(path);
    try {
      const { tensors } = readSafetensors(source);
      const bytes = (name: keyof typeof LAYOUT): ArrayBuffer => {
        const tensor = tensors.get(name);
        if (tensor?.dtype === LAYOUT[name]) return tensor.data.slice().buffer as ArrayBuffer;
        throw new DataError({ op: `reading ${path}: ${name}`, expected: LAYOUT[name], got: tensor?.dtype ?? "none" });
      };
      return {
        tokens: new Uint16Array(bytes("tokens")),
        counted: new Uint8Array(bytes("counted")),
        starts: new Uint32Array(bytes("starts")),
      };
    } finally {
      source.close();
    }
  } catch (cause) {
    if (!(cause instanceof GPT2Error) || cause instanceof DataError) throw cause;
    throw new DataError({ ...cause.details, hint: "Make the data again", cause });
  }
}
