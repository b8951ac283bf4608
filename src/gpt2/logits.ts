import type { GenerationModel } from "../generate/generate.js";
import type { TextIds } from "../model/text-ids.js";
import { checkOptionNames } from "../util/nearest.js";
import type { LogitsOptions } from "./options.js";

/** See `GPT2.logits`: [T, V]. */
export async function allLogits(
  { engine, adapter }: GenerationModel,
  ids: TextIds,
  given: ArrayLike<number>,
  options: LogitsOptions,
): Promise<Float32Array> {
  checkOptionNames("logits", options, { adapter: true, signal: true });
  const tokens = ids.checkFits(ids.encode(given), "logits");
  const V = ids.vocabSize;
  const logits = new Float32Array(tokens.length * V);
  const sequence = engine.sequence(adapter);
  try {
    const extension = { sequence, tokens, logits: tokens.length };
    await engine.extend([extension], (row, _, token) => logits.set(row, token * V), options.signal);
  } finally {
    sequence.release();
  }
  return logits;
}
