import { UsageError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";
import { TRANSLATIONS } from "./examples.js";
import { oneLine, type Pair, pairLines, pairPrompt } from "./pairs.js";
import { sentences } from "./sentences.js";
import {
  needText,
  type PromptedModel,
  type TaskOutput,
  type Writing,
  type WritingOptions,
  writeAfter,
} from "./write.js";

export interface TranslateOptions extends WritingOptions {
  /** `fr` or `en`, which select built-in examples. Other examples determine the languages themselves. */
  readonly to?: string | undefined;
  /** Default `en`, or `fr` for a translation to English. */
  readonly from?: string | undefined;
  /** Example sentences and translations, in place of the built-in ones. */
  readonly examples?: readonly Pair[] | undefined;
}

/** Section 3.7 of the paper: greedy decoding; the first sentence counts. A line holds one pair, so a line feed ends it. */
export const TRANSLATION = { maxNewTokens: 150, until: ["\n"] } as const satisfies Writing;

export const firstSentence = (written: string): string => sentences(written)[0] ?? "";

/** The built-in English and French pairs, source first. */
export function frenchPairs(from: "en" | "fr", count = TRANSLATIONS.length): Pair[] {
  return TRANSLATIONS.slice(0, count).map(([english, french]) =>
    from === "en" ? [english, french] : [french, english],
  );
}

/** @throws {UsageError} no examples, for languages without built-in ones. */
export function translationPairs({
  to,
  from = to === "en" ? "fr" : "en",
  examples,
}: TranslateOptions): readonly Pair[] {
  if (examples !== undefined) return examples;
  if ((from === "en" && to === "fr") || (from === "fr" && to === "en")) return frenchPairs(from);
  throw new UsageError({
    op: "translation",
    expected: "examples, sentences and their translations",
    got: to === undefined ? "neither examples nor a language" : `none from ${from} to ${to}`,
    hint: "Without examples there is English to French (fr) and French to English (en)",
  });
}

/** See {@link Tasks.translate}. */
export async function translate(
  model: PromptedModel,
  sentence: string,
  options: TranslateOptions,
): Promise<TaskOutput> {
  checkOptionNames("translating", options, {
    adapter: true,
    signal: true,
    maxNewTokens: true,
    to: true,
    from: true,
    examples: true,
  });
  const examples = pairLines(translationPairs(options));
  const after = pairPrompt(oneLine(needText(sentence, "translation", "a sentence")));
  return writeAfter(model, "translation", { examples, after }, TRANSLATION, options, firstSentence);
}
