/** A folder of encoded texts with labels: labelled.json, train.safetensors, val.safetensors, tokenizer.json. */
import { join } from "node:path";
import { DataError } from "../../errors.js";
import { type InfoFile, readInfo, SOURCES_RECORD } from "../read-info.js";
import { type Layout, readArrays, writeArrays } from "./arrays-file.js";
import type { HeldOutBy } from "./held-out.js";

export const LABELLED_FILE = "labelled.json";

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
  /** Label names by class; one for regression. */
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
  /** The class of each text, or for regression its number. */
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
      sources: SOURCES_RECORD,
    },
  },
  hint: "Prepare the data again",
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

const LAYOUT = { tokens: "U16", starts: "U32", targets: "F32" } as const satisfies Layout;

/** Writes a split into a folder that is being written. */
export async function writeLabelled(folder: string, split: "train" | "val", texts: LabelledTexts): Promise<void> {
  await writeArrays(splitFile(folder, split), LAYOUT, texts);
}

/** @throws {DataError} the file is missing or damaged. */
export function readLabelled(
  folder: string,
  split: "train" | "val",
  { kind, labels }: Pick<LabelledInfo, "kind" | "labels">,
): LabelledTexts {
  const path = splitFile(folder, split);
  const texts = readArrays(path, LAYOUT);
  check(texts, kind === "classification" ? labels.length : undefined, path);
  return texts;
}

/** @param classes undefined for regression, whose targets are any finite numbers */
function check({ tokens, starts, targets }: LabelledTexts, classes: number | undefined, path: string): void {
  const ends = starts[0] === 0 && starts.at(-1) === tokens.length && starts.length === targets.length + 1;
  const isTarget = (x: number): boolean =>
    classes === undefined ? Number.isFinite(x) : Number.isInteger(x) && x >= 0 && x < classes;
  const rising = starts.every((start, i) => i === 0 || start > starts[i - 1]!);
  const hint = "Prepare the data again";
  if (!ends || !rising) {
    const got = `${starts.length} starts, ${targets.length} targets and ${tokens.length} tokens`;
    throw new DataError({ op: `reading ${path}`, expected: "texts that follow one another", got, hint });
  }
  const bad = targets.findIndex((x) => !isTarget(x));
  if (bad === -1) return;
  const expected = classes === undefined ? "a finite number" : `a class from 0 to ${classes - 1}`;
  throw new DataError({ op: `reading ${path}: target ${bad}`, expected, got: String(targets[bad]), hint });
}
