import { createHash } from "node:crypto";

/** The choice of held-out examples. */
export type HeldOutBy = "none" | "files" | "examples" | "tail";

/** Whether an example is held out, by a hash of its text, so copies of it never end up in both splits. */
export function isHeldOut(
  texts: Iterable<string>,
  { valFraction, seed }: { readonly valFraction: number; readonly seed: number },
): boolean {
  if (valFraction === 0) return false;
  const hash = createHash("sha256").update(`gpt2-ts held-out ${seed}\n`);
  for (const text of texts) hash.update(text);
  return hash.digest().readUIntBE(0, 6) / 2 ** 48 < valFraction;
}

/** Splits examples. If their hashes hold out all or none, the last ones are held out. */
export function holdOut<T extends { readonly heldOut: boolean }>(
  examples: readonly T[],
  valFraction: number,
  byFiles: boolean,
): [train: T[], val: T[], how: HeldOutBy] {
  const [train, val] = [examples.filter(({ heldOut }) => !heldOut), examples.filter(({ heldOut }) => heldOut)];
  if (byFiles) return [train, val, "files"];
  if (valFraction === 0) return [train, val, "none"];
  if (examples.length < 2) return [[...examples], [], "none"];
  if (train.length > 0 && val.length > 0) return [train, val, "examples"];
  const count = Math.min(examples.length - 1, Math.max(1, Math.round(valFraction * examples.length)));
  return [examples.slice(0, -count), examples.slice(-count), "tail"];
}
