import type { BERT } from "../../src/bert.js";
import { folderSource } from "../../src/evaluate/data/node-sources.js";
import { type EvaluatedModel, evaluate } from "../../src/evaluate/index.js";
import type { LogLikelihoodRequest } from "../../src/generate/requests.js";
import { ByteLevelEncoder } from "../../src/tokenizer/byte-level-encoder.js";
import type { Twin } from "./twin.js";

/** Whether the grammatical sentence of a pair has the higher score, for each pair, and what the pair tests. */
export interface BlimpResult {
  readonly right: readonly number[];
  readonly phenomenon: readonly string[];
}

/** @param pairs number of pairs, as many of each of the 67 paradigms */
export async function blimpResult(twin: Twin, folder: string, pairs: number): Promise<BlimpResult> {
  const model = twin.name === "gpt2" ? twin.model : scoredByMasks(twin.model);
  const { outcomes } = await evaluate(model, "blimp:plain", { source: folderSource(folder), limit: pairs });
  return { right: outcomes.map(({ right }) => Number(right)), phenomenon: outcomes.map((o) => String(o.phenomenon)) };
}

/** A BERT for the evaluation: the pseudo-log-likelihood, word-l2r, in the place of the log-likelihood. */
function scoredByMasks(bert: BERT): EvaluatedModel {
  if (!(bert.tokenizer instanceof ByteLevelEncoder)) throw new Error("expected the twin's tokenizer");
  const { tokenizer } = bert.tokenizer;
  return {
    config: bert.config,
    tokenizer,
    endOfText: tokenizer.endOfText,
    logLikelihoods: async (requests: readonly LogLikelihoodRequest[]) => {
      const texts = requests.map(({ continuation }) => tokenizer.decode(continuation));
      const scores = await bert.score(texts, { metric: "word-l2r" });
      const none = new Int32Array();
      return scores.map(({ logprobs, pseudoLogLikelihood }) => {
        return { logprobs, logprob: pseudoLogLikelihood, best: none, top: none };
      });
    },
    generateUntil: async () => {
      throw new Error("a BERT does not write");
    },
  };
}
