import type { ModelConfig } from "../../architectures/config.js";
import { TokenizerError } from "../../errors.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { checkOptionNames } from "../../util/nearest.js";
import {
  CALIBRATED_LENGTHS,
  type Calibration,
  calibrationOf,
  type Fingerprint,
  PROBE,
  SHORTEST,
} from "./calibration.js";
import type { Detection } from "./detect.js";
import { passagesOf, spread } from "./passages.js";
import type { TokenStatistics } from "./token-statistics.js";

export interface DetectingOptions<Model> {
  readonly adapter?: string | null | undefined;
  readonly observer?: Model | undefined;
  readonly calibration?: Calibration | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The parts of a model that calibration uses; `GPT2` has them. */
export interface DetectingModel {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer | undefined;
  score(
    text: string,
    options?: Pick<DetectingOptions<never>, "adapter" | "signal">,
  ): Promise<{
    readonly logprob: number;
    readonly tokens: readonly number[];
  }>;
  detect(text: readonly number[], options?: DetectingOptions<this>): Promise<Detection>;
}

export interface CalibrateOptions<Model> {
  /** Name of the set of human texts. */
  readonly name: string;
  /** Most passages, evenly spread over the documents. Default 1,000. */
  readonly passages?: number | undefined;
  readonly adapter?: string | null | undefined;
  /** For Binoculars. */
  readonly observer?: Model | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Scores passages of human documents, from which {@link falsePositives} tells how often such texts score as high as another.
 *
 * @throws {DataError} there are fewer than 100 passages of 32 tokens.
 * @throws {TokenizerError} the model has no tokenizer.
 */
export async function calibrateDetection<Model extends DetectingModel>(
  model: Model,
  documents: Iterable<string>,
  options: CalibrateOptions<Model>,
): Promise<Calibration> {
  checkOptionNames("calibrating", options, {
    name: true,
    passages: true,
    adapter: true,
    observer: true,
    signal: true,
    onProgress: true,
  });
  const { name, passages: most = 1000, adapter, observer, signal, onProgress } = options;
  const tokenizer = needTokenizer(model);
  const longest = CALIBRATED_LENGTHS.filter((tokens) => tokens <= Math.min(512, model.config.nCtx)).at(-1) ?? SHORTEST;
  const all: number[][] = [];
  for (const document of documents) {
    for (const passage of passagesOf(document, tokenizer, longest)) if (passage.length >= SHORTEST) all.push(passage);
  }
  const chosen = spread(all, most);
  const statistics: TokenStatistics[] = [];
  for (const passage of chosen) {
    statistics.push((await model.detect(passage, { adapter, observer, calibration: null, signal })).statistics);
    onProgress?.(statistics.length, chosen.length);
  }
  return calibrationOf(statistics, {
    name,
    model: await fingerprintOf(model, { adapter, signal }),
    observer: observer && (await fingerprintOf(observer, { signal })),
  });
}

/** The fingerprint by which a {@link Calibration} recognizes a model. */
export async function fingerprintOf(
  model: Pick<DetectingModel, "config" | "score">,
  options: Pick<DetectingOptions<never>, "adapter" | "signal">,
): Promise<Fingerprint> {
  const { nLayer, nEmbd, vocabSize } = model.config;
  const { logprob, tokens } = await model.score(PROBE, options);
  return { nLayer, nEmbd, vocabSize, probe: Number((logprob / tokens.length).toPrecision(6)) };
}

function needTokenizer({ tokenizer }: Pick<DetectingModel, "tokenizer">): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new TokenizerError({ op: "calibrating detection", expected: "a model with a tokenizer", got: "none" });
}
