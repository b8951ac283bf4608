import type { Extension } from "./chunks.js";
import { DraftLength } from "./draft-length.js";
import type { Engine, LogitsRow, Sequence } from "./engine.js";
import type { Proposal } from "./sampler.js";

/** Tokens of a text that a draft model reads before a step; a longer prompt takes several steps, which have no drafts. */
const MOST_READ = 256;

/** Samples the next token of a draft. @param drafted the draft so far */
export type Propose = (logits: LogitsRow, drafted: readonly number[]) => Proposal;

/**
 * A smaller model that proposes the next tokens of texts, which a larger one verifies in one run (speculative decoding,
 * Leviathan et al. 2023; Chen et al. 2023). It drafts for all texts of a step together: one run for each token of the
 * longest draft. Its results for a text depend on that text alone.
 */
export class DraftModel {
  readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  /** Drafts of one text. Close it at the end. */
  open(most: number, propose: Propose): Draft {
    return new Draft(this, most, propose);
  }

  /** Extends the drafts as far as they have room. */
  async draft(drafts: readonly Draft[]): Promise<void> {
    let open = drafts.filter(({ room }) => room > 0);
    while (open.length > 0) {
      const parts = open.filter(({ closed }) => !closed).map((draft) => ({ draft, extension: draft.extension() }));
      const proposing = parts.filter(({ extension }) => extension.logits === 1).map(({ draft }) => draft);
      // Rows come in the order of their extensions' paths, and say which they belong to.
      await this.engine.extend(
        parts.map(({ extension }) => extension),
        (row, i) => parts[i]!.draft.take(row),
      );
      for (const { draft, extension } of parts) draft.advance(extension);
      open = proposing.filter(({ room }) => room > 0);
    }
  }
}

const draftModels = new WeakMap<Engine, DraftModel>();

/** The draft model on an engine: one, so that texts that share it draft together. */
export function draftModelOf(engine: Engine): DraftModel {
  const found = draftModels.get(engine) ?? new DraftModel(engine);
  draftModels.set(engine, found);
  return found;
}

/** The draft of one text's next tokens. */
export class Draft {
  readonly by: DraftModel;
  /** The tokens proposed after the text, and the distributions that they were drawn from. */
  readonly proposals: Proposal[] = [];
  /** Tokens of the draft that may still come. */
  room = 0;
  readonly #propose: Propose;
  readonly #length: DraftLength;
  readonly #sequence: Sequence;
  /** The tokens in the draft model's cache. */
  readonly #cached: number[] = [];
  /** Number of these that are the text's, as far as is known. */
  #valid = 0;
  /** The text, from the token on that the draft model sees first. */
  #text: readonly number[] = [];
  #start = 0;
  #step: number[] = [];
  #closed = false;

  constructor(by: DraftModel, most: number, propose: Propose) {
    this.by = by;
    this.#propose = propose;
    this.#length = new DraftLength(most);
    this.#sequence = by.engine.sequence();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Requests a draft of at most `most` tokens after the text. @param step receives its tokens */
  begin(text: readonly number[], most: number, step: number[]): void {
    const { nCtx } = this.by.engine.config;
    this.#step = step;
    this.proposals.length = 0;
    this.room = Math.max(0, Math.min(most, this.#length.next, nCtx - 1));
    this.#text = text;
    if (text.length - this.#start + this.room > nCtx) {
      // The text outgrows the draft model's context: the last half context is recomputed.
      this.#start = text.length - Math.max(1, Math.min(nCtx >> 1, nCtx - this.room));
      this.#truncate(0);
    }
    while (this.#valid < this.#cached.length && this.#cached[this.#valid] === text[this.#start + this.#valid])
      this.#valid++;
  }

  /** Adapts to how many tokens of the last draft were accepted. */
  learn(accepted: number): void {
    if (this.proposals.length > 0) this.#length.learn(accepted);
  }

  /** The next tokens for the draft model to read: a part of the text, or its last proposal. */
  extension(): Extension {
    const drafted = this.proposals.at(-1);
    if (drafted) return { sequence: this.#sequence, tokens: [drafted.token], logits: 1 };
    const length = this.#text.length - this.#start;
    this.#truncate(Math.min(this.#valid, length - 1));
    const end = Math.min(length, this.#valid + MOST_READ);
    const tokens = this.#text.slice(this.#start + this.#valid, this.#start + end);
    return { sequence: this.#sequence, tokens, logits: end === length ? 1 : 0 };
  }

  /** Proposes a token from the logits after all before it. */
  take(row: LogitsRow): void {
    if (this.#closed) return;
    const drafted = this.proposals.map(({ token }) => token);
    const proposal = this.#propose(row, drafted);
    this.proposals.push(proposal);
    this.#step.push(proposal.token);
    this.room--;
  }

  /** Notes what was read. */
  advance({ tokens }: Extension): void {
    if (this.proposals.length <= 1) this.#valid += tokens.length;
    for (let i = 0; i < tokens.length; i++) this.#cached.push(tokens[i]!);
  }

  #truncate(length: number): void {
    this.#sequence.truncate(length);
    this.#cached.length = length;
    this.#valid = Math.min(this.#valid, length);
  }

  close(): void {
    if (!this.#closed) this.#sequence.release();
    this.#closed = true;
  }
}
