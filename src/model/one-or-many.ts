import type { TextOrIds } from "./options.js";

/** One text, or several. An array of numbers is one text, as token ids; an empty array means no texts. */
export type OneOrMany = TextOrIds | readonly TextOrIds[];

/** Calls `read` with the texts; returns the only result if the argument was a single text, not a list. */
export async function oneOrMany<Result>(
  input: OneOrMany,
  read: (texts: readonly TextOrIds[]) => Promise<Result[]>,
): Promise<Result | Result[]> {
  if (isMany(input)) return read(input);
  const [result] = await read([input]);
  return result!;
}

function isMany(input: OneOrMany): input is readonly TextOrIds[] {
  return Array.isArray(input) && typeof input[0] !== "number";
}
