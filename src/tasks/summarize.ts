import { checkOptionNames } from "../util/nearest.js";
import type { Pair } from "./pairs.js";
import { firstSentences } from "./sentences.js";
import {
  needText,
  type PromptedModel,
  type TaskOutput,
  type Writing,
  type WritingOptions,
  writeAfter,
} from "./write.js";

export interface SummarizeOptions extends WritingOptions {
  /** Example articles and summaries; none by default, as in the paper. */
  readonly examples?: readonly Pair[] | undefined;
  /** Same seed, same summary. Default: random. */
  readonly seed?: number | undefined;
  /** Cut an article that does not fit, instead of refusing it. Default true. */
  readonly truncate?: boolean | undefined;
}

/** Section 3.6 of the paper: the hint after the article. */
export const SUMMARY_HINT = "\nTL;DR:";
/** Section 3.6: 100 tokens with top-k 2; the first three sentences are the summary. */
export const SUMMARY = { maxNewTokens: 100, topK: 2 } as const satisfies Writing;
export const SUMMARY_SENTENCES = 3;

export const summaryIn = (written: string): string => firstSentences(written, SUMMARY_SENTENCES);

const example = ([article, summary]: Pair): string => `${article.trim()}${SUMMARY_HINT} ${summary.trim()}\n\n`;

/** See {@link Tasks.summarize}. */
export async function summarize(model: PromptedModel, article: string, options: SummarizeOptions): Promise<TaskOutput> {
  checkOptionNames("summarizing", options, {
    adapter: true,
    signal: true,
    maxNewTokens: true,
    examples: true,
    seed: true,
    truncate: true,
  });
  const { truncate = true } = options;
  const document = needText(article, "summary", "an article").trim();
  const parts = { examples: options.examples?.map(example) ?? [], document, after: SUMMARY_HINT };
  return writeAfter(model, "summary", parts, SUMMARY, { ...options, truncate }, summaryIn);
}
