/** A folder of encoded texts with labels of any kind: labelled.json, train.safetensors, val.safetensors, tokenizer.json. */
import { join } from "node:path";
import { DataError } from "../../errors.js";
import { type InfoFile, readInfo, SOURCES_RECORD } from "../read-info.js";
import { type Layout, readArrays, writeArrays } from "./arrays-file.js";
import type { HeldOutBy } from "./held-out.js";

export const LABELLED_FILE = "labelled.json";

/**
 * The label of a text: its class, a number, the class of each of its tokens, or the start and end of the answer to a
 * question.
 */
export type LabelKind = "classification" | "regression" | "tokens" | "spans";
const KINDS: readonly LabelKind[] = ["classification", "regression", "tokens", "spans"];

/** The labels of spans. */
export const SPAN_LABELS: readonly string[] = ["start", "end"];

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
  /** Label names by class; one for regression, `start` and `end` for spans. */
  readonly labels: readonly string[];
  readonly splits: { readonly train: LabelledSplitInfo; readonly val?: LabelledSplitInfo };
  /** Paths of the files and folders, as given. */
  readonly sources: readonly { readonly input: string; readonly heldOut: boolean; readonly texts: number }[];
  readonly settings: { readonly valFraction: number; readonly heldOut: HeldOutBy; readonly seed: number };
}

/** Encoded texts in memory, one after another. */
export interface LabelledTexts {
  readonly tokens: Uint16Array;
  /** The type of each token: 1 in the second of two texts. */
  readonly types: Uint8Array;
  /** [texts + 1] where each begins; the last is the end. */
  readonly starts: Uint32Array;
  /**
   * For each text its class, or for regression its number; for each token its class, or -1; for each span its first and
   * last token, both 0 if there is no answer.
   */
  readonly targets: Float32Array;
}

const SPLIT = { fields: { texts: "count", tokens: "count", longest: "count" } } as const;

const INFO: InfoFile = {
  format: "gpt2-ts labelled texts",
  shape: {
    fields: {
      tokenizer: { fields: { name: "string", sha256: "string", vocabSize: "count" } },
      kind: { oneOf: KINDS },
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
  const wanted = kind === "regression" ? 1 : kind === "spans" ? 2 : undefined;
  if (wanted === undefined ? labels.length > 0 : labels.length === wanted) return info;
  const expected = wanted === undefined ? "labels" : `${wanted} of them`;
  throw new DataError({ op: `reading ${path}: labels`, expected, got: `${labels.length}`, hint: INFO.hint });
}

const splitFile = (folder: string, split: "train" | "val"): string => join(folder, `${split}.safetensors`);

const LAYOUT = { tokens: "U16", types: "U8", starts: "U32", targets: "F32" } as const satisfies Layout;

/** Writes a split into a folder that is being written. */
export async function writeLabelled(folder: string, split: "train" | "val", texts: LabelledTexts): Promise<void> {
  await writeArrays(splitFile(folder, split), LAYOUT, texts);
}

/** @throws {DataError} the file is missing or damaged. */
export function readLabelled(
  folder: string,
  split: "train" | "val",
  info: Pick<LabelledInfo, "kind" | "labels">,
): LabelledTexts {
  const path = splitFile(folder, split);
  const texts = readArrays(path, LAYOUT);
  check(texts, info, path);
  return texts;
}

function check(texts: LabelledTexts, { kind, labels }: Pick<LabelledInfo, "kind" | "labels">, path: string): void {
  const { tokens, types, starts, targets } = texts;
  const rising = starts.every((start, i) => i === 0 || start > starts[i - 1]!);
  const count = kind === "tokens" ? tokens.length : (kind === "spans" ? 2 : 1) * (starts.length - 1);
  const whole = starts[0] === 0 && starts.at(-1) === tokens.length && types.length === tokens.length;
  const hint = "Prepare the data again";
  if (!whole || !rising || targets.length !== count) {
    const got = `${starts.length} starts, ${targets.length} targets and ${tokens.length} tokens`;
    throw new DataError({ op: `reading ${path}`, expected: "texts that follow one another", got, hint });
  }
  const integerIn = (x: number, from: number, end: number): boolean => Number.isInteger(x) && x >= from && x < end;
  const length = (i: number): number => starts[i + 1]! - starts[i]!;
  const fits = (x: number, i: number): boolean => {
    if (kind === "regression") return Number.isFinite(x);
    if (kind === "spans") return integerIn(x, 0, length(i >> 1));
    return integerIn(x, kind === "tokens" ? -1 : 0, labels.length);
  };
  const bad = targets.findIndex((x, i) => !fits(x, i));
  if (bad === -1) return;
  const expected =
    kind === "regression"
      ? "a finite number"
      : kind === "spans"
        ? "a token of the text"
        : `a class from 0 to ${labels.length - 1}`;
  throw new DataError({ op: `reading ${path}: target ${bad}`, expected, got: String(targets[bad]), hint });
}
