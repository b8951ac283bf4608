import { checkOptionNames } from "../util/nearest.js";
import { oneLine, type Pair, pairLines, pairPrompt } from "./pairs.js";
import {
  needText,
  type PromptedModel,
  type TaskOutput,
  type Writing,
  type WritingOptions,
  writeAfter,
} from "./write.js";

export interface CompleteOptions extends WritingOptions {
  /** Example pairs: with them, the output of the pair that begins with the text is generated, not a continuation. */
  readonly examples?: readonly Pair[] | undefined;
  /** Sample from so many of the likeliest tokens at temperature 1; 1 is greedy. Default 40, with examples 1. */
  readonly topK?: number | undefined;
  /** Same seed, same text. Default: random. */
  readonly seed?: number | undefined;
}

/** Figure 5 of the paper: continuations with top-k 40; it gives no length. */
export const CONTINUATION = { maxNewTokens: 100, topK: 40 } as const satisfies Writing;
/** Section 3.7's prompt, for any pattern. */
export const PATTERN = { maxNewTokens: 40, until: ["\n"], topK: 1 } as const satisfies Writing;

/** See {@link Tasks.complete}. */
export async function complete(model: PromptedModel, text: string, options: CompleteOptions): Promise<TaskOutput> {
  checkOptionNames("completing", options, {
    adapter: true,
    signal: true,
    maxNewTokens: true,
    examples: true,
    topK: true,
    seed: true,
  });
  needText(text, "completion", "a text");
  const { examples = [] } = options;
  if (examples.length === 0) {
    const writing = { ...CONTINUATION, topK: options.topK ?? CONTINUATION.topK };
    return writeAfter(model, "completion", { after: text }, writing, options, (written) => written);
  }
  const parts = { examples: pairLines(examples), after: pairPrompt(oneLine(text)) };
  const writing = { ...PATTERN, topK: options.topK ?? PATTERN.topK };
  return writeAfter(model, "completion", parts, writing, options, (written) => written.trim());
}
