import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataError, UsageError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { writeFolderAtomically, writeNewFile } from "../../util/atomic-write.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { holdOut, isHeldOut } from "../examples/held-out.js";
import { checkSettings, jsonlFiles } from "../examples/prepare-examples.js";
import type { InputFile } from "../inputs.js";
import { readLines } from "../read-lines.js";
import { checkShardVocab } from "../shard.js";
import {
  LABELLED_FILE,
  LABELLED_TOKENIZER_FILE,
  type LabelKind,
  type LabelledInfo,
  type LabelledSplitInfo,
  type LabelledTexts,
  writeLabelled,
} from "./labelled-folder.js";
import { labelledLine } from "./read-labelled.js";

export interface PrepareLabelledOptions {
  /** Folder to make. */
  readonly out: string;
  readonly kind: LabelKind;
  readonly tokenizer: Tokenizer;
  /** What labelled.json calls the tokenizer. Default "custom". */
  readonly tokenizerName?: string | undefined;
  /** Share of the texts to hold out, chosen by a hash of them. Default 0.1. */
  readonly valFraction?: number | undefined;
  /** Files and folders to hold out instead. */
  readonly valInputs?: readonly string[] | undefined;
  /** Of the choice of held-out texts, default 1337. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((progress: { bytesRead: number; bytesTotal: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** transformers' name for the only output of a regression. */
const REGRESSION_LABELS = ["LABEL_0"];

/**
 * JSONL of `{ "text", "label" }` to a folder of encoded texts with labels. Labels are numbered in the order of their names,
 * or of their values if all are whole numbers. The texts are held in memory meanwhile.
 *
 * @throws {DataError} missing or malformed input: a line without text or label, an empty text, a single label, a label in
 *   the held-out texts that no other text has.
 * @throws {UsageError} a wrong option, or a folder that is there already.
 */
export async function prepareLabelled(
  inputs: readonly string[],
  options: PrepareLabelledOptions,
): Promise<LabelledInfo> {
  const { out, kind, tokenizer, valInputs = [] } = options;
  const settings = checkSettings(options);
  checkShardVocab(tokenizer.vocabSize);
  if (existsSync(out))
    throw new UsageError({ op: `writing to ${out}`, expected: "a new folder", got: "one that is there" });
  const all = [...inputs, ...valInputs];
  const files = jsonlFiles(all);
  const texts = await readTexts(files, inputs.length, {
    ...options,
    seed: settings.seed,
    valFraction: settings.valFraction,
  });
  const drawn = holdOut(texts, settings.valFraction, valInputs.length > 0);
  const heldOut = drawn[2];
  const [train, val] = heldOut === "files" || kind === "regression" ? drawn : withEveryLabel(texts, drawn[1]);
  const labels = kind === "regression" ? REGRESSION_LABELS : labelsOf(train, val, inputs.join(", "));
  const tokenizerJson = writeTokenizerJson(tokenizer.vocabulary);
  const info: LabelledInfo = {
    format: "gpt2-ts labelled texts",
    version: 1,
    tokenizer: {
      name: options.tokenizerName ?? "custom",
      sha256: createHash("sha256").update(tokenizerJson).digest("hex"),
      vocabSize: tokenizer.vocabSize,
    },
    kind,
    labels,
    splits: { train: describe(train), ...(val.length > 0 && { val: describe(val) }) },
    sources: all.map((input, i) => {
      return { input, heldOut: i >= inputs.length, texts: texts.filter(({ file }) => files[file]!.input === i).length };
    }),
    settings: { ...settings, heldOut },
  };
  options.signal?.throwIfAborted();
  const fill = async (folder: string): Promise<void> => {
    await writeLabelled(folder, "train", joinTexts(train, labels));
    if (val.length > 0) await writeLabelled(folder, "val", joinTexts(val, labels));
    await writeNewFile(join(folder, LABELLED_TOKENIZER_FILE), tokenizerJson);
    await writeNewFile(join(folder, LABELLED_FILE), `${JSON.stringify(info, null, 2)}\n`);
  };
  await writeFolderAtomically(out, fill, { errorClass: DataError });
  return info;
}

interface ReadText {
  readonly tokens: readonly number[];
  readonly label: string | number;
  readonly file: number;
  readonly heldOut: boolean;
}

async function readTexts(
  files: readonly InputFile[],
  heldOutFrom: number,
  options: PrepareLabelledOptions & { readonly valFraction: number; readonly seed: number },
): Promise<ReadText[]> {
  const { kind, tokenizer, signal, onProgress } = options;
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let bytesRead = 0;
  const onRead = (file: number, bytes: number): void => {
    bytesRead = files.slice(0, file).reduce((sum, { size }) => sum + size, bytes);
  };
  const texts: ReadText[] = [];
  for await (const line of readLines(files, onRead)) {
    const { text, label } = labelledLine(line, kind);
    const op = `reading ${line.where}`;
    if (label === undefined) throw new DataError({ op, expected: 'a "label"', got: "none" });
    const tokens = Array.from(tokenizer.encode(text));
    if (tokens.length === 0)
      throw new DataError({ op, expected: 'a "text" with something in it', got: "an empty one" });
    const heldOut = files[line.file]!.input >= heldOutFrom || isHeldOut([text], options);
    texts.push({ tokens, label, file: line.file, heldOut });
    if (texts.length % 256 > 0) continue;
    onProgress?.({ bytesRead, bytesTotal });
    await yieldToEventLoop();
    signal?.throwIfAborted();
  }
  if (texts.some(({ file }) => files[file]!.input < heldOutFrom)) return texts;
  throw new DataError({ op: `reading ${files[0]!.path}`, expected: "texts to train on", got: "none" });
}

/**
 * The texts to train on and those held out, where a draw decided: those whose label no other text has are trained on after
 * all, since nobody chose them to be held out.
 */
function withEveryLabel(texts: readonly ReadText[], drawn: readonly ReadText[]): [train: ReadText[], val: ReadText[]] {
  const candidates = new Set(drawn);
  const learned = new Set(texts.filter((text) => !candidates.has(text)).map(({ label }) => label));
  const val = drawn.filter(({ label }) => learned.has(label));
  const heldOut = new Set(val);
  return [texts.filter((text) => !heldOut.has(text)), val];
}

function labelsOf(train: readonly ReadText[], val: readonly ReadText[], inputs: string): string[] {
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

function describe(texts: readonly ReadText[]): LabelledSplitInfo {
  const lengths = texts.map(({ tokens }) => tokens.length);
  const tokens = lengths.reduce((sum, n) => sum + n, 0);
  return { texts: texts.length, tokens, longest: lengths.reduce((most, n) => Math.max(most, n), 0) };
}

function joinTexts(texts: readonly ReadText[], labels: readonly string[]): LabelledTexts {
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
