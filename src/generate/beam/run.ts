import { type FinishReason, type GenerationModel, promptTokens } from "../generate.js";
import type { BeamSettings } from "./options.js";
import { BeamSearch } from "./search.js";

/** A continuation that a beam search found. */
export interface BeamResult {
  /** Without the prompt; empty where the model has no tokenizer. */
  readonly text: string;
  readonly tokens: readonly number[];
  /** Natural logarithm of each token's probability in the model's own distribution, before penalties. */
  readonly logprobs: readonly number[];
  /** Sum of the log-probabilities after penalties, divided by the length to the power `lengthPenalty`. */
  readonly score: number;
  readonly finishReason: FinishReason;
}

/** The best continuations of a prompt by beam search, best first; fewer than `nBest` where no more can be made. */
export async function beamSearch(
  model: GenerationModel,
  prompt: ArrayLike<number>,
  settings: BeamSettings,
): Promise<BeamResult[]> {
  const { scheduler, adapter, vocabLimit, eosTokenIds, text } = model;
  const { stop, stopTokens, stopAtEndOfText, maxNewTokens, priority, scope, signal, started } = settings;
  const tokens = promptTokens(model, prompt, settings);
  signal?.throwIfAborted();
  if (maxNewTokens === 0) return [];
  const room = scheduler.engine.config.nCtx - tokens.length + 1;
  const limits = { ...settings, maxNewTokens: Math.min(maxNewTokens, room) };
  const ends = new Set([...(stopAtEndOfText ? eosTokenIds : []), ...stopTokens]);
  const stops = text && stop.length > 0 ? (ids: readonly number[]) => textOf(ids).stopped : undefined;
  const textOf = (ids: readonly number[]): { readonly text: string; readonly stopped: boolean } => {
    const stream = text?.(stop);
    if (!stream) return { text: "", stopped: false };
    const parts = ids.map((id) => (stream.stopped ? "" : stream.push(id)));
    const { stopped } = stream;
    return { text: parts.join("") + stream.end(), stopped };
  };
  const search = new BeamSearch(tokens, limits, { vocabLimit, eosTokenIds, ends, stops });
  await scheduler.submit({ tokens, adapter, branching: search, priority, scope, signal, started });
  return search.results().map(({ tokens: ids, logprobs, score }) => {
    const ended = ends.has(ids.at(-1)!);
    const { text: written, stopped } = textOf(ended ? ids.slice(0, -1) : ids);
    const full = ids.length === room && room < maxNewTokens ? "context" : "length";
    return { text: written, tokens: ids, logprobs, score, finishReason: stopped ? "stop" : ended ? "endoftext" : full };
  });
}
