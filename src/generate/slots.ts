import type { LoadedAdapter } from "../pretrained/loaded-adapter.js";
import type { Engine, Sequence } from "./engine.js";
import { commonPrefix, PrefixIndex } from "./prefix-index.js";

/** Scores after a cached token: a target's log-probability, and the likeliest token. */
export interface CachedScore {
  readonly logprob: number;
  readonly best: number;
  readonly bestLogprob: number;
}

/** `best` of a score computed without it. */
export const UNKNOWN = -1;

/** A slot of the cache, in use or idle. */
export class Slot {
  readonly sequence: Sequence;
  /** The tokens in the cache. */
  tokens: number[] = [];
  /** Number of leading tokens that other requests may copy: those of the prompt, whose bits depend on the prompt only. */
  shareable = 0;
  key = "";
  inUse = false;
  lastUsed = 0;
  readonly #targets: Int32Array;
  readonly #best: Int32Array;
  readonly #logprobs: Float64Array;
  readonly #bestLogprobs: Float64Array;

  constructor(
    readonly id: number,
    engine: Engine,
  ) {
    const { nCtx } = engine.config;
    this.sequence = engine.sequence();
    this.#targets = new Int32Array(nCtx);
    this.#best = new Int32Array(nCtx);
    this.#logprobs = new Float64Array(nCtx);
    this.#bestLogprobs = new Float64Array(nCtx);
  }

  /** Keeps the first `length` tokens. */
  truncate(length: number): void {
    if (length >= this.tokens.length) return;
    this.sequence.truncate(length);
    this.tokens.length = length;
    this.shareable = Math.min(this.shareable, length);
  }

  /** Records tokens that a run has added. */
  append(tokens: readonly number[], from: number, to: number): void {
    this.#targets.fill(UNKNOWN, this.tokens.length, this.tokens.length + to - from);
    for (let i = from; i < to; i++) this.tokens.push(tokens[i]!);
  }

  /** The cached score of `target` after token number `at`. */
  score(at: number, target: number): CachedScore | undefined {
    if (this.#targets[at] !== target) return undefined;
    return { logprob: this.#logprobs[at]!, best: this.#best[at]!, bestLogprob: this.#bestLogprobs[at]! };
  }

  setScore(at: number, target: number, { logprob, best, bestLogprob }: CachedScore): void {
    this.#targets[at] = target;
    this.#logprobs[at] = logprob;
    this.#best[at] = best;
    this.#bestLogprobs[at] = bestLogprob;
  }

  /** Copies the scores of another slot's first `length` tokens. */
  copyScores(other: Slot, length: number): void {
    this.#targets.set(other.#targets.subarray(0, length));
    this.#best.set(other.#best.subarray(0, length));
    this.#logprobs.set(other.#logprobs.subarray(0, length));
    this.#bestLogprobs.set(other.#bestLogprobs.subarray(0, length));
  }
}

/** Tokens that a request may take from a slot instead of computing them. */
export interface Reuse {
  readonly slot: Slot;
  readonly length: number;
}

export interface SlotsOptions {
  readonly capacity: number;
  /** Keep prefixes for later requests, and share them between current ones. */
  readonly prefixCache: boolean;
  /** Take unused slots before an idle one whose content may still be useful. */
  readonly eager: boolean;
}

/**
 * The slots of an engine's cache, and an index of their contents. The naive cache gives each request a new slot and computes
 * its whole prompt. Here a request takes the slot, or copies the rows, with the longest prefix of its prompt, and a slot
 * keeps its contents until it is needed; the slot unused for the longest time goes first.
 */
export class Slots {
  readonly #engine: Engine;
  readonly #options: SlotsOptions;
  readonly #slots: Slot[] = [];
  readonly #index = new PrefixIndex();
  #clock = 0;

  constructor(engine: Engine, options: SlotsOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  get all(): readonly Slot[] {
    return this.#slots;
  }

  /** Slots that requests may take. */
  get free(): number {
    return this.#options.capacity - this.#slots.reduce((count, { inUse }) => count + Number(inUse), 0);
  }

  /** Contents under different keys share nothing. */
  static key(adapter: LoadedAdapter | undefined, scope: string): string {
    return `${adapter?.id ?? ""} ${scope}`;
  }

  /** The longest cached prefix of a prompt. @param usable shortens it to what a request can use of a slot */
  find(key: string, tokens: readonly number[], usable: (slot: Slot, length: number) => number): Reuse | undefined {
    const { slots, length } = this.#index.find(key, tokens);
    let found: Reuse | undefined;
    for (const id of slots) {
      const slot = this.#slots[id]!;
      const reuse = { slot, length: usable(slot, length) };
      if (reuse.length === 0) continue;
      const better = !found || reuse.length > found.length || (reuse.length === found.length && !slot.inUse);
      if (better) found = reuse;
    }
    return found;
  }

  /** Takes a slot for a request, and copies the cached prefix into it if needed. */
  async take(key: string, adapter: LoadedAdapter | undefined, reuse: Reuse | undefined): Promise<Slot> {
    const slot = this.#choose(reuse);
    slot.inUse = true;
    slot.lastUsed = ++this.#clock;
    if (reuse && reuse.slot !== slot) {
      const { slot: source, length } = reuse;
      this.#index.remove(slot.id);
      await this.#engine.copy(source.sequence, slot.sequence, length);
      slot.tokens = source.tokens.slice(0, length);
      slot.copyScores(source, length);
    } else {
      slot.truncate(reuse?.length ?? 0);
    }
    slot.shareable = reuse?.length ?? 0;
    slot.key = key;
    slot.sequence.adapter = adapter;
    this.#reindex(slot);
    return slot;
  }

  /** Replaces the content of a slot by that of another of the same request. */
  async copy(source: Slot, target: Slot): Promise<void> {
    const common = commonPrefix(source.tokens, target.tokens);
    await this.#engine.copy(source.sequence, target.sequence, source.tokens.length, common);
    target.tokens.length = common;
    target.append(source.tokens, common, source.tokens.length);
  }

  /** Makes the first `length` tokens available to other requests. */
  share(slot: Slot, length: number): void {
    slot.shareable = length;
    this.#reindex(slot);
  }

  /** Releases a slot. Its shareable tokens stay in the cache. */
  release(slot: Slot): void {
    slot.truncate(this.#options.prefixCache ? slot.shareable : 0);
    slot.inUse = false;
    slot.lastUsed = ++this.#clock;
    this.#reindex(slot);
  }

  /** Drops the contents of idle slots. */
  forget(): void {
    for (const slot of this.#slots) {
      if (slot.inUse) continue;
      slot.truncate(0);
      this.#reindex(slot);
    }
  }

  #reindex(slot: Slot): void {
    if (!this.#options.prefixCache) return;
    this.#index.set(slot.id, slot.key, slot.tokens.slice(0, slot.shareable));
  }

  /**
   * The slot to write to: the prefix's own if it is idle and loses nothing (or little, where memory is to be saved); else an
   * empty one, else the least recently used.
   */
  #choose(reuse: Reuse | undefined): Slot {
    const atRest = this.#slots.filter(({ inUse }) => !inUse);
    if (reuse && !reuse.slot.inUse) {
      const { slot, length } = reuse;
      const keeps = this.#options.eager ? length === slot.tokens.length : 2 * length >= slot.tokens.length;
      if (keeps || (atRest.length === 1 && !this.#mayOpen)) return slot;
    }
    const others = atRest.filter((slot) => slot !== reuse?.slot);
    const empty = others.find(({ tokens }) => tokens.length === 0);
    if (empty) return empty;
    if (this.#mayOpen && (this.#options.eager || others.length === 0)) return this.#open();
    return others.reduce((oldest, slot) => (slot.lastUsed < oldest.lastUsed ? slot : oldest));
  }

  get #mayOpen(): boolean {
    return this.#slots.length < this.#options.capacity;
  }

  #open(): Slot {
    const slot = new Slot(this.#slots.length, this.#engine);
    this.#slots.push(slot);
    return slot;
  }
}
