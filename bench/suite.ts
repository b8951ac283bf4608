/**
 * Runs a suite, the cases that the same processes can do: starts the processes, checks that all compute the same, and
 * measures.
 */
import { checkTask, disagreement, expectedOf } from "./agreement.js";
import { type Case, grouped } from "./cases.js";
import { type Contender, takesPart } from "./contenders.js";
import type { MachineLimits } from "./limits.js";
import { type CaseResult, measureCase, type Runner } from "./measure.js";
import { type Options, SEED } from "./options.js";
import type { Outcome, Result, Setup, Task } from "./protocol.js";
import { type Command, WorkerProcess } from "./worker-process.js";

const ADAMW = { lr: 3e-4, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 };

/** A contender that took part. */
export interface Entrant {
  readonly name: string;
  readonly ours: boolean;
  readonly description: string;
  /** The peak memory of its process. */
  readonly peakBytes?: number | undefined;
}

/** Results of one set of processes. */
export interface SuiteResult {
  readonly results: readonly CaseResult[];
  readonly entrants: readonly Entrant[];
  /** Contenders that did not take part, with the reasons. */
  readonly notes: readonly string[];
  /** Whether this package is among them. */
  readonly oursFailed: boolean;
}

/** Suites by group, type and runtime; a training case is its own suite, because of its memory. */
export function suites(cases: readonly Case[]): Case[][] {
  const key = (c: Case) => (c.task.kind === "train" ? c.name : `${c.group} ${c.type} ${c.runtime}`);
  return [...grouped(cases, key).values()];
}

/** A contender that is ready. */
interface Running {
  readonly contender: Contender;
  request(task: Task): Promise<Outcome>;
  stop(): void;
  readonly description: string;
  readonly peakBytes?: number | undefined;
}

export class Suite {
  readonly #cases: readonly Case[];
  readonly #gauge: MachineLimits | undefined;
  readonly #options: Options;
  readonly #log: (line: string) => void;
  readonly #notes: string[] = [];
  #oursFailed = false;
  #running: Running[] = [];

  /** @param cases one of {@link suites} */
  constructor(cases: readonly Case[], gauge: MachineLimits | undefined, options: Options, log: (line: string) => void) {
    this.#cases = cases;
    this.#gauge = gauge;
    this.#options = options;
    this.#log = log;
  }

  async run(): Promise<SuiteResult> {
    const [first] = this.#cases as [Case];
    try {
      for (const contender of this.#options.contenders.filter((c) => takesPart(c, first))) {
        await this.#start(contender, first);
      }
      await this.#dropThoseWhoDisagree(first);
      const results: CaseResult[] = [];
      for (const c of this.#cases) results.push(await this.#measure(c));
      const entrants = this.#running.map(({ contender: { name, ours = false }, description, peakBytes }) => ({
        name,
        ours,
        description,
        peakBytes,
      }));
      return { results, entrants, notes: this.#notes, oursFailed: this.#oursFailed };
    } finally {
      for (const { stop } of this.#running) stop();
    }
  }

  async #start(contender: Contender, c: Case): Promise<void> {
    try {
      this.#log(`starting ${contender.name}`);
      const running = await start(contender, c, this.#options);
      this.#log(`  ${running.description}`);
      const complaint = contender.complaint?.(running.description);
      this.#running.push(running);
      if (complaint !== undefined) this.#drop(running, complaint);
    } catch (error) {
      this.#note(contender, `took no part: ${gist((error as Error).message)}`);
    }
  }

  /** Stops and reports contenders that compute something else, or nothing. */
  async #dropThoseWhoDisagree(c: Case): Promise<void> {
    const { config } = this.#options;
    const task = checkTask(config, SEED, c.task);
    let expected = expectedOf(config, SEED, c.task);
    let first: Result | undefined;
    for (const running of [...this.#running]) {
      if (running.contender.prints) continue;
      try {
        const { result } = await running.request(task);
        expected ??= result;
        const wrong = disagreement(result, expected, c.type) ?? (first && disagreement(result, first, c.type));
        if (wrong !== undefined) this.#drop(running, `it computes something else: ${wrong}`);
        else first ??= result;
      } catch (error) {
        this.#drop(running, `it failed: ${gist((error as Error).message)}`);
      }
    }
  }

  async #measure(c: Case): Promise<CaseResult> {
    const { repeats, retries } = this.#options;
    const runners = this.#running.map(({ contender: { name }, request }): Runner => ({ name, request }));
    const missing = await this.#gauge?.missing(c.limit.kind);
    if (missing !== undefined) this.#log(`${c.name}: no limit, because ${missing}`);
    return measureCase(c, runners, {
      repeats,
      retries,
      warmUp: c.task.kind !== "train", // trainers have done two steps of the same task in the check
      gauge: missing === undefined ? this.#gauge : undefined,
      log: this.#log,
      onFailure: (name, error) => {
        const running = this.#running.find(({ contender }) => contender.name === name)!;
        this.#drop(running, `it failed: ${gist(error.message)}`);
      },
    });
  }

  #drop(running: Running, why: string): void {
    this.#note(running.contender, `was left out because ${why}`);
    running.stop();
    this.#running = this.#running.filter((other) => other !== running);
  }

  #note({ name, ours }: Contender, text: string): void {
    this.#notes.push(`${name} ${text}`);
    this.#log(this.#notes.at(-1)!);
    if (ours) this.#oursFailed = true;
  }
}

/** The most informative line of a failed program's output. */
function gist(text: string): string {
  const lines = text.split("\n");
  return lines.findLast((line) => /^\S*Error\b/.test(line)) ?? lines.at(-1)!;
}

/** @throws {Error} it is not installed (with the remedy), or it failed (with its output). */
async function start(contender: Contender, c: Case, { config, threads, cache }: Options): Promise<Running> {
  const missing = await contender.missing?.();
  if (missing !== undefined) throw new Error(missing);
  const program = await contender.build?.(cache);
  const setup: Setup = {
    kind: c.task.kind,
    config,
    seed: SEED,
    type: c.type,
    threads,
    adamw: ADAMW,
    ...(program !== undefined && { program }),
  };
  const file = await contender.prepare?.(setup, cache);
  const command = contender.command(file === undefined ? setup : { ...setup, file });
  // Set here whatever the caller's shell says, where it may have another purpose.
  const complete = { ...command, env: { OMP_NUM_THREADS: `${threads}`, ...command.env } };
  return c.fresh ? startAnew(contender, complete) : keepRunning(contender, complete);
}

async function keepRunning(contender: Contender, command: Command): Promise<Running> {
  const worker = await WorkerProcess.start(command);
  return {
    contender,
    description: worker.description,
    request: (task) => worker.request(task),
    stop: () => worker.stop(),
    get peakBytes() {
      return contender.elsewhere ? undefined : worker.peakBytes;
    },
  };
}

/** A process for every run. The first run shows that it works, and gives its description. */
async function startAnew(contender: Contender, command: Command): Promise<Running> {
  const common = { contender, stop: () => {} };
  if (contender.prints) {
    const result = { ids: [], seconds: [] };
    const request = async () => ({ result, secondsSinceStart: await WorkerProcess.firstOutput(command) });
    await request();
    return { ...common, description: "the command line, prompt and all", request };
  }
  const { description } = await WorkerProcess.once(command, { kind: "generate", prompt: [0], count: 0 });
  return { ...common, description, request: (task) => WorkerProcess.once(command, task) };
}
