import { UsageError } from "../../errors.js";
import type { Engine, LogitsRow, Sequence } from "../../generate/engine.js";
import { expOfNegative } from "../../generate/exp.js";
import { largestOf, logSumExp, notFinite } from "../../generate/log-sum-exp.js";
import { scoringWindows } from "../../generate/score.js";
import type { LoadedAdapter } from "../../pretrained/loaded-adapter.js";

/** Statistics of T tokens of a text under a model, one of each kind for every token. */
export interface TokenStatistics {
  /** ln p(x_t | x_<t). */
  readonly logprobs: Float64Array;
  /** 1 for the likeliest token. */
  readonly ranks: Int32Array;
  /** Mean of ln p over the model's own next token: the negative entropy of its prediction, in nats. */
  readonly means: Float64Array;
  /** Variance of ln p over the model's own next token. */
  readonly variances: Float64Array;
  /**
   * T + 1 cross-entropies of this model's predictions under an observer's, in nats, the last for the prediction after the text.
   * Empty without an observer.
   */
  readonly crossEntropies: Float64Array;
}

export interface StatisticsSettings {
  /** Tokens by which the window moves over a text longer than the context. */
  readonly stride: number;
  readonly adapter?: LoadedAdapter | undefined;
  /** A second model over the same vocabulary. */
  readonly observer?: { readonly engine: Engine; readonly adapter?: LoadedAdapter | undefined } | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((tokens: number) => void) | undefined;
}

/** Most logits of the observer to keep at once: 16 MiB of floats. */
const KEPT_LOGITS = 2 ** 22;

/**
 * Computes statistics of tokens [from, length) of a text, each given the tokens before it. Rows of logits are reduced as the
 * engine produces them, so memory does not grow with the text. An observer's logits are kept for one piece at a time, until
 * the model has read it too.
 *
 * @param from at least 1: the first token follows nothing.
 * @throws {UsageError} the observer has another vocabulary.
 */
export async function tokenStatistics(
  engine: Engine,
  tokens: readonly number[],
  from: number,
  settings: StatisticsSettings,
): Promise<TokenStatistics> {
  const count = tokens.length - from;
  const { observer } = settings;
  const statistics: TokenStatistics = {
    logprobs: new Float64Array(count),
    ranks: new Int32Array(count),
    means: new Float64Array(count),
    variances: new Float64Array(count),
    crossEntropies: new Float64Array(observer ? count + 1 : 0),
  };
  const onRow = (row: LogitsRow, place: number): void => {
    if (place < count) reduceRow(row, tokens[from + place]!, statistics, place);
  };
  if (observer) await readWithObserver(engine, observer, tokens, from, settings, onRow, statistics.crossEntropies);
  else await readAlone(engine, tokens, from, settings, onRow);
  return statistics;
}

type OnRow = (row: LogitsRow, place: number) => void;

async function readAlone(
  engine: Engine,
  tokens: readonly number[],
  from: number,
  { stride, adapter, signal, onProgress }: StatisticsSettings,
  onRow: OnRow,
): Promise<void> {
  const sequence = engine.sequence(adapter);
  try {
    for (const window of scoringWindows(tokens.length, from, engine.config.nCtx, stride)) {
      sequence.truncate(0);
      const read = tokens.slice(window.start, window.end - 1);
      const toPlace = window.start + 1 - from;
      const extension = { sequence, tokens: read, logits: window.end - window.from };
      await engine.extend([extension], (row, _, token) => onRow(row, toPlace + token), signal);
      onProgress?.(window.end - from);
    }
  } finally {
    sequence.release();
  }
}

/** Lets both models read the same windows, piece by piece. */
async function readWithObserver(
  engine: Engine,
  observer: NonNullable<StatisticsSettings["observer"]>,
  tokens: readonly number[],
  from: number,
  { stride, adapter, signal, onProgress }: StatisticsSettings,
  onRow: OnRow,
  crossEntropies: Float64Array,
): Promise<void> {
  const V = engine.config.vocabSize;
  checkVocabulary(V, observer.engine.config.vocabSize);
  const nCtx = Math.min(engine.config.nCtx, observer.engine.config.nCtx);
  const pieceSize = Math.max(1, Math.min(engine.maxTokens, Math.floor(KEPT_LOGITS / V)));
  const kept = new Float64Array(pieceSize * V);
  const [own, other] = [engine.sequence(adapter), observer.engine.sequence(observer.adapter)];
  try {
    // One more prediction than tokens: the one after the text.
    for (const window of scoringWindows(tokens.length + 1, from, nCtx, Math.min(stride, nCtx))) {
      own.truncate(0);
      other.truncate(0);
      const firstRow = window.from - 1;
      await readPrefix([own, other], tokens.slice(window.start, firstRow), signal);
      for (let at = firstRow; at < window.end - 1; at += pieceSize) {
        const piece = tokens.slice(at, Math.min(at + pieceSize, window.end - 1));
        const extend = (sequence: Sequence, use: (row: LogitsRow, token: number) => void) =>
          sequence.engine.extend(
            [{ sequence, tokens: piece, logits: piece.length }],
            (row, _, token) => use(row, token),
            signal,
          );
        await extend(other, (row, token) => kept.set(row, token * V));
        await extend(own, (row, token) => {
          const place = at + 1 - from + token;
          crossEntropies[place] = crossEntropy(kept.subarray(token * V, (token + 1) * V), row);
          onRow(row, place);
        });
      }
      onProgress?.(Math.min(window.end, tokens.length) - from);
    }
  } finally {
    own.release();
    other.release();
  }
}

async function readPrefix(
  sequences: readonly Sequence[],
  tokens: readonly number[],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (tokens.length === 0) return;
  for (const sequence of sequences) await sequence.engine.extend([{ sequence, tokens, logits: 0 }], undefined, signal);
}

/** Fills index `place` from the logits before the token `target`. */
function reduceRow(row: LogitsRow, target: number, out: TokenStatistics, place: number): void {
  const max = largestOf(row);
  const own = row[target]!;
  // Σ e^x, Σ e^x x and Σ e^x x², where x = logit - max.
  let [sum, first, second, rank] = [0, 0, 0, 1];
  for (let i = 0; i < row.length; i++) {
    const logit = row[i]!;
    if (logit > own || (logit === own && i < target)) rank++;
    const x = logit - max;
    const e = expOfNegative(x);
    if (e === 0) continue;
    sum += e;
    first += e * x;
    second += e * x * x;
  }
  if (!(sum > 0)) throw notFinite("statistics of a token", max);
  const mean = first / sum;
  out.logprobs[place] = own - max - Math.log(sum);
  out.ranks[place] = rank;
  out.means[place] = mean - Math.log(sum);
  out.variances[place] = Math.max(0, second / sum - mean * mean);
}

/** -Σ p ln q, with p = softmax(observer) and q = softmax(performer). */
function crossEntropy(observer: LogitsRow, performer: LogitsRow): number {
  const max = largestOf(observer);
  let [sum, expected] = [0, 0];
  for (let i = 0; i < observer.length; i++) {
    const e = expOfNegative(observer[i]! - max);
    if (e === 0) continue;
    sum += e;
    expected += e * performer[i]!;
  }
  if (!(sum > 0)) throw notFinite("statistics of a token: observer", max);
  return logSumExp(performer) - expected / sum;
}

function checkVocabulary(own: number, other: number): void {
  if (own === other) return;
  throw new UsageError({ op: "detecting: observer", expected: `a model of ${own} tokens`, got: `${other}` });
}
