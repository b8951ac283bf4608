/** A folder of encoded texts with labels: labelled.json, train.safetensors, val.safetensors, tokenizer.json. */
import { join } from "node:path";
import { openFileSource } from "../../checkpoint/file-source.js";
import { readSafetensors, type SafetensorsDtype } from "../../checkpoint/safetensors.js";
import { writeSafetensorsFile } from "../../checkpoint/safetensors-file.js";
import { DataError, GPT2Error } from "../../errors.js";
import type { HeldOutBy } from "../examples/held-out.js";
import { type InfoFile, readInfo } from "../read-info.js";

export const LABELLED_FILE = "labelled.json";
export const LABELLED_TOKENIZER_FILE = "tokenizer.json";

export type LabelKind = "classification" | "regression";

export interface LabelledSplitInfo {
  readonly texts: number;
  readonly tokens: number;
  /** Tokens of the longest text. */
  readonly longest: number;
}

export interface LabelledInfo {
  readonly format: "gpt2-ts labelled texts";
  readonly version: 1;
  readonly tokenizer: { readonly name: string; readonly sha256: string; readonly vocabSize: number };
  readonly kind: LabelKind;
  /** In their order; one for regression. */
  readonly labels: readonly string[];
  readonly splits: { readonly train: LabelledSplitInfo; readonly val?: LabelledSplitInfo };
  /** The files and folders as they were named. */
  readonly sources: readonly { readonly input: string; readonly heldOut: boolean; readonly texts: number }[];
  readonly settings: { readonly valFraction: number; readonly heldOut: HeldOutBy; readonly seed: number };
}

/** Encoded texts in memory, one after another. */
export interface LabelledTexts {
  readonly tokens: Uint16Array;
  /** [texts + 1] where each begins; the last is the end. */
  readonly starts: Uint32Array;
  /** Of each text its label's number, or for regression the number it is to give. */
  readonly targets: Float32Array;
}

const SPLIT = { fields: { texts: "count", tokens: "count", longest: "count" } } as const;

const INFO: InfoFile = {
  format: "gpt2-ts labelled texts",
  shape: {
    fields: {
      tokenizer: { fields: { name: "string", sha256: "string", vocabSize: "count" } },
      kind: { oneOf: ["classification", "regression"] },
      labels: { list: "string" },
      splits: { fields: { train: SPLIT, val: { optional: SPLIT } } },
      sources: { list: { fields: { input: "string", heldOut: "boolean" } } },
    },
  },
  hint: "Make the data again",
};

/** @returns undefined if the folder holds something else. @throws {DataError} it is damaged. */
export function readLabelledInfo(folder: string): LabelledInfo | undefined {
  const path = join(folder, LABELLED_FILE);
  const info = readInfo<LabelledInfo>(path, INFO);
  if (info === undefined) return undefined;
  const { kind, labels } = info;
  if (kind === "regression" ? labels.length === 1 : labels.length > 0) return info;
  const expected = kind === "regression" ? "one label" : "labels";
  throw new DataError({ op: `reading ${path}: labels`, expected, got: `${labels.length}`, hint: INFO.hint });
}

const splitFile = (folder: string, split: "train" | "val"): string => join(folder, `${split}.safetensors`);

const LAYOUT = { tokens: "U16", starts: "U32", targets: "F32" } as const satisfies Record<string, SafetensorsDtype>;

/** Into a folder that is being written. */
export async function writeLabelled(folder: string, split: "train" | "val", texts: LabelledTexts): Promise<void> {
  const tensors = Object.entries(LAYOUT).map(([name, dtype]) => {
    const data = texts[name as keyof LabelledTexts];
    return { name, dtype, shape: [data.length], data };
  });
  await writeSafetensorsFile(splitFile(folder, split), tensors, {}, DataError);
}

/** @throws {DataError} the file is missing or damaged. */
export function readLabelled(
  folder: string,
  split: "train" | "val",
  { kind, labels }: Pick<LabelledInfo, "kind" | "labels">,
): LabelledTexts {
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
      const texts = {
        tokens: new Uint16Array(bytes("tokens")),
        starts: new Uint32Array(bytes("starts")),
        targets: new Float32Array(bytes("targets")),
      };
      check(texts, kind === "classification" ? labels.length : undefined, path);
      return texts;
    } finally {
      source.close();
    }
  } catch (cause) {
    if (!(cause instanceof GPT2Error) || cause instanceof DataError) throw cause;
    throw new DataError({ ...cause.details, hint: "Make the data again", cause });
  }
}

/** @param classes undefined for regression, whose targets are any finite numbers */
function check({ tokens, starts, targets }: LabelledTexts, classes: number | undefined, path: string): void {
  const ends = starts[0] === 0 && starts.at(-1) === tokens.length && starts.length === targets.length + 1;
  const isTarget = (x: number): boolean =>
    classes === undefined ? Number.isFinite(x) : Number.isInteger(x) && x >= 0 && x < classes;
  const rising = starts.every((start, i) => i === 0 || start > starts[i - 1]!);
  const hint = "Make the data again";
  if (!ends || !rising) {
    const got = `${starts.length} starts, ${targets.length} targets and ${tokens.length} tokens`;
    throw new DataError({ op: `reading ${path}`, expected: "texts that follow one another", got, hint });
  }
  const bad = targets.findIndex((x) => !isTarget(x));
  if (bad === -1) return;
  const expected = classes === undefined ? "a finite number" : `a class from 0 to ${classes - 1}`;
  throw new DataError({ op: `reading ${path}: target ${bad}`, expected, got: String(targets[bad]), hint });
}
