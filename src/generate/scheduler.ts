import { DisposedError, UsageError } from "../errors.js";
import { yieldToEventLoop } from "../util/event-loop.js";
import { checkOptionNames } from "../util/nearest.js";
import { AbortWatch } from "./abort-watch.js";
import type { RunPath } from "./chunks.js";
import { CostModel, type RunSize } from "./cost-model.js";
import type { Engine, RowReader } from "./engine.js";
import type { Job } from "./job.js";
import { commonPrefix } from "./prefix-index.js";
import { slotCapacity } from "./slot-capacity.js";
import { type Reuse, Slots } from "./slots.js";
import { type Part, Task } from "./task.js";

export interface SchedulerOptions {
  /** Most sequences computed together. Default: 32, or as many as 2 GiB of keys and values hold. */
  readonly slots?: number | undefined;
  /** Milliseconds that a step in which others generate tokens may take with prompts. Default 40. */
  readonly promptBudget?: number | undefined;
  /** Keep prompts in the cache for later jobs with the same prefix. Default true. Turn it off if weights change. */
  readonly prefixCache?: boolean | undefined;
  /** Allocate all slots at the start, and use all of them for prefixes. Default false: grow as needed. */
  readonly reserve?: boolean | undefined;
}

/** More would be only slower, and their keys and values hardly ever fit. */
const MOST_SLOTS = 4096;

/** @throws {UsageError} an option is out of range, or is none. */
export function checkScheduling(options: SchedulerOptions): void {
  checkOptionNames("scheduling", options, { slots: true, promptBudget: true, prefixCache: true, reserve: true });
  const { slots = 1, promptBudget = 0 } = options;
  if (!(Number.isInteger(slots) && slots >= 1 && slots <= MOST_SLOTS)) {
    throw new UsageError({ op: "slots", expected: `an integer from 1 to ${MOST_SLOTS}`, got: String(slots) });
  }
  if (promptBudget >= 0) return;
  throw new UsageError({ op: "promptBudget", expected: "0 or more milliseconds", got: String(promptBudget) });
}

/** Counters since the start, and the current state. */
export interface SchedulerStatus {
  readonly slots: number;
  readonly running: number;
  readonly waiting: number;
  readonly waitingTokens: number;
  readonly steps: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly generatedTokens: number;
}

/** Prompt tokens that every step may take beside others, whatever the budget, so that prompts make progress. */
export const LEAST_PROMPT = 8;
/** Runs before the first job. */
const TRIALS: readonly (readonly [path: RunPath, tokens: number])[] = [
  ["streamed", 1],
  ["streamed", 1],
  ["streamed", 8],
  ["packed", 16],
  ["packed", 16],
  ["packed", 96],
];
/** Milliseconds for which steps may block the event loop. */
const BREATH = 3;
/** Least length of a common prefix being computed that is worth waiting for. */
const WORTH_WAITING = 32;

/**
 * Runs any number of jobs together on one engine. Naively, one job after the other:
 *
 *     for (const job of jobs) {
 *       compute the tokens of job's prompt;
 *       while (it continues) sample a token, and compute it;
 *     }
 *
 * Each token then takes a run that reads all weights, other jobs wait for the end, and common prefixes are computed for each
 * job. Here jobs advance in steps, whose runs read the weights once for all of them: each step computes a token (and its
 * draft) of every sequence being generated, then as many prompt tokens as the time budget allows, so a long prompt does not
 * hold up the others. Cached prefixes are copied, not computed, and a job whose prefix is being computed waits for it. Jobs
 * start in order of priority and arrival; among those that came during one step, the longest cached prefix goes first. A
 * job's results are the same as in the naive way, to the bit, whatever runs beside it.
 */
export class Scheduler {
  readonly engine: Engine;
  readonly #slots: Slots;
  readonly #capacity: number;
  readonly #options: { readonly promptBudget: number; readonly prefixCache: boolean; readonly reserve: boolean };
  readonly #costs: Readonly<Record<RunPath, CostModel>> = { streamed: new CostModel(), packed: new CostModel() };
  readonly #aborts = new AbortWatch();
  #waiting: Task[] = [];
  #running: Task[] = [];
  #loop: Promise<void> | undefined;
  #active = false;
  #disposed = false;
  #breathed = 0;
  #steps = 0;
  #promptTokens = 0;
  #cachedTokens = 0;
  #generatedTokens = 0;

  /** @throws {UsageError} an option is out of range. */
  constructor(engine: Engine, options: SchedulerOptions = {}) {
    checkScheduling(options);
    const { slots = slotCapacity(engine), promptBudget = 40, prefixCache = true, reserve = false } = options;
    this.engine = engine;
    this.#capacity = slots;
    this.#options = { promptBudget, prefixCache, reserve };
    this.#slots = new Slots(engine, { capacity: slots, prefixCache, eager: reserve });
  }

  get status(): SchedulerStatus {
    return {
      slots: this.#capacity,
      running: this.#running.filter(({ ended }) => !ended).length,
      waiting: this.#waiting.length,
      waitingTokens: this.#waiting.reduce((sum, { job }) => sum + job.tokens.length, 0),
      steps: this.#steps,
      promptTokens: this.#promptTokens,
      cachedTokens: this.#cachedTokens,
      generatedTokens: this.#generatedTokens,
    };
  }

  /** The state of each slot of the cache, in numbers only. */
  get slots(): { readonly id: number; readonly busy: boolean; readonly tokens: number; readonly shared: number }[] {
    return this.#slots.all.map(({ id, inUse, tokens, shareable }) => {
      return { id, busy: inUse, tokens: tokens.length, shared: shareable };
    });
  }

  /**
   * Resolves when the job is done.
   *
   * @throws {UsageError} no tokens, more than the context, or ids outside the vocabulary; the signal's reason when aborted.
   */
  async submit(job: Job): Promise<void> {
    if (this.#disposed) throw new DisposedError("running the model", "model");
    this.#check(job);
    job.signal?.throwIfAborted();
    const task = new Task(job, this.#steps, this.#options.prefixCache);
    this.#waiting.push(task);
    const abort = (): void => {
      task.fail(job.signal!.reason);
      this.#waiting = this.#waiting.filter((other) => other !== task);
      // The slot is free for another job.
      this.wake();
    };
    const unwatch = job.signal && this.#aborts.add(job.signal, abort);
    this.wake();
    await task.done.finally(unwatch);
  }

  /** Resumes jobs that were not ready. */
  wake(): void {
    if (this.#active) return;
    this.#active = true;
    this.#loop = this.#run();
  }

  /** Allocates all slots and makes trial runs, so that the first jobs start at once and what runs cost is known. */
  async warm(): Promise<void> {
    await this.engine.reserve(this.#capacity);
    const sequence = this.engine.sequence();
    const prepared = new Set<RunPath>();
    try {
      for (const [path, count] of TRIALS) {
        const tokens = new Array<number>(Math.min(count, this.engine.config.nCtx)).fill(0);
        const start = performance.now();
        await this.engine.extend([{ sequence, tokens, path }]);
        const size = { tokens: tokens.length, keys: tokens.length ** 2 / 2, rows: 1 };
        // The first run of a path prepares it.
        if (prepared.has(path)) this.#costs[path].observe(size, performance.now() - start);
        prepared.add(path);
        sequence.truncate(0);
      }
    } finally {
      sequence.release();
    }
  }

  /** Resolves when no job can proceed. */
  async idle(): Promise<void> {
    await this.#loop;
  }

  /** Drops cached prefixes. */
  forget(): void {
    this.#slots.forget();
  }

  /** Fails all jobs, waits for the current run, and releases the engine's memory. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const error = new DisposedError("running the model", "model");
    for (const task of [...this.#waiting, ...this.#running]) task.fail(error);
    this.#waiting = [];
    await this.engine.dispose();
    await this.idle();
  }

  #check({ tokens, scoring, continuation, branching }: Job): void {
    const { nCtx } = this.engine.config;
    if (branching && branching.width > this.#capacity) {
      const expected = `at most ${this.#capacity}, the sequences computed side by side`;
      throw new UsageError({ op: "beams", expected, got: String(branching.width) });
    }
    if (tokens.length === 0 || tokens.length > nCtx) {
      throw new UsageError({ op: "prompt", expected: `1 to ${nCtx} tokens`, got: String(tokens.length) });
    }
    this.engine.checkIds("tokens", tokens);
    if (!scoring) return;
    this.engine.checkIds("targets", scoring.targets);
    const end = continuation ? tokens.length - 1 : tokens.length;
    if (scoring.from < 0 || scoring.from + scoring.targets.length > end) {
      const expected = `targets of tokens 0 to ${end - 1}`;
      throw new UsageError({
        op: "scoring",
        expected,
        got: `${scoring.from} to ${scoring.from + scoring.targets.length}`,
      });
    }
  }

  async #run(): Promise<void> {
    await undefined; // jobs that are submitted together start together
    if (this.#options.reserve) await this.engine.reserve(this.#capacity).catch(() => {});
    for (;;) {
      this.#reap();
      await this.#admit();
      if (this.#running.some(({ ready }) => ready)) {
        await this.#step();
        this.#steps++;
        await this.#breathe();
      } else if (!this.#choose()) {
        this.#active = false;
        return;
      }
    }
  }

  /** Yields to callers, timers and connections: short runs do not do so by themselves. */
  async #breathe(): Promise<void> {
    if (performance.now() - this.#breathed < BREATH) return;
    await yieldToEventLoop();
    this.#breathed = performance.now();
  }

  /** Releases the slots of ended tasks. */
  #reap(): void {
    for (const { ended, slots } of this.#running) if (ended) for (const slot of slots) this.#slots.release(slot);
    this.#running = this.#running.filter(({ ended }) => !ended);
  }

  async #admit(): Promise<void> {
    while (this.#waiting.length > 0) {
      const next = this.#choose();
      if (!next) return;
      this.#waiting = this.#waiting.filter((task) => task !== next.task);
      try {
        await this.#start(next.task, next.reuse);
      } catch (error) {
        next.task.fail(error);
      }
    }
  }

  /** The waiting task to start next; none while the slots that it takes are not free. */
  #choose(): { readonly task: Task; readonly reuse: Reuse | undefined } | undefined {
    this.#waiting.sort((a, b) => (b.job.priority ?? 0) - (a.job.priority ?? 0) || a.arrival - b.arrival);
    const { free } = this.#slots;
    let best: { readonly task: Task; readonly reuse: Reuse | undefined } | undefined;
    if (free === 0) return undefined;
    for (const task of this.#waiting) {
      const first = best?.task;
      if (first && ((first.job.priority ?? 0) !== (task.job.priority ?? 0) || first.arrival !== task.arrival)) break;
      const reuse = this.#reusable(task);
      const length = reuse?.length ?? 0;
      if (this.#prefixUnderWay(task) >= length + WORTH_WAITING) continue;
      if (!best || length > (best.reuse?.length ?? 0)) best = { task, reuse };
    }
    return best && best.task.width <= free ? best : undefined;
  }

  #reusable(task: Task): Reuse | undefined {
    if (!task.shares) return undefined;
    const { grain } = this.engine.limits;
    return this.#slots.find(task.key, task.job.tokens, (slot, length) => task.usable(slot, length, grain));
  }

  /** Length of the longest prefix of a task's prompt that other tasks are computing. */
  #prefixUnderWay(task: Task): number {
    if (!task.shares) return 0;
    const most = task.job.continuation || task.job.branching ? task.job.tokens.length - 1 : task.firstRow;
    const lengths = this.#running
      .filter(({ phase, shares, key }) => phase === "reading" && shares && key === task.key)
      .map(({ prompt }) => Math.min(commonPrefix(prompt, task.job.tokens), most));
    return Math.max(0, ...lengths);
  }

  async #start(task: Task, reuse: Reuse | undefined): Promise<void> {
    const { job } = task;
    const cached = reuse?.length ?? 0;
    this.#cachedTokens += cached;
    this.#promptTokens += job.tokens.length;
    job.started?.(cached);
    if (cached === job.tokens.length) {
      task.passCached(reuse!.slot, cached);
      task.end();
      return;
    }
    if (reuse) task.passCached(reuse.slot, cached);
    task.slot = await this.#slots.take(task.key, job.adapter, reuse);
    while (task.slots.length < task.width) task.spare.push(await this.#slots.take(task.key, job.adapter, undefined));
    if (task.ended) for (const slot of task.slots) this.#slots.release(slot);
    else {
      task.phase = "reading";
      this.#running.push(task);
    }
  }

  async #step(): Promise<void> {
    const start = performance.now();
    const ready = this.#running.filter((task) => task.ready);
    const stepping = ready.filter(({ phase }) => phase === "stepping");
    const reading = ready.filter(({ phase }) => phase === "reading");
    // Texts whose readers are behind count too: they may continue in the next step.
    const beside = this.#running.some(({ phase }) => phase === "stepping");
    const budget = beside ? this.#options.promptBudget : Number.POSITIVE_INFINITY;
    await this.#draft(stepping);
    const steps = stepping.filter(({ ended }) => !ended).flatMap((task) => task.steps());
    await this.#readPrompts("streamed", steps, reading, budget);
    await this.#readPrompts("packed", [], reading, budget - (performance.now() - start));
  }

  /** Drafts for the tasks that have a draft model; tasks that share one draft together. */
  async #draft(tasks: readonly Task[]): Promise<void> {
    const drafts = tasks.flatMap(({ job }) => job.continuation?.modelDraft ?? []);
    for (const model of new Set(drafts.map(({ by }) => by))) {
      try {
        await model.draft(drafts.filter(({ by }) => by === model));
      } catch (error) {
        for (const task of tasks) if (task.job.continuation?.modelDraft?.by === model) task.fail(error);
      }
    }
  }

  /** Runs steps of one path, and what the budget allows of prompts beside them. */
  async #readPrompts(path: RunPath, steps: readonly Part[], tasks: readonly Task[], budget: number): Promise<void> {
    const size = sizeOf(steps);
    const prompts = tasks.filter((task) => !task.ended && task.path === path);
    const read = this.#promptParts(prompts, size, this.#costs[path], budget);
    const parts = [...steps, ...read.parts];
    if (parts.length === 0) return;
    const start = performance.now();
    await this.#runParts(parts);
    this.#costs[path].observe(read.size, performance.now() - start);
  }

  /** Parts of prompts to read in one run beside others of a size, in order of arrival. */
  #promptParts(
    tasks: readonly Task[],
    beside: RunSize,
    costs: CostModel,
    budget: number,
  ): { readonly parts: Part[]; readonly size: RunSize } {
    const { maxTokens, maxLogits, grain } = this.engine.limits;
    const parts: Part[] = [];
    let size = beside;
    for (const task of tasks) {
      const at = task.slot!.tokens.length;
      const sizeWith = (n: number): RunSize => {
        const rows = Math.max(0, at + n - Math.max(at, task.firstRow));
        return { tokens: size.tokens + n, keys: size.keys + n * (at + n / 2), rows: size.rows + rows };
      };
      const left = task.prompt.length - at;
      let most = Math.min(maxTokens - size.tokens, grain === undefined ? maxTokens : grain - (at % grain));
      // Rows of logits limit a run too.
      most = Math.min(most, Math.max(0, task.firstRow - at) + maxLogits - size.rows);
      const length = Math.max(0, Math.min(most, left));
      let n = length;
      while (n > 0 && costs.estimate(sizeWith(n)) > budget) n -= Math.ceil(n / 8);
      if (parts.length === 0) n = Math.max(n, Math.min(length, LEAST_PROMPT));
      if (grain !== undefined && n < length) n = parts.length === 0 ? length : 0;
      if (n <= 0) break;
      size = sizeWith(n);
      parts.push(task.part(n));
      if (n < left && grain === undefined) break;
    }
    return { parts, size };
  }

  /** Runs parts of one path. An error of the run itself fails all of them. */
  async #runParts(parts: readonly Part[]): Promise<void> {
    if (parts.length === 0) return;
    const reader: RowReader = {
      needsLogits: parts.some((part) => part.task.needsLogits(part)),
      summary: (i) => parts[i]!.task.summary(parts[i]!),
      read: (row, i, token, summary) => parts[i]!.task.read(row, parts[i]!, token, summary),
      logprobs: (values, i, token) => parts[i]!.task.logprobs(values, parts[i]!, token),
    };
    const extensions = parts.map(({ slot, tokens, from, to, logits, path }) => {
      return { sequence: slot.sequence, tokens: tokens.slice(from, to), logits, path };
    });
    try {
      await this.engine.run(extensions, reader);
    } catch (error) {
      for (const { task, slot } of parts) {
        task.fail(error);
        slot.sequence.truncate(slot.tokens.length);
      }
      return;
    }
    for (const part of parts) this.#advance(part);
    const branching = new Set(parts.map(({ task }) => task).filter(({ job }) => job.branching));
    for (const task of branching) await task.branch((source, target) => this.#slots.copy(source, target));
  }

  #advance(part: Part): void {
    const { task, slot } = part;
    const stepping = task.phase === "stepping";
    task.advance(part);
    if (stepping) this.#generatedTokens += part.to - part.from;
    else if (task.shares && part.path === "packed") this.#slots.share(slot, slot.tokens.length);
  }
}

/** Size of parts that run together. */
function sizeOf(parts: readonly Part[]): RunSize {
  let [tokens, keys, rows] = [0, 0, 0];
  for (const { slot, from, to, logits } of parts) {
    const n = to - from;
    tokens += n;
    keys += n * (slot.tokens.length + n / 2);
    rows += logits;
  }
  return { tokens, keys, rows };
}
