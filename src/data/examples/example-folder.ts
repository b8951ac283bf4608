/** A folder of encoded examples: examples.json, train.safetensors, val.safetensors, tokenizer.json. */
import { join } from "node:path";
import { DataError } from "../../errors.js";
import { type InfoFile, readInfo, SOURCES_RECORD, TOKENIZER_RECORD, type TokenizerRecord } from "../read-info.js";
import { type Layout, readArrays, writeArrays } from "./arrays-file.js";
import type { ExampleTokens } from "./example-set.js";
import { checkTemplate, type Template } from "./template.js";

export const EXAMPLES_FILE = "examples.json";

export interface ExampleSplitInfo {
  readonly examples: number;
  readonly tokens: number;
  /** Tokens in the loss mask. */
  readonly counted: number;
}

export interface ExamplesInfo {
  readonly format: "gpt2-ts examples";
  readonly version: 1;
  readonly tokenizer: TokenizerRecord;
  readonly template: Template;
  readonly splits: { readonly train: ExampleSplitInfo; readonly val?: ExampleSplitInfo };
  /** Paths of the files and folders, as given. */
  readonly sources: readonly { readonly input: string; readonly heldOut: boolean; readonly examples: number }[];
  readonly settings: {
    readonly valFraction: number;
    /** The choice of held-out examples. */
    readonly heldOut: "none" | "files" | "examples" | "tail";
    readonly seed: number;
  };
  /** Number of lines with an empty loss mask, which are left out. */
  readonly empty: number;
}

const SPLIT = { fields: { examples: "count", tokens: "count", counted: "count" } } as const;

const INFO: InfoFile = {
  format: "gpt2-ts examples",
  shape: {
    fields: {
      tokenizer: TOKENIZER_RECORD,
      splits: { fields: { train: SPLIT, val: { optional: SPLIT } } },
      sources: SOURCES_RECORD,
    },
  },
  hint: "Prepare the data again",
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

const LAYOUT = { tokens: "U16", counted: "U8", starts: "U32" } as const satisfies Layout;

/** Writes a split into a folder that is being written. */
export async function writeExamples(folder: string, split: "train" | "val", examples: ExampleTokens): Promise<void> {
  await writeArrays(splitFile(folder, split), LAYOUT, examples);
}

/** @throws {DataError} the file is missing or damaged. */
export function readExamples(folder: string, split: "train" | "val"): ExampleTokens {
  return readArrays(splitFile(folder, split), LAYOUT);
}
