import { UsageError } from "../../errors.js";
import { type ScoringWindow, scoringWindows } from "../../generate/score.js";
import type { UsedFile } from "../data/source.js";
import { bitsMetric, type Metric, perplexityMetric } from "../metrics/metric.js";
import { stretchOf } from "../overlap/words.js";
import { logLikelihoods, type RequestGenerator } from "../requests.js";
import { type Evaluation, evaluation, type Outcome, type TaskOption, type TaskSetup } from "../task.js";
import { type ScoredDocument, UnitMap, type Units } from "../text/scored-text.js";

/** Options of all language-modelling tasks. */
export const STRIDE_OPTION: TaskOption = {
  about: "tokens by which the window moves; context: the model's context, so that windows do not overlap",
  values: ["context"],
  integer: true,
};

export const WINDOW_OPTION: TaskOption = {
  about:
    "joined: every token is scored once, the first after <|endoftext|>, and windows that do not overlap share a token; " +
    "apart: as in transformers' perplexity guide, without <|endoftext|>; the first token of a text, and of each window " +
    "that does not overlap the one before, is not scored",
  values: ["joined", "apart"],
};

/** Consecutive windows of a document, one item: they score at most nCtx tokens. */
interface Segment {
  readonly document: number;
  readonly windows: readonly ScoringWindow[];
  /** Its position in bytes of the input. */
  readonly start: number;
  readonly end: number;
  readonly units: Units;
}

export interface RollingOutcome extends Outcome {
  readonly document: number;
  /** Scored tokens of the document: from, to (exclusive). */
  readonly from: number;
  readonly to: number;
  readonly tokens: number;
  readonly logprob: number;
  readonly words: number;
  readonly lineEnds: number;
  readonly bytes: number;
}

const logprob = (o: RollingOutcome): number => o.logprob;

/** The paper's units: original words, and the line ends that word-level models predict too. */
export const WORD_METRICS: readonly Metric<RollingOutcome>[] = [
  perplexityMetric("perplexity per word", logprob, (o) => o.words + o.lineEnds),
  perplexityMetric("perplexity per word, line ends not counted", logprob, (o) => o.words),
];
export const TOKEN_METRIC: Metric<RollingOutcome> = perplexityMetric("perplexity per token", logprob, (o) => o.tokens);
export const BYTE_METRIC: Metric<RollingOutcome> = bitsMetric("bits per byte", logprob, (o) => o.bytes);

export interface RollingParts {
  readonly documents: readonly ScoredDocument[];
  readonly metrics: readonly Metric<RollingOutcome>[];
  readonly files: readonly UsedFile[];
  readonly facts?: Readonly<Record<string, string | number>>;
}

/** Rolling log-likelihood of documents, each from its beginning. */
export function rollingEvaluation(setup: TaskSetup, { documents, metrics, files, facts }: RollingParts): Evaluation {
  const joined = setup.options.windows !== "apart";
  const tokens = documents.map((document) => encode(document, setup, joined));
  const bytesOf = lazily(documents, documentBytes);
  const segments = documents.flatMap((document, i) => documentSegments(document, i, tokens[i]!, setup));
  const sum = (key: keyof Units) => documents.flat().reduce((total, line) => total + line[key], 0);
  return evaluation<Segment, RollingOutcome>({
    items: segments,
    blockSize: blockSize(segments),
    run: (segment) => score(segment, tokens[segment.document]!),
    texts: ({ document, start, end }) => [stretchOf(bytesOf(document), start, end)],
    metrics,
    files,
    facts: {
      documents: documents.length,
      words: sum("words"),
      lineEnds: sum("lineEnds"),
      bytes: sum("bytes"),
      tokens: segments.reduce((total, { windows }) => total + scored(windows), 0),
      ...facts,
    },
  });
}

/** Input tokens of a block: enough for long runs, and a matter of seconds on a small machine. */
const BLOCK_TOKENS = 8192;
const MAX_BLOCK = 256;

function blockSize(segments: readonly Segment[]): number {
  const read = segments.flatMap(({ windows }) => windows).reduce((sum, { start, end }) => sum + end - start, 0);
  return Math.max(1, Math.min(MAX_BLOCK, Math.round((BLOCK_TOKENS * segments.length) / Math.max(1, read))));
}

/** The input of a document, as UTF-8. */
function documentBytes(document: ScoredDocument): Uint8Array {
  const encoder = new TextEncoder();
  const lines = document.map(({ text }) => (typeof text === "string" ? encoder.encode(text) : text));
  const bytes = new Uint8Array(lines.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const line of lines) {
    bytes.set(line, at);
    at += line.length;
  }
  return bytes;
}

/** Computes a value for an element on demand, and caches the last one. */
function lazily<T, R>(elements: readonly T[], make: (element: T) => R): (index: number) => R {
  let last: { readonly index: number; readonly made: R } | undefined;
  return (index) => {
    if (last?.index !== index) last = { index, made: make(elements[index]!) };
    return last.made;
  };
}

const scored = (windows: readonly ScoringWindow[]): number => windows.reduce((n, { from, end }) => n + end - from, 0);

function encode(document: ScoredDocument, { tokenizer, endOfText }: TaskSetup, joined: boolean): number[] {
  const [first] = document;
  const isBytes = typeof first?.text !== "string";
  const ids = isBytes
    ? document.flatMap(({ text }) => Array.from(tokenizer.encodeBytes(text as Uint8Array, { addSpecialTokens: false })))
    : Array.from(tokenizer.encode(document.map(({ text }) => text).join(""), { addSpecialTokens: false }));
  return joined ? [endOfText, ...ids] : ids;
}

function documentSegments(
  document: ScoredDocument,
  index: number,
  tokens: readonly number[],
  setup: TaskSetup,
): Segment[] {
  const { nCtx, options, tokenizer } = setup;
  const stride = options.stride === "context" ? nCtx : Number(options.stride);
  if (stride > nCtx) {
    throw new UsageError({ op: "stride", expected: `at most ${nCtx}, the model's context`, got: `${stride}` });
  }
  const joined = options.windows !== "apart";
  const windows = joined ? scoringWindows(tokens.length, 1, nCtx, stride) : windowsApart(tokens.length, nCtx, stride);
  const groups: ScoringWindow[][] = [];
  for (const window of windows) {
    const group = groups.at(-1);
    if (group && scored(group) + window.end - window.from <= nCtx) group.push(window);
    else groups.push([window]);
  }
  const bytes = new Map<number, number>();
  const lengthOf = (id: number) => {
    const known = bytes.get(id) ?? tokenizer.decodeBytes([id]).length;
    bytes.set(id, known);
    return known;
  };
  const map = new UnitMap(document);
  let [token, place] = [joined ? 1 : 0, 0];
  return groups.map((group) => {
    const start = place;
    // Tokens that are not scored count with those after them.
    for (; token < group.at(-1)!.end; token++) place += lengthOf(tokens[token]!);
    return { document: index, windows: group, start, end: place, units: map.between(start, place) };
  });
}

/** Windows of transformers' guide to perplexity: nCtx tokens each, `stride` apart, scoring the tokens new in each. */
export function* windowsApart(length: number, nCtx: number, stride: number): Generator<ScoringWindow, void, undefined> {
  let done = 0;
  for (let start = 0; done < length; start += stride) {
    const end = Math.min(start + nCtx, length);
    // The first token of a window has no context.
    const from = Math.max(done, start + 1);
    if (from < end) yield { start, from, end };
    done = end;
  }
}

function* score({ document, windows, units }: Segment, tokens: readonly number[]): RequestGenerator<RollingOutcome> {
  const answers = yield* logLikelihoods(
    windows.map(({ start, from, end }) => ({
      context: tokens.slice(start, from),
      continuation: tokens.slice(from, end),
    })),
  );
  return {
    document,
    from: windows[0]!.from,
    to: windows.at(-1)!.end,
    tokens: scored(windows),
    logprob: answers.reduce((sum, answer) => sum + answer.logprob, 0),
    ...units,
  };
}
