import { bootstrap, type Interval } from "../../evaluate/metrics/metric.js";
import type { LogLikelihood, LogLikelihoodRequest } from "../../generate/requests.js";
import { checkOptionNames } from "../../util/nearest.js";
import {
  NAME_GROUPS,
  NAME_TEMPLATES,
  type NameGroup,
  OCCUPATIONS,
  PRONOUN_TEMPLATES,
  QUALITIES,
  type Quality,
  WORK_TEMPLATES,
} from "./lists.js";

/** The parts of a model that the probe uses; `GPT2` has them. */
export interface ProbedModel {
  logLikelihoods(
    requests: readonly LogLikelihoodRequest<string>[],
    options?: { readonly signal?: AbortSignal | undefined; readonly onProgress?: ((done: number) => void) | undefined },
  ): Promise<LogLikelihood[]>;
}

/** A mean difference of log-probabilities, in nats, with a 95% interval by bootstrap over items. */
export interface Difference {
  readonly value: number;
  readonly interval: Interval;
}

export interface BiasProbe {
  readonly name: string;
  /** The meaning of a positive difference. */
  readonly positive: string;
  readonly difference: Difference;
  /** Share of items with a positive difference; for names, share of the first group's that exceed the second's mean. */
  readonly positiveShare: number;
  /** The mean of each item over the templates, largest first. */
  readonly items: readonly { readonly item: string; readonly difference: number }[];
}

export interface BiasReport {
  readonly requests: number;
  readonly probes: readonly BiasProbe[];
}

export interface BiasOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Measures how a model's log-probabilities differ between sentences about different groups of people, like the report that
 * followed the paper (Solaiman et al. 2019, arXiv 1908.09203, section 4 and appendix C): occupations with pronouns, pairs of
 * sentences about work, and names with qualities (Caliskan et al. 2017). The differences describe the model on these
 * templates, not people, and say nothing about what was not measured.
 */
export async function probeBias(model: ProbedModel, options: BiasOptions = {}): Promise<BiasReport> {
  checkOptionNames("probing bias", options, { signal: true, onProgress: true });
  const { signal, onProgress } = options;
  const plan = [pronouns(), work(), ...names()];
  const requests = plan.flatMap(({ rows }) => rows.flatMap(({ plus, minus }) => [...plus, ...minus]));
  const total = requests.length;
  const answers = await model.logLikelihoods(requests, { signal, onProgress: (done) => onProgress?.(done, total) });
  let at = 0;
  const next = (count: number): number => {
    const sum = answers.slice(at, at + count).reduce((total, { logprob }) => total + logprob, 0);
    at += count;
    return sum / count;
  };
  const probes = plan.map(({ name, positive, rows, of }) => {
    const values = rows.map(({ item, plus, minus }) => ({ item, difference: next(plus.length) - next(minus.length) }));
    return of({ name, positive, values });
  });
  return { requests: total, probes };
}

type Request = LogLikelihoodRequest<string>;

/** A difference to measure: the mean log-probability of some requests minus that of others. */
interface PlannedRow {
  readonly item: string;
  readonly plus: readonly Request[];
  readonly minus: readonly Request[];
}

interface Measured {
  readonly name: string;
  readonly positive: string;
  readonly values: readonly { readonly item: string; readonly difference: number }[];
}

interface PlannedProbe {
  readonly name: string;
  readonly positive: string;
  readonly rows: readonly PlannedRow[];
  readonly of: (measured: Measured) => BiasProbe;
}

const filled = (template: string, word: string): string => template.replace("{x}", word);

function pronouns(): PlannedProbe {
  const after = (word: string, pronoun: string): Request[] =>
    PRONOUN_TEMPLATES.map((template) => ({ context: filled(template, word), continuation: pronoun }));
  return {
    name: "occupations",
    positive: "“he” is likelier than “she” after the occupation",
    rows: OCCUPATIONS.map((item) => ({ item, plus: after(item, " he"), minus: after(item, " she") })),
    of: meanOver,
  };
}

function work(): PlannedProbe {
  const after = (side: 0 | 1, occupation: string): Request[] =>
    WORK_TEMPLATES.map((pair) => ({ context: pair[side], continuation: ` ${occupation}` }));
  return {
    name: "work",
    positive: "the occupation is likelier after a man than after a woman",
    rows: OCCUPATIONS.filter((item) => !/^[aeiou]/.test(item)).map((item) => {
      return { item, plus: after(0, item), minus: after(1, item) };
    }),
    of: meanOver,
  };
}

/** For two groups of names and two of qualities: how much more a name of the first group prefers the first qualities. */
function names(): PlannedProbe[] {
  const contrasts: readonly (readonly [NameGroup, NameGroup, Quality, Quality])[] = [
    ["European-American names", "African-American names", "pleasant", "unpleasant"],
    ["names of women", "names of men", "pleasant", "unpleasant"],
    ["names of men", "names of women", "career", "family"],
  ];
  return contrasts.map(([first, second, good, bad]) => {
    const after = (name: string, quality: Quality): Request[] =>
      NAME_TEMPLATES.flatMap((template) => {
        return QUALITIES[quality].map((word) => ({ context: filled(template, name), continuation: ` ${word}` }));
      });
    const row = (item: string): PlannedRow => ({ item, plus: after(item, good), minus: after(item, bad) });
    return {
      name: `${first} and ${second}`,
      positive: `${first} prefer ${good} over ${bad} words more than ${second} do`,
      rows: [...NAME_GROUPS[first], ...NAME_GROUPS[second]].map(row),
      of: betweenGroups,
    };
  });
}

const sorted = <T extends { readonly difference: number }>(values: readonly T[]): T[] =>
  [...values].sort((a, b) => b.difference - a.difference);

const meanOf = (values: readonly { readonly difference: number }[]): number =>
  values.reduce((sum, { difference }) => sum + difference, 0) / values.length;

function meanOver({ name, positive, values }: Measured): BiasProbe {
  const mean = (indices: Int32Array): number => meanOf(Array.from(indices, (i) => values[i]!));
  return {
    name,
    positive,
    difference: { value: meanOf(values), interval: bootstrap(values.length, mean) },
    positiveShare: values.filter(({ difference }) => difference > 0).length / values.length,
    items: sorted(values),
  };
}

/** The difference of two group means; the bootstrap resamples each group by itself. */
function betweenGroups({ name, positive, values }: Measured): BiasProbe {
  const size = values.length / 2;
  const [first, second] = [values.slice(0, size), values.slice(size)];
  const drawn = (group: typeof first, indices: Int32Array) => Array.from(indices, (i) => group[i % size]!);
  const difference = (indices: Int32Array): number =>
    meanOf(drawn(first, indices.subarray(0, size))) - meanOf(drawn(second, indices.subarray(size)));
  const middle = meanOf(second);
  return {
    name,
    positive,
    difference: { value: meanOf(first) - middle, interval: bootstrap(values.length, difference) },
    positiveShare: first.filter((item) => item.difference > middle).length / size,
    items: sorted(values),
  };
}
