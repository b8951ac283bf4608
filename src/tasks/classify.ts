import { UsageError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { type Choice, type ChooseOptions, choiceOf } from "./choose.js";
import { fitPrompt, type Omitted } from "./fit-prompt.js";
import { oneLine, type Pair } from "./pairs.js";
import { needText, needTokenizer, type PromptedModel } from "./write.js";

export interface LabelOptions extends ChooseOptions {
  /** The labels to choose from, at least two. */
  readonly labels: readonly string[];
  /** The word for label in the prompt: `Topic`, `Mood`. Default `Label`. */
  readonly kind?: string | undefined;
  /** Example texts and their labels; none by default. */
  readonly examples?: readonly Pair[] | undefined;
  /** Cut a text that does not fit, instead of refusing it. Default true. */
  readonly truncate?: boolean | undefined;
}

/** The chosen label, and a candidate for each label; labels have no leading space here. */
export interface LabelChoice extends Choice {
  /** Parts of the prompt that did not fit. */
  readonly omitted: Omitted;
}

const DEFAULT_KIND = "Label";

/** @throws {UsageError} fewer than two labels, an empty one, or one twice; or an example with another label. */
export function checkLabels({ labels, examples = [] }: Pick<LabelOptions, "labels" | "examples">): string[] {
  const names = labels.map(oneLine);
  const expected = "at least two distinct labels";
  const got = names.length === 0 ? "none" : names.map((name) => JSON.stringify(name)).join(", ");
  if (names.length < 2 || names.includes("") || new Set(names).size < names.length) {
    throw new UsageError({ op: "classification", expected, got });
  }
  const other = examples.find(([, label]) => !names.includes(oneLine(label)));
  if (other) {
    const op = "classification: label of an example";
    throw new UsageError({ op, expected: names.join(", "), got: JSON.stringify(other[1]) });
  }
  return names;
}

/** See {@link Tasks.classify}. */
export async function classify(model: PromptedModel, text: string, options: LabelOptions): Promise<LabelChoice> {
  checkOptionNames("classifying by prompt", options, {
    adapter: true,
    signal: true,
    normalization: true,
    labels: true,
    kind: true,
    examples: true,
    truncate: true,
  });
  const { kind = DEFAULT_KIND, examples = [], truncate = true } = options;
  const labels = checkLabels(options);
  const tokenizer = needTokenizer(model, "classification");
  const document = needText(text, "classification", "a text").trim();
  const after = `\n${oneLine(kind)}:`;
  const continuations = labels.map((label) => [...tokenizer.encode(` ${label}`, { addSpecialTokens: false })]);
  const longest = Math.max(...continuations.map(({ length }) => length));
  const { nCtx } = model.config;
  const parts = {
    examples: examples.map(([input, label]) => `Text: ${input.trim()}${after} ${oneLine(label)}\n\n`),
    before: "Text: ",
    document,
    after,
  };
  const {
    ids,
    text: prompt,
    omitted,
  } = fitPrompt(tokenizer, parts, {
    op: "classification: prompt",
    room: nCtx + 1 - longest,
    reason: `the model's context of ${nCtx} less the longest label`,
    truncate,
  });
  const pairs = continuations.map((continuation) => ({ context: [...ids], continuation }));
  const texts = labels.map((label) => ` ${label}`);
  const choice = await choiceOf(model, prompt, texts, pairs, options);
  const candidates = choice.candidates.map((scores, i) => ({ ...scores, text: labels[i]! }));
  return { ...choice, text: labels[choice.index]!, candidates, omitted };
}
