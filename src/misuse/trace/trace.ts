import { UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import { SuffixSearch } from "./search.js";
import { findSpans, type Span } from "./spans.js";
import type { IndexedDocument, TokenIndex } from "./token-index.js";
import { TokenText } from "./token-text.js";

export interface TraceOptions {
  /** Shortest span, in tokens. Default 5. */
  readonly minTokens?: number | undefined;
  /** Keep as many of the rarest spans as this share of the text's tokens: above 0, at most 1. Default 0.05. */
  readonly share?: number | undefined;
  /** Number of places to list for each span. Default 10. */
  readonly places?: number | undefined;
}

/** An occurrence of a span in the corpus. */
export interface Place {
  readonly document: IndexedDocument;
  /** Number of the document's tokens before it. */
  readonly offset: number;
  /** The document's text around it. */
  readonly before: string;
  readonly after: string;
}

/** A run of a text's words that occurs in the corpus word for word. */
export interface TracedSpan {
  /** Tokens [start, end) of the text. */
  readonly tokens: readonly [start: number, end: number];
  /** UTF-16 units [start, end) of the text. */
  readonly characters: readonly [start: number, end: number];
  readonly text: string;
  /** Number of occurrences in the corpus. */
  readonly count: number;
  /** Natural log-probability as a product of token frequencies: the lower, the rarer. */
  readonly logUnigram: number;
  /** The first occurrences, in corpus order. */
  readonly places: readonly Place[];
}

export interface Trace {
  readonly text: string;
  readonly tokens: readonly number[];
  /** Spans, rarest first. */
  readonly spans: readonly TracedSpan[];
  /** Share of the text's tokens that lie in a span. */
  readonly covered: number;
}

/** Tokens of context shown on either side of a place. */
const CONTEXT = 24;
/** Most ranks to search for a span's first places in corpus order. */
const MAX_SORTED = 10_000;

/**
 * Finds the spans of a text that occur in the indexed corpus word for word (Liu et al. 2025, "OLMoTrace"): maximal runs of
 * whole words without an inner full stop or line end, the rarest first.
 *
 *     const index = await TokenIndex.open("corpus.index");
 *     for (const { text, count, places } of traceText(index, "…").spans) console.log(count, text, places[0]);
 *
 * @throws {UsageError} an option out of range.
 */
export function traceText(index: TokenIndex, text: string, options: TraceOptions = {}): Trace {
  checkOptionNames("tracing", options, { minTokens: true, share: true, places: true });
  const { minTokens = 5, share = 0.05, places = 10 } = options;
  if (!(Number.isInteger(minTokens) && minTokens >= 1)) throw wrong("minTokens", "a positive integer", minTokens);
  if (!(share > 0 && share <= 1)) throw wrong("share", "a number above 0, at most 1", share);
  if (!(Number.isInteger(places) && places >= 0)) throw wrong("places", "an integer of at least 0", places);
  const ids = Array.from(index.tokenizer.encode(text));
  const search = new SuffixSearch(index);
  const pieces = new TokenText(index.tokenizer, ids);
  const spans = findSpans(search, ids, {
    minTokens,
    share: share === 1 ? Number.POSITIVE_INFINITY : share,
    isEdge: (position) => pieces.isEdge(position),
    isStop: (token) => /[.!?\n]/.test(index.tokenizer.decode([token])),
    logFrequency: tokenFrequencies(search),
  });
  const covered = new Uint8Array(ids.length);
  for (const { start, end } of spans) covered.fill(1, start, end);
  return {
    text,
    tokens: ids,
    spans: spans.map((span) => traced(index, text, pieces, span, places)),
    covered: ids.length === 0 ? 0 : covered.reduce((sum, x) => sum + x, 0) / ids.length,
  };
}

function wrong(name: string, expected: string, got: number): UsageError {
  return new UsageError({ op: `tracing: ${name}`, expected, got: String(got) });
}

/** Log frequencies of tokens, each searched for once. A token that is not in the corpus counts as one occurrence. */
export function tokenFrequencies(search: SuffixSearch): (token: number) => number {
  const known = new Map<number, number>();
  return (token) => {
    let value = known.get(token);
    if (value === undefined) {
      const { from, to } = search.find([token], 0, 1);
      value = Math.log(Math.max(1, to - from) / search.index.length);
      known.set(token, value);
    }
    return value;
  };
}

function traced(index: TokenIndex, text: string, pieces: TokenText, span: Span, places: number): TracedSpan {
  const { start, end, match, logUnigram } = span;
  const characters = [pieces.characterAt(start), pieces.characterAt(end)] as const;
  return {
    tokens: [start, end],
    characters,
    text: text.slice(...characters),
    count: match.to - match.from,
    logUnigram,
    places: firstPlaces(index, span, places),
  };
}

/** The first places in corpus order; the suffix array orders them by the text that follows. */
function firstPlaces(index: TokenIndex, { match, start, end }: Span, count: number): Place[] {
  const ranks = Math.min(match.to - match.from, Math.max(count, MAX_SORTED));
  const positions = Array.from({ length: ranks }, (_, i) => index.suffix(match.from + i));
  return positions
    .sort((a, b) => a - b)
    .slice(0, count)
    .map((position) => {
      const document = index.documentAt(position);
      const after = position + end - start;
      return {
        document,
        offset: position - document.start,
        before: index.text(Math.max(document.start, position - CONTEXT), position),
        after: index.text(after, Math.min(document.end, after + CONTEXT)),
      };
    });
}
