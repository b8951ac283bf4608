import type { ModelConfig } from "../architectures/config.js";
import {
  type LoraRanks,
  type LoraTarget,
  loraRanks,
  loraScale,
  loraTable,
  loraTargets,
} from "../architectures/lora.js";
import { tensorTable } from "../architectures/registry.js";
import { isOfWholeModule } from "../architectures/task-head.js";
import { numel, type TensorSpec } from "../architectures/tensor-spec.js";
import { UsageError } from "../errors.js";
import { checkOptionNames } from "../util/nearest.js";

/** Vectors of the model that can be trained beside an adapter. */
export const LORA_EXTRAS = ["norms", "biases"] as const;
export type LoraExtra = (typeof LORA_EXTRAS)[number];

/** Settings for training an adapter, which are saved in checkpoints. */
export interface LoraSettings {
  /** Inner width of the added matrices, r. */
  readonly rank: number;
  /** Numerator of the LoRA scaling alpha / rank. */
  readonly alpha: number;
  /** Scaling alpha / √rank instead (rsLoRA). */
  readonly rankStabilized: boolean;
  /** Dropout probability of the adapter's input. */
  readonly dropout: number;
  /** The linear layers of each block that are adapted, by name. */
  readonly targets: readonly LoraTarget[];
  /** Vectors to train as well: layer norms, biases. */
  readonly extras: readonly LoraExtra[];
}

/** All linear layers of a model. */
const ALL_LINEAR = "all-linear";

/**
 * Every linear layer is adapted, while PEFT's default for GPT-2 is only attn.c_attn: with the same number of parameters this
 * learns better (Dettmers et al. 2023, "QLoRA", figure 2; docs/finetuning.md has our own figures). alpha is twice the rank.
 */
export const LORA_DEFAULTS: LoraSettings = {
  rank: 8,
  alpha: 16,
  rankStabilized: false,
  dropout: 0,
  targets: [ALL_LINEAR],
  extras: [],
};

/** The architecture whose linear layers are meant. */
type WithArchitecture = Pick<ModelConfig, "architecture">;

const A_GPT2: WithArchitecture = { architecture: "gpt2" };

/** A linear layer's name in PEFT, without its parent's: in GPT-2, `c_proj` is in attention and in the MLP. */
const shortName = (target: LoraTarget): string => target.slice(target.lastIndexOf(".") + 1);

/**
 * Targets by name (this package's, PEFT's, or `all-linear`), in the model's order.
 *
 * @throws {UsageError} there is none, or a name is unknown.
 */
export function parseTargets(names: readonly string[], config: WithArchitecture = A_GPT2): LoraTarget[] {
  const targets = loraTargets(config);
  const expected = [...new Set([...targets, ...targets.map(shortName), ALL_LINEAR])].join(", ");
  const matches = (name: string, target: LoraTarget): boolean =>
    name === ALL_LINEAR || name === target || name === shortName(target);
  for (const name of names) {
    if (targets.some((target) => matches(name, target))) continue;
    throw new UsageError({ op: "LoRA targets", expected, got: name });
  }
  if (names.length === 0) throw new UsageError({ op: "LoRA targets", expected, got: "none" });
  return targets.filter((target) => names.some((name) => matches(name, target)));
}

/**
 * Completes the settings with their defaults.
 *
 * @param config the configuration of the adapter's model. Default: a GPT-2's
 * @throws {UsageError} a value is out of range, or the model lacks a target.
 */
export function loraSettings(partial: Partial<LoraSettings> = {}, config: WithArchitecture = A_GPT2): LoraSettings {
  checkOptionNames("LoRA settings", partial, LORA_DEFAULTS);
  const { rank = LORA_DEFAULTS.rank } = partial;
  const settings = { ...LORA_DEFAULTS, alpha: 2 * rank, ...partial, rank };
  const { alpha, dropout, extras } = settings;
  check("rank", Number.isInteger(rank) && rank >= 1 && rank <= 65536, "an integer from 1 to 65536", rank);
  check("alpha", Number.isFinite(alpha) && alpha > 0, "a positive number", alpha);
  check("dropout", dropout >= 0 && dropout <= 0.99, "a number from 0 to 0.99", dropout);
  const unknown = extras.find((extra) => !LORA_EXTRAS.includes(extra));
  check("extras", unknown === undefined, LORA_EXTRAS.join(" or "), unknown);
  return { ...settings, targets: parseTargets(settings.targets, config) };
}

function check(name: string, holds: boolean, expected: string, got: unknown): void {
  if (!holds) throw new UsageError({ op: `LoRA: ${name}`, expected, got: String(got) });
}

/** Trained tensors of a run with an adapter. */
export interface LoraPlan {
  readonly ranks: LoraRanks;
  readonly scale: number;
  /** Tensors of the model's table that are trained too. */
  readonly extras: ReadonlySet<string>;
  /** All trained tensors: the extras, then the adapter. */
  readonly table: readonly TensorSpec[];
  /** Number of trained parameters. */
  readonly parameters: number;
}

export function loraPlan(
  config: ModelConfig,
  { rank, alpha, rankStabilized, targets, extras }: LoraSettings,
): LoraPlan {
  const isExtra = ({ name, shape, norm }: TensorSpec): boolean => {
    if (isOfWholeModule(config, name)) return true;
    if (shape.length > 1) return false;
    return (norm === true && extras.includes("norms")) || (/\.bias$/.test(name) && extras.includes("biases"));
  };
  const specs = tensorTable(config).filter(isExtra);
  const ranks = loraRanks(config, targets, rank);
  const table = [...specs, ...loraTable(config, ranks)];
  return {
    ranks,
    scale: loraScale(alpha, rank, rankStabilized),
    extras: new Set(specs.map(({ name }) => name)),
    table,
    parameters: table.reduce((sum, { shape }) => sum + numel(shape), 0),
  };
}
