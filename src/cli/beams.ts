import { type Command, InvalidArgumentError } from "commander";
import { UsageError } from "../errors.js";
import type { BeamOptions } from "../generate/beam/options.js";
import type { BeamResult } from "../generate/beam/run.js";
import type { MoreSamplingOptions } from "../generate/sampling/options.js";
import type { Completion } from "../gpt2/options.js";
import { count, number } from "./options.js";
import type { SampleToken } from "./sample-writer.js";

export interface BeamFlags {
  readonly beams?: number;
  readonly lengthPenalty?: number;
  readonly earlyStopping?: boolean | "never";
  readonly beamGroups?: number;
  readonly diversityPenalty?: number;
}

function stopping(text: string): boolean | "never" {
  if (text === "never") return text;
  if (text === "true" || text === "false") return text === "true";
  throw new InvalidArgumentError("Not true, false or never.");
}

/** Adds the options of beam search. */
export function addBeamOptions(command: Command): Command {
  return command
    .option("--beams <n>", "beam search with n beams, without sampling; --samples texts are printed", count)
    .option("--length-penalty <x>", "beams: log-probabilities are divided by length to this power (default: 1)", number)
    .option(
      "--early-stopping <when>",
      "beams: end with the first complete texts (true), or when no better are likely (false) or possible (never)",
      stopping,
    )
    .option("--beam-groups <n>", "beams: groups that avoid each other's tokens, for different texts", count)
    .option("--diversity-penalty <x>", "beams: penalty of a token that another group took in the same step", number);
}

/** Flags without effect on a beam search. */
const OF_SAMPLING = [
  "temperature",
  "topK",
  "topP",
  "minP",
  "seed",
  "promptLookup",
  "draft",
  "draftTokens",
  "watermark",
  "trace",
  "regex",
  "choices",
  "bestOf",
] as const;

interface OtherFlags extends BeamFlags, Partial<Record<(typeof OF_SAMPLING)[number], unknown>> {
  readonly samples: number;
  readonly maxTokens: number;
  readonly repetitionPenalty?: number;
  readonly stop?: readonly string[];
  readonly ignoreEot?: true;
}

/**
 * The options of a beam search.
 *
 * @param more of `--sampling`
 * @throws {UsageError} flags of beam search without `--beams`, or of sampling beside it.
 */
export function beamOptions(flags: OtherFlags, more: MoreSamplingOptions): BeamOptions | undefined {
  const { beams, lengthPenalty, earlyStopping, beamGroups: groups, diversityPenalty } = flags;
  const own = { lengthPenalty, earlyStopping, beamGroups: groups, diversityPenalty };
  if (beams === undefined) {
    const alone = Object.entries(own).find(([, value]) => value !== undefined);
    if (alone) throw new UsageError({ op: flagOf(alone[0]), expected: "--beams with it", got: "none" });
    return undefined;
  }
  const other = OF_SAMPLING.find((name) => flags[name] !== undefined);
  if (other) throw new UsageError({ op: "--beams", expected: "no sampling options", got: flagOf(other) });
  const { samples, maxTokens, repetitionPenalty, stop, ignoreEot } = flags;
  return {
    ...more,
    ...{ beams, nBest: samples, lengthPenalty, earlyStopping, groups, diversityPenalty },
    ...{ maxNewTokens: maxTokens, repetitionPenalty, stop, stopAtEndOfText: !ignoreEot },
  };
}

const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The tokens of complete texts, one text after another. */
export async function* tokensOf(results: Promise<readonly (BeamResult | Completion)[]>): AsyncGenerator<SampleToken> {
  for (const [sample, { tokens, logprobs, text, finishReason, ...rest }] of (await results).entries()) {
    for (const [i, token] of tokens.entries()) {
      const last = i === tokens.length - 1;
      const end = last && { finishReason, ...("score" in rest && { score: rest.score }) };
      yield { token, logprob: logprobs[i]!, sample, text: last ? text : "", ...end };
    }
  }
}
