/** Checks that the contenders compute the same thing; otherwise their figures could not be compared. */
import type { GPT2Config } from "../src/architectures/gpt2/config.js";
import { type Gpt2_124mFixture, gpt2_124mFixture } from "../test/helpers/gpt2-fixtures.js";
import { seededTokens } from "../test/helpers/seeded-weights.js";
import { PROMPT_LABEL } from "./cases.js";
import type { BatchResult, GenerateResult, Result, Task, TrainResult, WeightType } from "./protocol.js";

/**
 * Tolerated relative differences of the first loss, and of the second, which depends on the gradients and the
 * optimizer.
 */
const LOSS_TOLERANCES: Partial<Record<WeightType, readonly number[]>> & { readonly f32: readonly number[] } = {
  f32: [2e-5, 1e-3],
  bf16: [1e-3, 5e-3],
};

/** Number of greedy ids that all contenders must have in common; with rounded weights they soon diverge. */
const AGREEING_IDS: Record<WeightType, number> = { f32: 24, f16: 4, bf16: 1, q8_0: 1, q4_0: 0 };

/** The task that every contender runs before it is timed, as a check and to warm up. */
export function checkTask(config: GPT2Config, seed: number, task: Task): Task {
  if (task.kind === "train") return { ...task, steps: LOSS_TOLERANCES.f32.length };
  const count = AGREEING_IDS.f32 - 1;
  if (task.kind === "batch") return { ...task, count };
  const prompt = Array.from(seededTokens(config, seed, PROMPT_LABEL, 8));
  return { kind: "generate", prompt, count };
}

/** transformers' results of the check, if the fixture in the repository has them. */
export function expectedOf(config: GPT2Config, seed: number, task: Task): Result | undefined {
  const fixture = gpt2_124mFixture();
  if (seed !== fixture.seed || !sameConfig(config, fixture)) return undefined;
  if (task.kind === "generate") return { ids: fixture.greedy.ids, seconds: [] };
  // Its first prompt is the fixture's; the other prompts of a batch must not change the continuation.
  if (task.kind === "batch") return { ids: [fixture.greedy.ids], seconds: [] };
  const known = task.rows.length === 1 && String(task.rows[0]) === String(fixture.long.ids);
  return known ? { losses: [fixture.long.loss], seconds: [] } : undefined;
}

/** A message saying where the results differ more than weights of this type allow; undefined if they agree. */
export function disagreement(result: Result, expected: Result, type: WeightType): string | undefined {
  if ("ids" in result) return otherIds(result, expected as GenerateResult | BatchResult, AGREEING_IDS[type]);
  const { losses } = expected as TrainResult;
  for (const [i, tolerance] of (LOSS_TOLERANCES[type] ?? LOSS_TOLERANCES.f32).entries()) {
    const [got, right] = [result.losses[i]!, losses[i]];
    if (right === undefined || Math.abs(got - right) <= tolerance * right) continue;
    return `the loss before step ${i + 1} is ${got}, not ${right}`;
  }
  return undefined;
}

/** The first sequence of a batch is in the fixture; half of the others may diverge at two nearly equal logits. */
function otherIds(
  result: GenerateResult | BatchResult,
  expected: GenerateResult | BatchResult,
  count: number,
): string | undefined {
  const rows = sequences(result);
  const wrong = sequences(expected).map((ids, row) => ids.slice(0, count).findIndex((id, i) => id !== rows[row]?.[i]));
  const differing = wrong.filter((at) => at >= 0).length;
  if (wrong[0] === -1 && differing <= wrong.length / 2) return undefined;
  const row = wrong.findIndex((at) => at >= 0);
  const at = wrong[row]!;
  const where = rows.length > 1 ? ` of sequence ${row}` : "";
  return `greedy id ${at}${where} is ${rows[row]?.[at]}, not ${sequences(expected)[row]![at]}`;
}

function sequences({ ids }: GenerateResult | BatchResult): readonly (readonly number[])[] {
  return typeof ids[0] === "number" ? [ids as readonly number[]] : (ids as readonly (readonly number[])[]);
}

function sameConfig(config: GPT2Config, fixture: Gpt2_124mFixture): boolean {
  return Object.entries(fixture.config).every(([field, value]) => config[field as keyof GPT2Config] === value);
}
