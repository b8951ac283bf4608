import { UsageError } from "../../errors.js";
import { checkOptionNames } from "../../util/nearest.js";
import { MORE_SAMPLING_NAMES, type MoreSampling, type MoreSamplingOptions, moreSampling } from "../sampling/options.js";

/** Options that change single log-probabilities, in beam search and in sampling. */
export type BeamLimits = Pick<
  MoreSamplingOptions,
  | "presencePenalty"
  | "frequencyPenalty"
  | "logitBias"
  | "badWords"
  | "allowedIds"
  | "minNewTokens"
  | "dryMultiplier"
  | "dryBase"
  | "dryAllowedLength"
  | "dryBreakers"
>;

export interface BeamOptions extends BeamLimits {
  /** Continuations kept at each step. Default 4. */
  readonly beams?: number | undefined;
  /** Number of the best continuations to return, at most `beams`. Default 1. */
  readonly nBest?: number | undefined;
  /** Tokens to generate at most. Default 200. */
  readonly maxNewTokens?: number | undefined;
  /**
   * A continuation's score is its log-probability divided by its length to this power: above 0 longer ones gain, below 0
   * shorter ones. Default 1.
   */
  readonly lengthPenalty?: number | undefined;
  /**
   * When the search ends. `true`: as soon as `beams` continuations are complete; `false`, the default: when the best
   * unfinished one, at its present length, scores no more than the worst of these; `"never"`: when none can ever score
   * more.
   */
  readonly earlyStopping?: boolean | "never" | undefined;
  /** Number of groups of beams that avoid each other's tokens (diverse beam search). Default 1. */
  readonly groups?: number | undefined;
  /** Penalty of a token in a group's choice, for each time that an earlier group chose it in this step. Default 0. */
  readonly diversityPenalty?: number | undefined;
  /** Log-probabilities of tokens that are in the text already are multiplied by this. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** A continuation ends before any of these strings. */
  readonly stop?: string | readonly string[] | undefined;
  /** Ids that end a continuation besides `<|endoftext|>`. */
  readonly stopTokens?: readonly number[] | undefined;
  /** Whether `<|endoftext|>` ends a continuation, as default, or is a token like any other. */
  readonly stopAtEndOfText?: boolean | undefined;
  /** Whether a prompt longer than the context is cut to its last half context. Default false: it is an error. */
  readonly truncatePrompt?: boolean | undefined;
  /** Waiting requests of higher priority start first. Default 0. */
  readonly priority?: number | undefined;
  /** Prompts are shared in the cache only among requests of the same scope. Default "". */
  readonly scope?: string | undefined;
  /** Name of a loaded adapter to use, or null for the model as it is; by default the adapter `default`, if there is one. */
  readonly adapter?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BeamSettings {
  readonly beams: number;
  readonly nBest: number;
  readonly maxNewTokens: number;
  readonly lengthPenalty: number;
  readonly earlyStopping: boolean | "never";
  readonly groups: number;
  readonly diversityPenalty: number;
  readonly repetitionPenalty: number;
  readonly limits: MoreSampling;
  readonly stop: readonly string[];
  readonly stopTokens: readonly number[];
  readonly stopAtEndOfText: boolean;
  readonly truncatePrompt: boolean;
  readonly priority: number;
  readonly scope: string;
  readonly signal: AbortSignal | undefined;
  /** Called when the search begins to be computed. @param cached prompt tokens found in the cache */
  readonly started?: ((cached: number) => void) | undefined;
}

const DEFAULT_BEAMS = 4;

/** The options with their defaults. @throws {UsageError} a value out of range. */
export function beamSettings(options: BeamOptions): BeamSettings {
  const { presencePenalty, frequencyPenalty, logitBias, badWords, allowedIds, minNewTokens } = MORE_SAMPLING_NAMES;
  const { dryMultiplier, dryBase, dryAllowedLength, dryBreakers } = MORE_SAMPLING_NAMES;
  checkOptionNames<BeamOptions>("beam search", options, {
    ...{ presencePenalty, frequencyPenalty, logitBias, badWords, allowedIds, minNewTokens },
    ...{ dryMultiplier, dryBase, dryAllowedLength, dryBreakers },
    beams: true,
    nBest: true,
    maxNewTokens: true,
    lengthPenalty: true,
    earlyStopping: true,
    groups: true,
    diversityPenalty: true,
    repetitionPenalty: true,
    stop: true,
    stopTokens: true,
    stopAtEndOfText: true,
    truncatePrompt: true,
    priority: true,
    scope: true,
    adapter: true,
    signal: true,
  });
  const { beams = DEFAULT_BEAMS, nBest = 1, maxNewTokens = 200, lengthPenalty = 1, earlyStopping = false } = options;
  const { groups = 1, diversityPenalty = 0, repetitionPenalty = 1, stop = [], stopTokens = [] } = options;
  const { stopAtEndOfText = true, truncatePrompt = false, priority = 0, scope = "", signal } = options;
  const stops = typeof stop === "string" ? [stop] : stop;
  check("beams", beams, "a positive integer", isCount(beams) && beams >= 1);
  check(
    "nBest",
    nBest,
    `an integer from 1 to ${beams}, the number of beams`,
    isCount(nBest) && nBest >= 1 && nBest <= beams,
  );
  check("maxNewTokens", maxNewTokens, "0 or a positive integer", isCount(maxNewTokens));
  check("lengthPenalty", lengthPenalty, "a number", Number.isFinite(lengthPenalty));
  check("earlyStopping", earlyStopping, 'true, false or "never"', [true, false, "never"].includes(earlyStopping));
  const even = isCount(groups) && groups >= 1 && beams % groups === 0;
  check("groups", groups, `a number that divides ${beams}, the number of beams`, even);
  const fair = Number.isFinite(diversityPenalty) && diversityPenalty >= 0;
  check("diversityPenalty", diversityPenalty, "0 or a positive number", fair);
  if (diversityPenalty > 0) check("groups", groups, "two groups or more beside a diversityPenalty", groups > 1);
  const positive = repetitionPenalty > 0 && repetitionPenalty < Infinity;
  check("repetitionPenalty", repetitionPenalty, "a positive number", positive);
  check("stop", '""', "strings that are not empty", !stops.includes(""));
  check("priority", priority, "a number", Number.isFinite(priority));
  return {
    ...{ beams, nBest, maxNewTokens, lengthPenalty, earlyStopping, groups, diversityPenalty, repetitionPenalty },
    ...{ stop: stops, stopTokens, stopAtEndOfText, truncatePrompt, priority, scope, signal },
    limits: moreSampling(options),
  };
}

const isCount = (x: number): boolean => Number.isSafeInteger(x) && x >= 0;

function check(op: string, got: unknown, expected: string, holds: boolean): void {
  if (!holds) throw new UsageError({ op, expected, got: String(got) });
}
