import type { LogitsRow } from "../engine.js";
import type { Branch, Branching } from "../job.js";
import { largest } from "../largest.js";
import { logSumExp } from "../log-sum-exp.js";
import { History } from "../sampling/history.js";
import { BeamGroup, type Candidate, type FinishedBeam } from "./group.js";
import type { BeamSettings } from "./options.js";

export interface BeamSearchModel {
  /** Ids from here on are never taken. */
  readonly vocabLimit: number;
  /** The model's end tokens, which `minNewTokens` delays. */
  readonly eosTokenIds: readonly number[];
  /** Ids that complete a continuation. */
  readonly ends: ReadonlySet<number>;
  /** Whether the text of generated tokens has a stop string. */
  readonly stops: ((tokens: readonly number[]) => boolean) | undefined;
}

/** Tokens that may follow a branch. */
interface Row {
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  /** Log-probabilities after penalties and limits, where there are any. */
  readonly values: readonly number[] | undefined;
  logSumExp: number;
}

/**
 * A beam search over the branches of one job: one group of beams, or several that avoid each other's tokens (diverse beam
 * search, Vijayakumar et al. 2016, with Hamming diversity). Groups choose one after another. A token that earlier
 * groups chose in this step costs `diversityPenalty` each time, in this choice only: scores are the model's.
 */
export class BeamSearch implements Branching {
  readonly width: number;
  readonly #prompt: readonly number[];
  readonly #settings: BeamSettings;
  readonly #model: BeamSearchModel;
  readonly #groups: readonly BeamGroup[];
  readonly #rows: Row[] = [];
  /** Likeliest tokens of a beam that can matter to its group. */
  readonly #count: number;

  constructor(prompt: readonly number[], settings: BeamSettings, model: BeamSearchModel) {
    const { beams, groups } = settings;
    const size = beams / groups;
    const ends = (tokens: readonly number[]): boolean =>
      model.ends.has(tokens.at(-1)!) || (model.stops?.(tokens) ?? false);
    this.width = beams;
    this.#prompt = prompt;
    this.#settings = settings;
    this.#model = model;
    this.#groups = Array.from({ length: groups }, () => new BeamGroup({ ...settings, size, ends }));
    // Tokens that complete a continuation make room for others, and so do tokens that earlier groups chose.
    const completing = model.stops ? 2 * size : 0;
    const most = (1 + Math.max(1, model.ends.size)) * size + completing + (beams - size);
    this.#count = Math.min(model.vocabLimit, most);
  }

  read(row: LogitsRow, branch: number): number {
    const logits = row.subarray(0, this.#model.vocabLimit);
    const changed = this.#changed(row, branch);
    const ids = likeliest(changed ?? logits, this.#count);
    this.#rows[branch] = {
      ids,
      logits: ids.map((id) => logits[id]!),
      values: changed && ids.map((id) => changed[id]!),
      logSumExp: 0,
    };
    return ids[0]!;
  }

  logprob(value: number, branch: number): void {
    const row = this.#rows[branch]!;
    row.logSumExp = row.logits[0]! - value;
  }

  next(): readonly Branch[] | undefined {
    const taken = new Map<number, number>();
    const branches: Branch[] = [];
    let first = 0;
    for (const group of this.#groups) {
      const { length } = group.running;
      // The first step of all groups continues from the one row after the prompt.
      const rows = this.#started ? this.#rows.slice(first, first + length) : this.#rows;
      const chosen = length > 0 ? group.step(rows.map(candidatesOf), taken) : [];
      for (const token of chosen) taken.set(token, (taken.get(token) ?? 0) + 1);
      for (const { parent, tokens } of group.running) {
        branches.push({ parent: this.#started ? first + parent : 0, token: tokens.at(-1)! });
      }
      first += length;
    }
    this.#started = true;
    return branches.length > 0 ? branches : undefined;
  }
  #started = false;

  /** The best of each group, then the second of each, and so on, in each of these rounds by score. */
  results(): FinishedBeam[] {
    const rounds = Array.from({ length: this.width / this.#groups.length }, (_, i) =>
      this.#groups.flatMap(({ finished }) => finished.slice(i, i + 1)).sort((a, b) => b.score - a.score),
    );
    return rounds.flat().slice(0, this.#settings.nBest);
  }

  /** Log-probabilities after penalties and limits; undefined where there are none. */
  #changed(row: LogitsRow, branch: number): Float32Array | undefined {
    const { repetitionPenalty, limits } = this.#settings;
    if (repetitionPenalty === 1 && !limits.changesLogits) return undefined;
    const sum = logSumExp(row);
    const values = Float32Array.from(row.subarray(0, this.#model.vocabLimit), (logit) => logit - sum);
    const generated = this.#groups.flatMap(({ running }) => running)[branch]!.tokens;
    for (const id of repetitionPenalty === 1 ? [] : new Set([...this.#prompt, ...generated])) {
      if (id < values.length) values[id]! *= repetitionPenalty;
    }
    const history = new History(limits, this.#model.eosTokenIds);
    history.see(this.#prompt);
    for (const token of generated) history.push(token);
    history.apply({ scores: values, note() {}, noteAll() {} });
    return values;
  }
}

function likeliest(values: LogitsRow, count: number): number[] {
  const ids = new Int32Array(count);
  largest(values, count, ids);
  return Array.from(ids);
}

function candidatesOf({ ids, logits, values, logSumExp: sum }: Row): Candidate[] {
  return ids.map((token, i) => {
    const logprob = logits[i]! - sum;
    return { token, logprob, value: values ? values[i]! : logprob };
  });
}
