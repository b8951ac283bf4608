import type { FinishReason, GeneratedToken } from "../generate/generate.js";
import type { Completion } from "./options.js";

/** Gathers generated tokens by sample. */
export async function collectCompletions(
  tokens: AsyncIterable<GeneratedToken>,
  samples: number,
): Promise<Completion[]> {
  const results = Array.from({ length: samples }, () => {
    return { text: "", tokens: [] as number[], logprobs: [] as number[], finishReason: "length" as FinishReason };
  });
  for await (const { token, text, logprob, sample, finishReason } of tokens) {
    const result = results[sample]!;
    result.text += text;
    result.tokens.push(token);
    result.logprobs.push(logprob);
    if (finishReason) result.finishReason = finishReason;
  }
  return results;
}
