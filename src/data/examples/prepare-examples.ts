import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DataError, UsageError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { writeTokenizerJson } from "../../tokenizer/tokenizer-json.js";
import { writeFolderAtomically, writeNewFile } from "../../util/atomic-write.js";
import { yieldToEventLoop } from "../../util/event-loop.js";
import { checkOptionNames } from "../../util/nearest.js";
import { type InputFile, listInputs } from "../inputs.js";
import { type FileLine, readLines } from "../read-lines.js";
import { checkShardVocab } from "../shard.js";
import { type EncodedExample, encodeExample } from "./encode-example.js";
import {
  EXAMPLES_FILE,
  EXAMPLES_TOKENIZER_FILE,
  type ExampleSplitInfo,
  type ExamplesInfo,
  writeExamples,
} from "./example-folder.js";
import { joinExamples } from "./example-set.js";
import { holdOut, isHeldOut } from "./held-out.js";
import { checkTemplate, plainText, renderExample, type Segment, type Template, templateFor } from "./template.js";

export interface PrepareExamplesOptions {
  /** Folder to make. */
  readonly out: string;
  readonly tokenizer: Tokenizer;
  /** What examples.json calls the tokenizer. Default "custom". */
  readonly tokenizerName?: string | undefined;
  /** How a line becomes a text; by default `plain` for prompt and completion, `chat` for messages. */
  readonly template?: Template | undefined;
  /** Share of the examples to hold out, chosen by a hash of their text. Default 0.1. */
  readonly valFraction?: number | undefined;
  /** Files and folders to hold out instead. */
  readonly valInputs?: readonly string[] | undefined;
  /** Of the choice of held-out examples, default 1337. */
  readonly seed?: number | undefined;
  readonly onProgress?: ((progress: { bytesRead: number; bytesTotal: number; examples: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * JSONL of prompts and completions, of chats, or of anything a template can make a text of, to a folder of encoded
 * examples, in each of which the tokens are marked that the model is to learn. They are held in memory meanwhile.
 *
 * @throws {DataError} missing or malformed input; a line without a field that the template has.
 * @throws {UsageError} a wrong option, or a folder that is there already.
 */
export async function prepareExamples(
  inputs: readonly string[],
  options: PrepareExamplesOptions,
): Promise<ExamplesInfo> {
  checkOptionNames("preparing examples", options, {
    out: true,
    tokenizer: true,
    tokenizerName: true,
    template: true,
    valFraction: true,
    valInputs: true,
    seed: true,
    onProgress: true,
    signal: true,
  });
  const { out, tokenizer, signal, valInputs = [] } = options;
  const { endOfText } = tokenizer;
  const settings = checkSettings(options);
  checkShardVocab(tokenizer.vocabSize);
  if (endOfText === undefined) {
    throw new DataError({ op: "preparing examples", expected: "a tokenizer with <|endoftext|>", got: "one without" });
  }
  if (existsSync(out))
    throw new UsageError({ op: `writing to ${out}`, expected: "a new folder", got: "one that is there" });
  const all = [...inputs, ...valInputs];
  const files = jsonlFiles(all);
  const read = await readExamplesOf(files, inputs.length, { ...options, endOfText, settings });
  const [train, val, heldOut] = holdOut(read.examples, settings.valFraction, valInputs.length > 0);
  if (train.length === 0) {
    throw new DataError({
      op: `preparing examples from ${inputs.join(", ")}`,
      expected: "some to train on",
      got: "none",
    });
  }
  const tokenizerJson = writeTokenizerJson(tokenizer.vocabulary);
  const info: ExamplesInfo = {
    format: "gpt2-ts examples",
    version: 1,
    tokenizer: {
      name: options.tokenizerName ?? "custom",
      sha256: createHash("sha256").update(tokenizerJson).digest("hex"),
      vocabSize: tokenizer.vocabSize,
      endOfText,
    },
    template: read.template,
    splits: { train: describe(train), ...(val.length > 0 && { val: describe(val) }) },
    sources: all.map((input, i) => {
      const examples = read.examples.filter(({ file }) => files[file]!.input === i).length;
      return { input, heldOut: i >= inputs.length, examples };
    }),
    settings: { ...settings, heldOut },
    empty: read.empty,
  };
  signal?.throwIfAborted();
  const fill = async (folder: string): Promise<void> => {
    await writeExamples(folder, "train", joinExamples(train));
    if (val.length > 0) await writeExamples(folder, "val", joinExamples(val));
    await writeNewFile(join(folder, EXAMPLES_TOKENIZER_FILE), tokenizerJson);
    await writeNewFile(join(folder, EXAMPLES_FILE), `${JSON.stringify(info, null, 2)}\n`);
  };
  await writeFolderAtomically(out, fill, { errorClass: DataError });
  return info;
}

/** The first examples as the model would see them, and the template that made them. */
export async function previewExamples(
  inputs: readonly string[],
  count: number,
  given?: Template,
): Promise<{ template: Template; examples: Segment[][] }> {
  const examples: Segment[][] = [];
  let template = given && checkTemplate(given);
  for await (const line of readLines(jsonlFiles(inputs))) {
    template ??= chosenTemplate(line);
    examples.push(renderExample(template, line.record, `reading ${line.where}`));
    if (examples.length >= count) break;
  }
  if (template) return { template, examples };
  throw new DataError({ op: `reading ${inputs.join(", ")}`, expected: "lines of JSON", got: "none" });
}

export interface Settings {
  readonly valFraction: number;
  readonly seed: number;
}

/** @throws {UsageError} a share out of range, or beside files that are held out. */
export function checkSettings({
  valFraction,
  valInputs = [],
  seed = 1337,
}: Pick<PrepareExamplesOptions, "valFraction" | "valInputs" | "seed">): Settings {
  const fraction = valFraction ?? (valInputs.length > 0 ? 0 : 0.1);
  if (fraction >= 0 && fraction < 1 && (fraction === 0 || valInputs.length === 0))
    return { valFraction: fraction, seed };
  const expected = valInputs.length > 0 ? "none beside valInputs" : "a share from 0 to below 1";
  throw new UsageError({ op: "preparing examples: valFraction", expected, got: String(valFraction) });
}

/** @throws {DataError} there is something else than JSONL, or nothing. */
export function jsonlFiles(inputs: readonly string[]): readonly InputFile[] {
  const { files } = listInputs(inputs);
  const [text] = files.filter(({ format }) => format !== "jsonl");
  if (files.length > 0 && text === undefined) return files;
  const got = text === undefined ? "none" : `${text.path}, which is text`;
  throw new DataError({ op: `reading ${inputs.join(", ")}`, expected: "JSONL files (.jsonl, .ndjson)", got });
}

interface ReadExample extends EncodedExample {
  readonly file: number;
  readonly heldOut: boolean;
}

interface ReadOptions extends PrepareExamplesOptions {
  readonly endOfText: number;
  readonly settings: Settings;
}

async function readExamplesOf(files: readonly InputFile[], heldOutFrom: number, options: ReadOptions) {
  const { tokenizer, endOfText, settings, signal, onProgress } = options;
  const encoder = { encode: (text: string) => tokenizer.encode(text, { addSpecialTokens: false }), endOfText };
  const bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
  let bytesRead = 0;
  const onRead = (file: number, bytes: number): void => {
    bytesRead = files.slice(0, file).reduce((sum, { size }) => sum + size, bytes);
  };
  const examples: ReadExample[] = [];
  let template = options.template && checkTemplate(options.template);
  let empty = 0;
  let lines = 0;
  for await (const line of readLines(files, onRead)) {
    template ??= chosenTemplate(line);
    const segments = renderExample(template, line.record, `reading ${line.where}`);
    const encoded = encodeExample(segments, encoder);
    const heldOut = files[line.file]!.input >= heldOutFrom || isHeldOut(textsOf(segments), settings);
    if (encoded.counted.includes(1)) examples.push({ ...encoded, file: line.file, heldOut });
    else empty++;
    if (++lines % 256 === 0) {
      onProgress?.({ bytesRead, bytesTotal, examples: examples.length });
      await yieldToEventLoop();
      signal?.throwIfAborted();
    }
  }
  if (template) return { template, examples, empty };
  throw new DataError({ op: `reading ${files[0]!.path}`, expected: "lines of JSON", got: "none" });
}

function chosenTemplate({ record, where }: FileLine): Template {
  const template = templateFor(record);
  if (template) return template;
  throw new DataError({
    op: `reading ${where}`,
    expected: "prompt and completion, or messages",
    got: `the fields ${Object.keys(record).join(", ") || "of nothing"}`,
    hint: "Say with a template what is to become of them (--template)",
  });
}

const textsOf = (segments: readonly Segment[]): string[] => segments.map(({ parts }) => plainText(parts));

function describe(examples: readonly ReadExample[]): ExampleSplitInfo {
  let [tokens, counted] = [0, 0];
  for (const example of examples) {
    tokens += example.tokens.length;
    for (const learned of example.counted) counted += learned;
  }
  return { examples: examples.length, tokens, counted };
}
