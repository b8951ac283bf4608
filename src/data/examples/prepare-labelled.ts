import { DataError } from "../../errors.js";
import type { EncoderTokenizer } from "../../tokenizer/encoder-tokenizer.js";
import { checkOptionNames } from "../../util/nearest.js";
import { type Input, namesOf } from "../inputs.js";
import type { FileLine } from "../read-lines.js";
import { encodeLabelled, type LabelledText } from "./encode-labelled.js";
import {
  LABELLED_FILE,
  type LabelKind,
  type LabelledInfo,
  type LabelledSplitInfo,
  type LabelledTexts,
  SPAN_LABELS,
  writeLabelled,
} from "./labelled-folder.js";
import {
  LINE_OPTIONS,
  type LineReader,
  type PreparedLines,
  type PrepareLinesOptions,
  prepareLines,
  tokenizerInfo,
  writeExampleFolder,
} from "./prepare-lines.js";
import { readQuestions } from "./question-lines.js";

export interface PrepareLabelledOptions extends PrepareLinesOptions {
  readonly kind: LabelKind;
  /** The tokenizer of a model that reads whole texts. Labels of tokens and of pairs, and spans, need one. */
  readonly encoder?: EncoderTokenizer | undefined;
  /** Tokens that the model reads at most; no limit by default. */
  readonly maxLength?: number | undefined;
}

/** transformers' name for the single output of a regression. */
const REGRESSION_LABELS = ["LABEL_0"];

/** A line: a text, or the windows of one. */
interface Line {
  readonly windows: readonly LabelledText[];
}

/**
 * Encodes JSONL to a folder of labelled texts: lines of `{ "text", "label" }` or, by kind, of `{ "tokens", "tags" }` or
 * of questions, which may come from SQuAD's own files. Labels are numbered in the order of their names, or of their
 * values if all are whole numbers.
 *
 * @throws {DataError} the input is missing or malformed: a line without text or label, an empty text, a single label, or a label
 *   only in held-out files.
 * @throws {UsageError} an option is wrong, or the folder exists.
 */
export async function prepareLabelled(
  inputs: readonly Input[],
  options: PrepareLabelledOptions,
): Promise<LabelledInfo> {
  checkOptionNames("preparing labelled texts", options, {
    ...LINE_OPTIONS,
    kind: true,
    encoder: true,
    maxLength: true,
  });
  const { kind, tokenizer, encoder, maxLength = Number.MAX_SAFE_INTEGER } = options;
  const reader: LineReader = kind === "spans" ? { json: true, read: readQuestions } : {};
  const encode = (line: FileLine) => {
    const { windows, texts } = encodeLabelled(line, kind, { tokenizer, encoder, maxLength });
    return { item: { windows }, texts };
  };
  const prepared = await prepareLines<Line>(inputs, options, encode, reader);
  const named = kind === "classification" || kind === "tokens";
  const [trained, heldOut] = named ? keepLabels(prepared) : [prepared.train, prepared.val];
  const labels = named
    ? labelsOf(trained, heldOut, namesOf(inputs))
    : kind === "spans"
      ? SPAN_LABELS
      : REGRESSION_LABELS;
  const [train, val] = [trained, heldOut].map((lines) => lines.flatMap(({ windows }) => windows)) as [
    LabelledText[],
    LabelledText[],
  ];
  const info: LabelledInfo = {
    format: "gpt2-ts labelled texts",
    version: 1,
    tokenizer: tokenizerInfo(options),
    kind,
    labels,
    splits: { train: describe(train), ...(val.length > 0 && { val: describe(val) }) },
    sources: prepared.sources.map(({ input, heldOut, count }) => ({ input, heldOut, texts: count })),
    settings: prepared.settings,
  };
  const splits = { train, val };
  await writeExampleFolder(options, { file: LABELLED_FILE, info }, (folder, split) =>
    writeLabelled(folder, split, joinTexts(splits[split], labels)),
  );
  return info;
}

const namesIn = (lines: readonly Line[]): Set<string> =>
  new Set(
    lines.flatMap(({ windows }) => windows.flatMap(({ labels }) => labels.filter((l) => l !== undefined))) as string[],
  );

/** If the split was drawn at random, the only text with a label is trained on: nobody chose to hold it out. */
function keepLabels({ all, train, val, settings }: PreparedLines<Line>): [Line[], Line[]] {
  if (settings.heldOut === "files") return [train, val];
  const known = namesIn(train);
  const heldOut = new Set(val.filter((line) => [...namesIn([line])].every((label) => known.has(label))));
  return [all.filter((line) => !heldOut.has(line)), [...heldOut]];
}

function labelsOf(train: readonly Line[], val: readonly Line[], inputs: string): string[] {
  const labels = [...namesIn(train)];
  const op = `preparing labels from ${inputs}`;
  const [only] = labels;
  if (labels.length === 1) throw new DataError({ op, expected: "two labels or more", got: `${only} alone` });
  const other = [...namesIn(val)].find((label) => !labels.includes(label));
  if (other !== undefined) {
    const expected = `held-out texts with labels of the others: ${labels.slice(0, 20).join(", ")}`;
    throw new DataError({ op, expected, got: other });
  }
  // Ordered by code units, the same on every machine.
  if (labels.every((label) => /^-?\d+$/.test(label))) return labels.sort((a, b) => Number(a) - Number(b));
  return labels.sort((a, b) => (a < b ? -1 : 1));
}

function describe(texts: readonly LabelledText[]): LabelledSplitInfo {
  const lengths = texts.map(({ tokens }) => tokens.length);
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  return { texts: texts.length, tokens, longest: lengths.reduce((most, n) => Math.max(most, n), 0) };
}

function joinTexts(texts: readonly LabelledText[], labels: readonly string[]): LabelledTexts {
  const { tokens: size } = describe(texts);
  const tokens = new Uint16Array(size);
  const types = new Uint8Array(size);
  const starts = new Uint32Array(texts.length + 1);
  let at = 0;
  for (const [i, text] of texts.entries()) {
    tokens.set(text.tokens, at);
    types.set(text.types, at);
    at += text.tokens.length;
    starts[i + 1] = at;
  }
  const numbers = new Map(labels.map((label, i) => [label, i]));
  const target = (label: string | number | undefined): number =>
    typeof label === "string" ? numbers.get(label)! : (label ?? -1);
  return { tokens, types, starts, targets: Float32Array.from(texts.flatMap((text) => text.labels.map(target))) };
}
