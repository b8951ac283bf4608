import type { LogitsRow } from "../generate/engine.js";
import type { GenerationModel } from "../generate/generate.js";
import type { TextIds } from "../model/text-ids.js";
import { checkOptionNames } from "../util/nearest.js";
import type { LogitsOptions } from "./options.js";

/** See `GPT2.logits`: [T, V]. */
export async function allLogits(
  { scheduler, adapter }: GenerationModel,
  ids: TextIds,
  given: ArrayLike<number>,
  options: LogitsOptions,
): Promise<Float32Array> {
  checkOptionNames("logits", options, { adapter: true, signal: true });
  const tokens = ids.checkFits(ids.encode(given), "logits");
  const V = ids.vocabSize;
  const logits = new Float32Array(tokens.length * V);
  if (tokens.length === 0) return logits;
  const read = { from: 0, row: (row: LogitsRow, token: number) => logits.set(row, token * V) };
  await scheduler.submit({ tokens, adapter, logits: read, signal: options.signal });
  return logits;
}
