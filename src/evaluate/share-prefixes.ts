import { commonPrefix } from "./lanes.js";

/** Something that reads tokens. */
export interface Reader {
  readonly tokens: readonly number[];
}

/** Below this part of its tokens in common with the one before, a reader may as well start afresh elsewhere. */
const WORTH_SHARING = 1 / 4;
/** Tokens that one run of the engine does about as fast as a single one. */
const SMALL = 64;

/**
 * Puts readers into lists to be read one after another from one cache, so that beginnings in common are read once: the
 * four endings of a context, the ten candidates of a sentence. Lists are independent of each other; a family that is long
 * beside its common beginning is cut into several, so that there is enough to do side by side.
 */
export function sharePrefixes<R extends Reader>(readers: readonly R[]): R[][] {
  const sorted = [...readers].sort((a, b) => compareTokens(a.tokens, b.tokens));
  const lists: { readonly readers: R[]; work: number }[] = [];
  for (const reader of sorted) {
    const { length } = reader.tokens;
    const list = lists.at(-1);
    const before = list?.readers.at(-1);
    const shared = before ? commonPrefix(before.tokens, reader.tokens) : 0;
    const first = list?.readers[0]?.tokens.length ?? 0;
    const cut = list !== undefined && list.work - first > Math.max(SMALL, 2 * shared);
    if (list && shared > WORTH_SHARING * length && !cut) {
      list.readers.push(reader);
      list.work += length - shared;
    } else {
      lists.push({ readers: [reader], work: length });
    }
  }
  // The longest first: what is left for the end is short, and all finish together.
  return lists.sort((a, b) => b.work - a.work).map(({ readers }) => readers);
}

/** Lexicographic: what shares a beginning comes to stand together. */
function compareTokens(a: readonly number[], b: readonly number[]): number {
  const n = commonPrefix(a, b);
  return n < a.length && n < b.length ? a[n]! - b[n]! : a.length - b.length;
}

/** The beginning that all readers have in common. */
export function sharedByAll(readers: readonly Reader[]): readonly number[] {
  let shared = readers[0]?.tokens ?? [];
  for (const { tokens } of readers) shared = shared.slice(0, commonPrefix(shared, tokens));
  return shared;
}
