/**
 * The suffix array of a token sequence: the start of every suffix, in the lexicographic order of the suffixes. Naively
 *
 *     Array.from(text.keys()).sort((a, b) => compareSuffixes(text, a, b))
 *
 * which takes n log n comparisons of up to n tokens. This is SA-IS (Nong, Zhang & Chan 2009, "Linear Suffix Array
 * Construction by Almost Pure Induced-Sorting"), which takes time linear in n:
 *
 * - A suffix is of type S if it is smaller than the one that starts a token later, else of type L. S suffixes whose left
 *   neighbour is L are called LMS; at most every second suffix is one.
 * - Once the LMS suffixes are in order, two scans over the array place all others: from left to right each L suffix, then from
 *   right to left each S suffix, next to the suffix that starts a token later.
 * - The same scans sort the LMS *substrings* (from one LMS position to the next). Their ranks, in text order, form a text of at
 *   most half the length. Its suffix array, found by recursion, is the order of the LMS suffixes.
 *
 * The recursion works inside the memory of the result. Besides the result it takes one byte for each token.
 *
 * @param text n tokens, each less than `alphabet`. The end of the text counts as smaller than any token.
 * @returns n positions.
 */
export function suffixArray(text: Uint16Array | Int32Array, alphabet: number): Int32Array {
  const result = new Int32Array(text.length);
  sortSuffixes(text, alphabet, result);
  return result;
}

type Text = Uint16Array | Int32Array;

/** Fills `sa`, which is as long as the text. */
function sortSuffixes(text: Text, alphabet: number, sa: Int32Array): void {
  const n = text.length;
  if (n < 2) return;
  const types = classify(text);
  const counts = countTokens(text, alphabet);
  const lmsCount = placeLms(text, types, counts, sa);
  induce(text, types, counts, sa);
  if (lmsCount > 1) {
    const ranks = rankLmsSubstrings(text, types, sa, lmsCount);
    orderLmsSuffixes(types, sa, lmsCount, ranks);
    spreadLms(text, counts, sa, lmsCount);
    induce(text, types, counts, sa);
  }
}

const L = 0;
const S = 1;
/** An S suffix whose left neighbour is L. */
const LMS = 2;

function classify(text: Text): Uint8Array {
  const types = new Uint8Array(text.length);
  for (let i = text.length - 2; i >= 0; i--) {
    const [a, b] = [text[i]!, text[i + 1]!];
    types[i] = a < b || (a === b && types[i + 1] !== L) ? S : L;
    if (types[i] === L && types[i + 1] === S) types[i + 1] = LMS;
  }
  return types;
}

function countTokens(text: Text, alphabet: number): Int32Array {
  const counts = new Int32Array(alphabet);
  for (let i = 0; i < text.length; i++) counts[text[i]!]!++;
  return counts;
}

/** The start of each token's bucket. */
function bucketStarts(counts: Int32Array): Int32Array {
  const starts = new Int32Array(counts.length);
  for (let c = 1; c < counts.length; c++) starts[c] = starts[c - 1]! + counts[c - 1]!;
  return starts;
}

/** The end of each token's bucket. */
function bucketEnds(counts: Int32Array): Int32Array {
  const ends = new Int32Array(counts.length);
  for (let c = 0, sum = 0; c < counts.length; c++) ends[c] = sum += counts[c]!;
  return ends;
}

const EMPTY = -1;

/** Puts the LMS positions, in text order, at the ends of their buckets, and leaves all else empty. */
function placeLms(text: Text, types: Uint8Array, counts: Int32Array, sa: Int32Array): number {
  const ends = bucketEnds(counts);
  let count = 0;
  sa.fill(EMPTY);
  for (let i = text.length - 1; i > 0; i--) {
    if (types[i] !== LMS) continue;
    sa[--ends[text[i]!]!] = i;
    count++;
  }
  return count;
}

/** Induces all positions from the LMS positions at the ends of their buckets. */
function induce(text: Text, types: Uint8Array, counts: Int32Array, sa: Int32Array): void {
  const n = text.length;
  const starts = bucketStarts(counts);
  // The end of the text, smaller than anything, follows the last token, which therefore comes first among the L suffixes.
  sa[starts[text[n - 1]!]!++] = n - 1;
  for (let i = 0; i < n; i++) {
    const left = sa[i]! - 1;
    if (left >= 0 && types[left] === L) sa[starts[text[left]!]!++] = left;
  }
  const ends = bucketEnds(counts);
  for (let i = n - 1; i >= 0; i--) {
    const left = sa[i]! - 1;
    if (left >= 0 && types[left] !== L) sa[--ends[text[left]!]!] = left;
  }
}

/**
 * Moves the LMS positions, which `sa` holds in the order of their substrings, to its front, and stores the rank of each
 * substring at `count + position / 2` (LMS positions are never neighbours).
 *
 * @returns the number of different substrings.
 */
function rankLmsSubstrings(text: Text, types: Uint8Array, sa: Int32Array, count: number): number {
  let m = 0;
  for (let i = 0; i < sa.length; i++) if (types[sa[i]!] === LMS) sa[m++] = sa[i]!;
  sa.fill(EMPTY, count);
  let ranks = 0;
  let previous = -1;
  for (let i = 0; i < count; i++) {
    const position = sa[i]!;
    if (previous < 0 || !sameLmsSubstring(text, types, previous, position)) ranks++;
    sa[count + (position >> 1)] = ranks - 1;
    previous = position;
  }
  return ranks;
}

function sameLmsSubstring(text: Text, types: Uint8Array, a: number, b: number): boolean {
  const n = text.length;
  for (let i = 0; ; i++) {
    if (a + i === n || b + i === n) return false;
    if (text[a + i] !== text[b + i]) return false;
    if (i === 0) continue;
    const [endA, endB] = [types[a + i] === LMS, types[b + i] === LMS];
    if (endA && endB) return true;
    if (endA !== endB) return false;
  }
}

/** Sorts the LMS positions by their suffixes, given the ranks of their substrings, at the front of `sa`. */
function orderLmsSuffixes(types: Uint8Array, sa: Int32Array, count: number, ranks: number): void {
  const n = sa.length;
  const reduced = sa.subarray(n - count);
  for (let i = n - 1, m = count; i >= count; i--) if (sa[i] !== EMPTY) reduced[--m] = sa[i]!;
  const order = sa.subarray(0, count);
  if (ranks < count) sortSuffixes(reduced, ranks, order);
  else for (let i = 0; i < count; i++) order[reduced[i]!] = i;
  // The reduced text is no longer needed: LMS positions in text order take its place.
  for (let i = n - 1, m = count; i > 0; i--) if (types[i] === LMS) reduced[--m] = i;
  for (let i = 0; i < count; i++) order[i] = reduced[order[i]!]!;
}

/** Spreads the sorted LMS positions from the front of `sa` to the ends of their buckets. */
function spreadLms(text: Text, counts: Int32Array, sa: Int32Array, count: number): void {
  const ends = bucketEnds(counts);
  sa.fill(EMPTY, count);
  for (let i = count - 1; i >= 0; i--) {
    const position = sa[i]!;
    sa[i] = EMPTY;
    sa[--ends[text[position]!]!] = position;
  }
}
