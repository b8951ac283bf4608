import { DataError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { checkOptionNames } from "../../util/nearest.js";
import { type Input, namesOf } from "../inputs.js";
import { fieldsOf } from "../json-lines.js";
import { type FileLine, readLines } from "../read-lines.js";
import { type EncodedExample, encodeExample } from "./encode-example.js";
import { EXAMPLES_FILE, type ExampleSplitInfo, type ExamplesInfo, writeExamples } from "./example-folder.js";
import { joinExamples } from "./example-set.js";
import {
  jsonlFiles,
  LINE_OPTIONS,
  type PrepareLinesOptions,
  prepareLines,
  tokenizerInfo,
  writeExampleFolder,
} from "./prepare-lines.js";
import { checkTemplate, plainText, renderExample, type Segment, type Template, templateFor } from "./template.js";

export interface PrepareExamplesOptions extends PrepareLinesOptions {
  readonly tokenizer: Tokenizer;
  /** How a line becomes a text. Default: `plain` for prompt and completion, `chat` for messages. */
  readonly template?: Template | undefined;
}

/**
 * Encodes JSONL of prompts and completions, of chats, or of any fields of a template, to a folder of examples with loss masks.
 *
 * @throws {DataError} the input is missing or malformed, or a line lacks a field of the template.
 * @throws {UsageError} an option is wrong, or the folder exists.
 */
export async function prepareExamples(
  inputs: readonly Input[],
  options: PrepareExamplesOptions,
): Promise<ExamplesInfo> {
  checkOptionNames("preparing examples", options, { ...LINE_OPTIONS, template: true });
  const { tokenizer } = options;
  const { endOfText } = tokenizer;
  if (endOfText === undefined) {
    throw new DataError({
      op: "preparing examples",
      expected: "a tokenizer with <|endoftext|>",
      got: "a tokenizer without it",
    });
  }
  const encoder = { encode: (text: string) => tokenizer.encode(text, { addSpecialTokens: false }), endOfText };
  let template = options.template && checkTemplate(options.template);
  const { train, val, empty, sources, settings } = await prepareLines(inputs, options, (line) => {
    template ??= chosenTemplate(line);
    const segments = renderExample(template, line.record, `reading ${line.where}`);
    const item = encodeExample(segments, encoder);
    return item.counted.includes(1) ? { item, texts: textsOf(segments) } : undefined;
  });
  const info: ExamplesInfo = {
    format: "gpt2-ts examples",
    version: 1,
    tokenizer: { ...tokenizerInfo(options), endOfText },
    template: template!,
    splits: { train: describe(train), ...(val.length > 0 && { val: describe(val) }) },
    sources: sources.map(({ input, heldOut, count }) => ({ input, heldOut, examples: count })),
    settings,
    empty,
  };
  const splits = { train, val };
  await writeExampleFolder(options, { file: EXAMPLES_FILE, info }, (folder, split) =>
    writeExamples(folder, split, joinExamples(splits[split])),
  );
  return info;
}

/** The first examples as the model would see them, and their template. */
export async function previewExamples(
  inputs: readonly Input[],
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
  throw new DataError({ op: `reading ${namesOf(inputs)}`, expected: "lines of JSON", got: "none" });
}

function chosenTemplate({ record, where }: FileLine): Template {
  const template = templateFor(record);
  if (template) return template;
  throw new DataError({
    op: `reading ${where}`,
    expected: "prompt and completion, or messages",
    got: fieldsOf(record),
    hint: "Name or write a template for other fields (--template)",
  });
}

const textsOf = (segments: readonly Segment[]): string[] => segments.map(({ parts }) => plainText(parts));

function describe(examples: readonly EncodedExample[]): ExampleSplitInfo {
  let [tokens, counted] = [0, 0];
  for (const example of examples) {
    tokens += example.tokens.length;
    for (const learned of example.counted) counted += learned;
  }
  return { examples: examples.length, tokens, counted };
}
