import type { DraftCounts, FinishReason, GeneratedToken } from "../generate/generate.js";
import type { Completion } from "./options.js";

interface Growing {
  text: string;
  readonly tokens: number[];
  readonly logprobs: number[];
  finishReason: FinishReason;
  drafts?: DraftCounts;
}

/** Gathers generated tokens by sample. */
export async function collectCompletions(
  tokens: AsyncIterable<GeneratedToken>,
  samples: number,
): Promise<Completion[]> {
  const results = Array.from({ length: samples }, () => {
    return {
      text: "",
      tokens: [] as number[],
      logprobs: [] as number[],
      finishReason: "length" as FinishReason,
    } as Growing;
  });
  for await (const { token, text, logprob, sample, finishReason, drafts } of tokens) {
    const result = results[sample]!;
    result.text += text;
    result.tokens.push(token);
    result.logprobs.push(logprob);
    if (finishReason) result.finishReason = finishReason;
    if (drafts) result.drafts = drafts;
  }
  return results;
}
