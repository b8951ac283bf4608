import type { ModelConfig } from "../architectures/config.js";
import { DataError, TokenizerError } from "../errors.js";
import type {
  GenerateUntilRequest,
  Generation,
  LogLikelihood,
  LogLikelihoodRequest,
  RunOptions,
} from "../generate/requests.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { DataSource, UsedFile } from "./data/source.js";
import { type MetricResult, measure } from "./metrics/metric.js";
import type { Answer, Request, RequestGenerator } from "./requests.js";
import { type Evaluation, formatTaskSpec, type Outcome, type TaskSpec } from "./task.js";

/** The methods of a model that evaluations need; {@link GPT2} has them. */
export interface EvaluatedModel {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  /** Id of the token before each text. */
  readonly endOfText: number | undefined;
  logLikelihoods(requests: readonly LogLikelihoodRequest[], options?: RunOptions): Promise<LogLikelihood[]>;
  generateUntil(requests: readonly GenerateUntilRequest[], options?: RunOptions): Promise<Generation[]>;
}

/** Stores outcomes, so that a stopped run can be resumed. */
export interface Journal {
  /** Outcomes of the first items, from an earlier run. */
  readonly outcomes: readonly Outcome[];
  /** Stores the next outcomes. */
  add(outcomes: readonly Outcome[]): Promise<void>;
}

/** Identity of a run: its journal fits no other. */
export interface RunIdentity {
  readonly spec: string;
  readonly version: number;
  readonly items: number;
  readonly files: readonly UsedFile[];
}

export interface TaskRunOptions {
  readonly source: DataSource;
  /** Only the first items. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of items done, and in all. */
  readonly onProgress?: ((done: number, items: number) => void) | undefined;
  readonly journal?: ((identity: RunIdentity) => Promise<Journal>) | undefined;
}

export interface TaskResult {
  readonly task: string;
  readonly version: number;
  readonly options: Readonly<Record<string, string>>;
  /** Task and options, as {@link parseTaskSpec} reads them. */
  readonly spec: string;
  /** Number of evaluated items, and of all. */
  readonly items: number;
  readonly ofItems: number;
  readonly files: readonly UsedFile[];
  readonly facts: Readonly<Record<string, string | number>>;
  readonly metrics: readonly MetricResult[];
  readonly outcomes: readonly Outcome[];
  /** Duration of this run. */
  readonly seconds: number;
  /** The part of it spent on reading and tokenizing the data. */
  readonly secondsPreparing: number;
}

/** Seed of every metric's bootstrap. */
export const BOOTSTRAP_SEED = 1;

/**
 * Evaluates a model on a task.
 *
 * @throws {DataError} the data is missing or malformed.
 * @throws {TokenizerError} the model has no tokenizer, or none with `<|endoftext|>`.
 */
export async function runTask(
  model: EvaluatedModel,
  spec: TaskSpec,
  { source, limit, signal, onProgress, journal }: TaskRunOptions,
): Promise<TaskResult> {
  const started = performance.now();
  const evaluation = await prepareTask(model, spec, source);
  const prepared = performance.now();
  const items = Math.min(limit ?? evaluation.items, evaluation.items);
  const files = evaluation.files.map(({ path, sha256 }) => ({ path, sha256 }));
  const identity = { spec: formatTaskSpec(spec), version: spec.task.version, items, files };
  const kept = await journal?.(identity);
  const outcomes: Outcome[] = [...(kept?.outcomes ?? [])];
  onProgress?.(outcomes.length, items);
  while (outcomes.length < items) {
    signal?.throwIfAborted();
    const end = Math.min(items, outcomes.length + evaluation.blockSize);
    const block = await runBlock(model, evaluation, outcomes.length, end, signal);
    await kept?.add(block);
    outcomes.push(...block);
    onProgress?.(outcomes.length, items);
  }
  return {
    task: spec.task.name,
    version: spec.task.version,
    options: spec.options,
    spec: identity.spec,
    items,
    ofItems: evaluation.items,
    files,
    facts: evaluation.facts,
    metrics: evaluation.metrics.map((metric) => measure(metric, outcomes, { seed: BOOTSTRAP_SEED })),
    outcomes,
    seconds: (performance.now() - started) / 1000,
    secondsPreparing: (prepared - started) / 1000,
  };
}

/**
 * Prepares an evaluation's items and metrics for a model: items depend on its tokenizer and context.
 *
 * @throws {DataError} the data is missing or malformed.
 * @throws {TokenizerError} the model has no tokenizer, or none with `<|endoftext|>`.
 */
export async function prepareTask(
  model: Pick<EvaluatedModel, "tokenizer" | "endOfText" | "config">,
  spec: TaskSpec,
  source: DataSource,
): Promise<Evaluation> {
  const { task, options } = spec;
  const { tokenizer, endOfText, config } = model;
  if (!tokenizer || endOfText === undefined) {
    const got = tokenizer ? "one without <|endoftext|>" : "none";
    throw new TokenizerError({ op: `evaluating on ${task.name}`, expected: "a model with a tokenizer", got });
  }
  const evaluation = await task.prepare({ source, tokenizer, endOfText, nCtx: config.nCtx, options });
  if (evaluation.items > 0) return evaluation;
  const paths = evaluation.files.map(({ path }) => path).join(", ");
  throw new DataError({ op: `evaluating on ${formatTaskSpec(spec)}`, expected: `items in ${paths}`, got: "none" });
}

/** An item in progress, and the requests it waits for. */
interface Waiting {
  readonly item: number;
  readonly generator: RequestGenerator<Outcome>;
  readonly requests: readonly Request[];
}

/** Advances items in lockstep: the requests of a round are answered together. */
async function runBlock(
  model: EvaluatedModel,
  evaluation: Evaluation,
  from: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(end - from);
  let waiting: Waiting[] = [];
  const proceed = (item: number, generator: RequestGenerator<Outcome>, answers: readonly Answer[]) => {
    const { done, value } = generator.next(answers);
    if (done) outcomes[item - from] = value;
    else waiting.push({ item, generator, requests: value });
  };
  for (let item = from; item < end; item++) proceed(item, evaluation.run(item), []);
  while (waiting.length > 0) {
    const round = waiting;
    waiting = [];
    const answers = await answer(
      model,
      round.flatMap(({ requests }) => requests),
      signal,
    );
    for (const { item, generator, requests } of round) proceed(item, generator, answers.splice(0, requests.length));
  }
  return outcomes;
}

/** Answers requests of both kinds, in order. */
async function answer(
  model: EvaluatedModel,
  requests: readonly Request[],
  signal: AbortSignal | undefined,
): Promise<Answer[]> {
  const likelihoods = requests.filter((request) => request.kind === "loglikelihood");
  const texts = requests.filter((request) => request.kind === "generate");
  const scored = likelihoods.length > 0 ? await model.logLikelihoods(likelihoods, { signal }) : [];
  const written = texts.length > 0 ? await model.generateUntil(texts, { signal }) : [];
  return requests.map(({ kind }) => (kind === "loglikelihood" ? scored.shift()! : written.shift()!));
}
