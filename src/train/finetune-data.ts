import { join } from "node:path";
import { withCopies } from "../data/copy-inputs.js";
import { readDatasetInfo } from "../data/dataset-info.js";
import { readExamplesInfo } from "../data/examples/example-folder.js";
import { readLabelledInfo } from "../data/examples/labelled-folder.js";
import { type PrepareExamplesOptions, prepareExamples } from "../data/examples/prepare-examples.js";
import { prepareLabelled } from "../data/examples/prepare-labelled.js";
import { isChat, type Template, templateFor } from "../data/examples/template.js";
import { type Input, listInputs, namesOf } from "../data/inputs.js";
import { findShards } from "../data/open-dataset.js";
import { prepareData } from "../data/prepare.js";
import { readLines } from "../data/read-lines.js";
import { DataError, UsageError } from "../errors.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { TextTokenizer } from "../tokenizer/text-tokenizer.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { isFolder } from "../util/is-folder.js";

/**
 * Tasks besides generation: a label or a number for each text; and, for models that read whole texts, a label for each
 * token, or the span that answers a question.
 */
export const FINETUNE_TASKS = {
  classify: "classification",
  regress: "regression",
  label: "tokens",
  answer: "spans",
} as const;
export type FinetuneTask = keyof typeof FINETUNE_TASKS;

/** Tokens of a question and a window of its context, as in BERT's own SQuAD script. */
const WINDOW = 384;

/** The data of a fine-tuning run. */
export interface FinetuneDataOptions {
  /** Text, JSONL, folders of them; or one folder that `prepareData` or `prepareExamples` made. */
  readonly data: string | readonly string[];
  /** Files and folders to hold out. */
  readonly val?: readonly string[] | undefined;
  /** Share of documents or examples to hold out if `val` is not given. Default 0.1. */
  readonly valFraction?: number | undefined;
  /** How a line of JSONL becomes a text: see {@link Template}. */
  readonly template?: Template | undefined;
  /**
   * Learn labels, with a task head in place of the output head: of texts from JSONL of `{ "text", "label" }`, of tokens
   * from `{ "tokens", "tags" }`; or answers, from `{ "question", "context", "answers" }` or SQuAD's files.
   */
  readonly task?: FinetuneTask | undefined;
  /** With a task: maximum number of tokens of a text or window; by default the model's context, for answers 384. */
  readonly maxLength?: number | undefined;
  /** Called with the progress of preparing the data. */
  readonly onPrepare?: ((progress: PrepareStatus) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PrepareStatus {
  readonly bytesRead: number;
  readonly bytesTotal: number;
}

/** The model's tokenizer, and its name. */
export interface NamedTokenizer {
  readonly tokenizer: TextTokenizer;
  /** The tokenizer of a model that reads whole texts, like a BERT. */
  readonly encoder?: EncoderTokenizer | undefined;
  readonly name: string;
  /** The model's context. */
  readonly nCtx: number;
}

/**
 * The folder of tokens or examples to train on: the given one, or `out/data`, prepared from the inputs. Lines of JSONL with a
 * `text` and no field of a template are documents.
 *
 * @throws {DataError} data is missing or malformed; {@link UsageError} `out/data` was made from other inputs.
 */
export async function finetuneData(
  out: string,
  options: FinetuneDataOptions,
  tokenizer: () => Promise<NamedTokenizer>,
): Promise<string> {
  const inputs = typeof options.data === "string" ? [options.data] : options.data;
  const [only] = inputs;
  if (inputs.length === 1 && isPrepared(only!)) return only!;
  const folder = join(out, "data");
  if (isFolder(folder)) return checkSame(folder, inputs, options);
  const prepare = (readable: readonly Input[]) => prepareInto(folder, readable, options, tokenizer);
  await withCopies(inputs, prepare, options.signal);
  return folder;
}

async function prepareInto(
  folder: string,
  inputs: readonly Input[],
  options: FinetuneDataOptions,
  tokenizer: () => Promise<NamedTokenizer>,
): Promise<void> {
  const { val, valFraction = val?.length ? 0 : 0.1, template, task, onPrepare, signal } = options;
  const common = { out: folder, valInputs: val, valFraction, onProgress: onPrepare, signal };
  const { tokenizer: model, name, encoder, nCtx } = await tokenizer();
  if (task) {
    if (template) throw new UsageError({ op: `task ${task}`, expected: "text and label", got: "a template" });
    const kind = FINETUNE_TASKS[task];
    const { maxLength = kind === "spans" ? WINDOW : nCtx } = options;
    const labelled = { ...common, kind, encoder, maxLength: Math.min(nCtx, maxLength) };
    await prepareLabelled(inputs, { ...labelled, tokenizer: model, tokenizerName: name });
    return;
  }
  if (!(model instanceof Tokenizer) || encoder) {
    const expected = `task ${Object.keys(FINETUNE_TASKS).join(" or ")}`;
    throw new UsageError({ op: `fine-tuning ${name}, which reads whole texts`, expected, got: "running text" });
  }
  const prepare = (await areExamples(inputs, template)) ? { ...common, template } : common;
  const named = { tokenizer: model, tokenizerName: name };
  if ("template" in prepare) await prepareExamples(inputs, { ...prepare, ...named } satisfies PrepareExamplesOptions);
  else await prepareData(inputs, { ...prepare, ...named });
}

function isPrepared(path: string): boolean {
  if (/[*?]|\.bin$/.test(path)) return true;
  if (!isFolder(path)) return false;
  return [readExamplesInfo, readLabelledInfo].some((read) => read(path)) || findShards(path, "train").length > 0;
}

function checkSame(folder: string, inputs: readonly string[], { template, task }: FinetuneDataOptions): string {
  const examples = readExamplesInfo(folder);
  const labelled = readLabelledInfo(folder);
  const sources = (labelled ?? examples ?? readDatasetInfo(folder))?.sources ?? [];
  const made = sources.flatMap(({ input, heldOut }) => (heldOut ? [] : [input]));
  const refuse = (expected: string, got: string): never => {
    throw new UsageError({ op: `fine-tuning on ${inputs.join(", ")}`, expected, got, hint: "Choose another --out" });
  };
  if (made.join("\n") !== inputs.join("\n")) refuse(`${folder} made from it`, `data made from ${made.join(", ")}`);
  const kind = task && FINETUNE_TASKS[task];
  if (kind !== labelled?.kind) {
    refuse(`${folder} made for ${kind ?? "writing"}`, `data made for ${labelled?.kind ?? "writing"}`);
  }
  if (template && JSON.stringify(template) !== JSON.stringify(examples?.template)) {
    refuse(`${folder} made with this template`, "data made with another");
  }
  return folder;
}

/** Decides by the first line of the first JSONL file. @throws {DataError} examples and text are mixed. */
export async function areExamples(inputs: readonly Input[], template: Template | undefined): Promise<boolean> {
  const { files } = listInputs(inputs);
  const [text] = files.filter(({ format }) => format === "text");
  const [lines] = files.filter(({ format }) => format === "jsonl");
  const wanted = template !== undefined || (lines !== undefined && (await hasExamples(lines)));
  if (!wanted || text === undefined) return wanted;
  const hint = "Give them one after the other, or without a template";
  throw new DataError({
    op: `reading ${namesOf(inputs)}`,
    expected: "JSONL alone",
    got: `${text.path}, which is text`,
    hint,
  });
}

async function hasExamples(file: Parameters<typeof readLines>[0][number]): Promise<boolean> {
  for await (const { record } of readLines([file])) {
    const template = templateFor(record);
    if (template) return isChat(template) || !("text" in record);
    // Reading it as examples reports what is expected.
    return !("text" in record);
  }
  return false;
}
