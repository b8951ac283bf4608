import type { Match, SuffixSearch } from "./search.js";

/** A run of a text's tokens, [start, end), that occurs in the corpus word for word. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly match: Match;
  /** Log-probability of its tokens, drawn independently by their frequency in the corpus: the lower, the rarer. */
  readonly logUnigram: number;
}

export interface SpanRules {
  /** Shortest span, in tokens. */
  readonly minTokens: number;
  /** Keep as many of the rarest spans as this share of the text's tokens, rounded up. Infinity keeps all. */
  readonly share: number;
  /** Whether a span may begin before this token, and another end there: at a word boundary. */
  readonly isEdge: (position: number) => boolean;
  /** Whether a token can only be a span's last: it contains a full stop or a line end. */
  readonly isStop: (token: number) => boolean;
  /** Log of a token's frequency in the corpus. */
  readonly logFrequency: (token: number) => number;
}

/**
 * The maximal spans of a text that occur in the corpus, rarest first (Liu et al. 2025, "OLMoTrace", section 3): spans of
 * whole words without an inner full stop or line end, none part of another. Only the rarest are kept. Naively all n² / 2 runs
 * of tokens are looked up; but a run occurs only if its beginnings do, so one search from each token where a span may begin
 * finds the longest.
 */
export function findSpans(search: SuffixSearch, tokens: ArrayLike<number>, rules: SpanRules): Span[] {
  const spans = maximal(candidates(search, tokens, rules));
  const kept = rules.share === Number.POSITIVE_INFINITY ? spans.length : Math.ceil(rules.share * tokens.length);
  return spans.sort((a, b) => a.logUnigram - b.logUnigram || a.start - b.start).slice(0, kept);
}

/** The longest span from each token on, ordered by start. */
function* candidates(search: SuffixSearch, tokens: ArrayLike<number>, rules: SpanRules): Generator<Span> {
  for (let start = 0; start < tokens.length; start++) {
    if (!rules.isEdge(start)) continue;
    const match = search.longest(tokens, start, sentenceEnd(tokens, start, rules) - start);
    let end = start + match.length;
    while (end > start && !rules.isEdge(end)) end--;
    if (end - start < Math.max(1, rules.minTokens)) continue;
    const exact = end - start === match.length ? match : search.find(tokens, start, end);
    let logUnigram = 0;
    for (let i = start; i < end; i++) logUnigram += rules.logFrequency(tokens[i]!);
    yield { start, end, match: exact, logUnigram };
  }
}

/** The index after the first token from `start` on that ends a sentence or line. */
function sentenceEnd(tokens: ArrayLike<number>, start: number, rules: SpanRules): number {
  for (let i = start; i < tokens.length; i++) if (rules.isStop(tokens[i]!)) return i + 1;
  return tokens.length;
}

/** Spans that are not part of another. They are ordered by start, so a span that ends no later than an earlier one is. */
function maximal(spans: Iterable<Span>): Span[] {
  const kept: Span[] = [];
  let end = 0;
  for (const span of spans) {
    if (span.end <= end) continue;
    kept.push(span);
    end = span.end;
  }
  return kept;
}
