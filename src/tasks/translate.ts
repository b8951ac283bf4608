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
  /** `fr` or `en`, for which there are examples of ours. With others it is they that tell the languages. */
  readonly to?: string | undefined;
  /** By default `en`, or `fr` for a translation to English. */
  readonly from?: string | undefined;
  /** Sentences and their translations, in place of ours. */
  readonly examples?: readonly Pair[] | undefined;
}

/** Section 3.7 of the paper: greedily, of which the first sentence counts. A line holds one pair, so there it ends. */
export const TRANSLATION = { maxNewTokens: 150, until: ["\n"] } as const satisfies Writing;

export const firstSentence = (written: string): string => sentences(written)[0] ?? "";

/** Our English and French pairs, source first. */
export function frenchPairs(from: "en" | "fr", count = TRANSLATIONS.length): Pair[] {
  return TRANSLATIONS.slice(0, count).map(([english, french]) =>
    from === "en" ? [english, french] : [french, english],
  );
}

/** @throws {UsageError} no examples, for languages of which we have none. */
export function translationPairs({
  to,
  from = to === "en" ? "fr" : "en",
  examples,
}: TranslateOptions): readonly Pair[] {
  if (examples !== undefined) return examples;
  if ((from === "en" && to === "fr") || (from === "fr" && to === "en")) return frenchPairs(from);
  throw new UsageError({
    op: "translation",
    expected: "examples, pairs of sentences that mean the same",
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
