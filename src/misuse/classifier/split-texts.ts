import { DataError } from "../../errors.js";

export interface LabelledText {
  readonly text: string;
  readonly machine: boolean;
}

export interface SplitTexts {
  readonly train: readonly LabelledText[];
  readonly validation: readonly LabelledText[];
  /** Human texts only. */
  readonly calibration: readonly string[];
}

/**
 * Splits texts: of every ten, eight for training, one for validation, one for calibration. Human and machine texts with the
 * same index, which often continue one prompt, are in the same part.
 *
 * @throws {DataError} there are fewer than ten texts of a kind.
 */
export function splitTexts(human: readonly string[], machine: readonly string[]): SplitTexts {
  for (const [kind, { length }] of [
    ["human", human],
    ["machine", machine],
  ] as const) {
    if (length >= 10) continue;
    throw new DataError({ op: `training a detector: ${kind} texts`, expected: "at least 10", got: String(length) });
  }
  const all = [human, machine].map((texts, i) => texts.map((text) => ({ text, machine: i === 1 })));
  const part = (holds: (place: number) => boolean) => all.flatMap((texts) => texts.filter((_, i) => holds(i % 10)));
  return {
    train: part((place) => place < 8),
    validation: part((place) => place === 8),
    calibration: human.filter((_, i) => i % 10 === 9),
  };
}
