import { DataError } from "../../errors.js";
import { idsOfText } from "../../tokenizer/text-tokenizer.js";
import { checkOptionNames } from "../../util/nearest.js";
import { type Input, namesOf } from "../inputs.js";
import {
  LABELLED_FILE,
  type LabelKind,
  type LabelledInfo,
  type LabelledSplitInfo,
  type LabelledTexts,
  writeLabelled,
} from "./labelled-folder.js";
import { labelledLine } from "./labelled-line.js";
import {
  LINE_OPTIONS,
  type PreparedLines,
  type PrepareLinesOptions,
  prepareLines,
  tokenizerInfo,
  writeExampleFolder,
} from "./prepare-lines.js";

export interface PrepareLabelledOptions extends PrepareLinesOptions {
  readonly kind: LabelKind;
}

/** transformers' name for the only output of a regression. */
const REGRESSION_LABELS = ["LABEL_0"];

interface LabelledText {
  readonly tokens: readonly number[];
  readonly label: string | number;
}

/**
 * JSONL of `{ "text", "label" }` to a folder of encoded texts with labels. Labels are numbered in the order of their names,
 * or of their values if all are whole numbers.
 *
 * @throws {DataError} missing or malformed input: a line without text or label, an empty text, a single label, a label in
 *   files to hold out that no other text has.
 * @throws {UsageError} a wrong option, or a folder that is there already.
 */
export async function prepareLabelled(
  inputs: readonly Input[],
  options: PrepareLabelledOptions,
): Promise<LabelledInfo> {
  checkOptionNames("preparing labelled texts", options, { ...LINE_OPTIONS, kind: true });
  const { kind, tokenizer } = options;
  const prepared = await prepareLines<LabelledText>(inputs, options, (line) => {
    const { text, label } = labelledLine(line, kind);
    const op = `reading ${line.where}`;
    if (label === undefined) throw new DataError({ op, expected: 'a "label"', got: "none" });
    const tokens = Array.from(idsOfText(tokenizer, text));
    if (tokens.length === 0) {
      throw new DataError({ op, expected: 'a "text" with something in it', got: "an empty one" });
    }
    return { item: { tokens, label }, texts: [text] };
  });
  const [train, val] = kind === "regression" ? [prepared.train, prepared.val] : keepLabels(prepared);
  const labels = kind === "regression" ? REGRESSION_LABELS : labelsOf(train, val, namesOf(inputs));
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

/** Where the split was drawn, texts whose label no other text has are trained on: nobody chose them to be held out. */
function keepLabels({ all, train, val, settings }: PreparedLines<LabelledText>): [LabelledText[], LabelledText[]] {
  if (settings.heldOut === "files") return [train, val];
  const known = new Set(train.map(({ label }) => label));
  const heldOut = new Set(val.filter(({ label }) => known.has(label)));
  return [all.filter((text) => !heldOut.has(text)), [...heldOut]];
}

function labelsOf(train: readonly LabelledText[], val: readonly LabelledText[], inputs: string): string[] {
  const labels = [...new Set(train.map(({ label }) => label as string))];
  const op = `preparing labels from ${inputs}`;
  const [only] = labels;
  if (labels.length === 1) throw new DataError({ op, expected: "two labels or more", got: `${only} alone` });
  const other = val.find(({ label }) => !labels.includes(label as string));
  if (other) {
    const expected = `held-out texts with labels of the others: ${labels.slice(0, 20).join(", ")}`;
    throw new DataError({ op, expected, got: String(other.label) });
  }
  // By code unit, so that the order is the same on every machine.
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
  const starts = new Uint32Array(texts.length + 1);
  let at = 0;
  for (const [i, text] of texts.entries()) {
    tokens.set(text.tokens, at);
    at += text.tokens.length;
    starts[i + 1] = at;
  }
  const numbers = new Map(labels.map((label, i) => [label, i]));
  const targets = Float32Array.from(texts, ({ label }) => (typeof label === "number" ? label : numbers.get(label)!));
  return { tokens, starts, targets };
}
