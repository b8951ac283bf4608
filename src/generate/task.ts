import { FEW_TOKENS, type RunPath } from "./chunks.js";
import type { LogitsRow } from "./engine.js";
import type { Job } from "./job.js";
import { largest } from "./largest.js";
import { notFinite } from "./log-sum-exp.js";
import type { RowSummary, SummarySettings } from "./sampling/row-summary.js";
import { type CachedScore, type Slot, Slots, UNKNOWN } from "./slots.js";

/** The state of a task: in the queue, reading a prompt, or generating token by token. */
export type Phase = "waiting" | "reading" | "stepping" | "ended";

/** Tokens for the next run. */
export interface Part {
  readonly task: Task;
  readonly slot: Slot;
  /** Tokens [from, to) of `tokens`. */
  readonly tokens: readonly number[];
  readonly from: number;
  readonly to: number;
  /** Number of tokens, counted from the last, whose logits are wanted. */
  readonly logits: number;
  readonly path: RunPath;
  /** Index among a branching task's sequences. */
  readonly branch: number;
}

/** A sequence of a branching task, and the token that it computes next. */
interface BranchSlot {
  readonly slot: Slot;
  readonly token: number;
}

/** A job in the scheduler. */
export class Task {
  readonly job: Job;
  readonly key: string;
  readonly done: Promise<void>;
  /** The scheduler's step during which the job arrived. */
  readonly arrival: number;
  phase: Phase = "waiting";
  slot: Slot | undefined;
  /** Slots for branches beside the first. */
  readonly spare: Slot[] = [];
  /** The job's prompt, or the tokens with which a step started over. */
  prompt: readonly number[];
  /** Whether it shares cached prompt tokens with other tasks. */
  shares: boolean;
  #step: readonly number[] = [];
  #branches: readonly BranchSlot[] = [];
  #settle: { resolve(): void; reject(error: unknown): void };
  /** For each token of the running part: the likeliest token after it, and scores for the slot to keep. */
  readonly #bests = new Map<number, number>();
  readonly #scores = new Map<number, { readonly target: number; readonly score: CachedScore }>();

  constructor(job: Job, arrival: number, prefixCache: boolean) {
    this.job = job;
    this.arrival = arrival;
    this.prompt = job.tokens;
    this.key = Slots.key(job.adapter, job.scope ?? "");
    this.shares = prefixCache && (job.cache ?? true) && job.tokens.length > FEW_TOKENS;
    let settle!: { resolve(): void; reject(error: unknown): void };
    this.done = new Promise((resolve, reject) => (settle = { resolve, reject }));
    this.#settle = settle;
  }

  get ended(): boolean {
    return this.phase === "ended";
  }

  /** Number of slots that it takes. */
  get width(): number {
    return this.job.branching?.width ?? 1;
  }

  /** Its slots, once it has them. */
  get slots(): readonly Slot[] {
    return this.slot ? [this.slot, ...this.spare] : [];
  }

  /** Whether it continues the prompt: then it needs the logits after the last token. */
  get #goesOn(): boolean {
    return this.job.continuation !== undefined || this.job.branching !== undefined;
  }

  end(): void {
    this.phase = "ended";
    this.#settle.resolve();
  }

  fail(error: unknown): void {
    this.phase = "ended";
    this.#settle.reject(error);
  }

  /** Whether it can take part in the next run. */
  get ready(): boolean {
    return this.phase === "reading" || (this.phase === "stepping" && (this.job.continuation?.ready?.() ?? true));
  }

  /** A prompt's path depends on its length only: short prompts are streamed, whatever runs beside them. */
  get path(): RunPath {
    return this.prompt.length <= FEW_TOKENS ? "streamed" : "packed";
  }

  /** Number of the `length` common tokens that it can take from a slot: tokens whose logits it needs are computed. */
  usable(slot: Slot, length: number, grain: number | undefined): number {
    const { scoring, logits, tokens } = this.job;
    let n = Math.min(length, this.#goesOn ? tokens.length - 1 : tokens.length, logits?.from ?? tokens.length);
    for (let i = 0; scoring && i < scoring.targets.length && scoring.from + i < n; i++) {
      if (!this.#isKnown(i, slot.score(scoring.from + i, scoring.targets[i]!))) n = scoring.from + i;
    }
    return grain === undefined || n === tokens.length ? n : n - (n % grain);
  }

  #isKnown(i: number, score: CachedScore | undefined): boolean {
    const { best, rows } = this.job.scoring!;
    if (!score || (best && score.best === UNKNOWN)) return false;
    return !(rows && i >= rows[0] && i < rows[1]);
  }

  /** Reports the scores of the first `length` tokens, which the slot has. */
  passCached(slot: Slot, length: number): void {
    const { scoring } = this.job;
    if (!scoring) return;
    const end = Math.min(scoring.targets.length, length - scoring.from);
    for (let i = 0; i < end; i++) scoring.score(i, slot.score(scoring.from + i, scoring.targets[i]!)!);
  }

  /** The first prompt token after which logits are wanted. */
  get firstRow(): number {
    const { scoring, logits, tokens } = this.job;
    const last = this.#goesOn ? this.prompt.length - 1 : this.prompt.length;
    if (this.prompt !== tokens) return last;
    const scored = scoring && scoring.targets.length > 0 ? scoring.from : last;
    return Math.min(last, scored, logits?.from ?? last);
  }

  /** The next parts to run, once the prompt is read. */
  steps(): readonly Part[] {
    if (!this.job.branching) return [this.#streamed(this.slot!, this.#step, 0)];
    return this.#branches.map(({ slot, token }, branch) => this.#streamed(slot, [token], branch));
  }

  #streamed(slot: Slot, tokens: readonly number[], branch: number): Part {
    const { length } = tokens;
    return { task: this, slot, tokens, from: 0, to: length, logits: length, path: "streamed", branch };
  }

  /** The next part of the prompt to run, at most `most` tokens. */
  part(most: number): Part {
    const slot = this.slot!;
    const from = slot.tokens.length;
    const to = Math.min(this.prompt.length, from + most);
    const logits = Math.max(0, to - Math.max(from, this.firstRow));
    return { task: this, slot, tokens: this.prompt, from, to, logits, path: this.path, branch: 0 };
  }

  /** Whether any row of a part's logits has to be read. */
  needsLogits({ from, to }: Part): boolean {
    const { scoring, logits } = this.job;
    if (this.phase === "stepping") return true;
    if (this.#goesOn && to === this.prompt.length) return true;
    if (this.prompt !== this.job.tokens) return false;
    if (logits && to > logits.from) return true;
    if (!scoring || to <= scoring.from) return false;
    return scoring.best || (scoring.rows !== undefined && from <= scoring.from + scoring.rows[1]);
  }

  /** The summary that rows of a part need. */
  summary({ to }: Part): SummarySettings | undefined {
    if (this.ended) return undefined;
    return this.phase === "stepping" || to === this.prompt.length ? this.job.continuation?.summary : undefined;
  }

  /** Takes the row after a part's token; returns the ids whose log-probabilities are wanted. */
  read(
    row: LogitsRow | undefined,
    { from, branch }: Part,
    token: number,
    summary: RowSummary | undefined,
  ): readonly number[] {
    if (this.ended) return [];
    try {
      if (this.phase === "stepping") return this.#sample(row!, branch, summary);
      return this.#readPrompt(row, from + token, summary);
    } catch (error) {
      this.fail(error);
      return [];
    }
  }

  #sample(row: LogitsRow, branch: number, summary: RowSummary | undefined): readonly number[] {
    const { branching, continuation } = this.job;
    if (branching) return [branching.read(row, branch)];
    const token = continuation!.sample(row, summary);
    return token === undefined ? [] : [token];
  }

  #readPrompt(row: LogitsRow | undefined, at: number, summary: RowSummary | undefined): readonly number[] {
    const { scoring, logits, tokens } = this.job;
    if (this.#goesOn && at === this.prompt.length - 1) return this.#sample(row!, 0, summary);
    if (this.prompt !== tokens) return [];
    if (logits && at >= logits.from) logits.row(row!, at);
    const i = at - (scoring?.from ?? 0);
    const target = i >= 0 ? scoring?.targets[i] : undefined;
    if (!scoring || target === undefined) return [];
    if (scoring.rows && i >= scoring.rows[0] && i < scoring.rows[1]) scoring.row?.(row!, i);
    if (!scoring.best) return [target];
    const best = new Int32Array(1);
    largest(row!.subarray(0, scoring.vocabLimit), 1, best);
    this.#bests.set(at, best[0]!);
    return [target, best[0]!];
  }

  logprobs(values: readonly number[], { from, branch }: Part, token: number): void {
    if (this.ended) return;
    try {
      const bad = values.find(Number.isNaN);
      const sampled = this.phase === "stepping" || (this.#goesOn && from + token === this.prompt.length - 1);
      if (bad !== undefined) throw notFinite(sampled ? "sampling the next token" : "scoring a token", bad);
      if (sampled && this.job.branching) this.job.branching.logprob(values[0]!, branch);
      else if (sampled) this.job.continuation!.accept(values[0]!);
      else this.#score(values, from + token);
    } catch (error) {
      this.fail(error);
    }
  }

  #score([logprob, bestLogprob]: readonly number[], at: number): void {
    const scoring = this.job.scoring!;
    const i = at - scoring.from;
    const target = scoring.targets[i]!;
    const best = this.#bests.get(at) ?? UNKNOWN;
    const score = { logprob: logprob!, best, bestLogprob: bestLogprob ?? Number.NaN };
    this.#scores.set(at, { target, score });
    scoring.score(i, score);
  }

  /** After a run: records its tokens in the slot, and prepares what comes next. */
  advance({ slot, tokens, from, to }: Part): void {
    slot.append(tokens, from, to);
    for (const [at, { target, score }] of this.#scores) slot.setScore(at, target, score);
    this.#scores.clear();
    this.#bests.clear();
    if (this.ended || this.job.branching) return;
    if (this.phase === "reading" && slot.tokens.length < this.prompt.length) return;
    try {
      this.#next(slot);
    } catch (error) {
      this.fail(error);
    }
  }

  #next(slot: Slot): void {
    const step = this.job.continuation?.next();
    if (!step) {
      this.end();
      return;
    }
    slot.truncate(step.keep);
    this.phase = step.keep === 0 ? "reading" : "stepping";
    if (step.keep > 0) {
      this.#step = step.tokens;
      return;
    }
    this.prompt = step.tokens;
    this.shares = false;
  }

  /**
   * After a run of a branching task: gives each branch of the next step a slot with its tokens. The first to go on from a
   * sequence keeps its slot, others take slots that are left, into which only what differs is copied.
   *
   * @param copy makes a slot hold what another holds
   */
  async branch(copy: (source: Slot, target: Slot) => Promise<void>): Promise<void> {
    if (this.ended || (this.phase === "reading" && this.slot!.tokens.length < this.prompt.length)) return;
    try {
      const branches = this.job.branching!.next();
      if (!branches) {
        this.end();
        return;
      }
      const before = this.phase === "stepping" ? this.#branches.map(({ slot }) => slot) : [this.slot!];
      const kept = new Set(branches.map(({ parent }) => before[parent]!));
      const free = this.slots.filter((slot) => !kept.has(slot));
      this.phase = "stepping";
      const next: BranchSlot[] = [];
      for (const { parent, token } of branches) {
        const source = before[parent]!;
        const slot = kept.delete(source) ? source : free.pop()!;
        if (slot !== source) await copy(source, slot);
        next.push({ slot, token });
      }
      this.#branches = next;
    } catch (error) {
      this.fail(error);
    }
  }
}
