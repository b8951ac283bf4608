import type { GPT2Config } from "../architectures/gpt2/config.js";
import { numel, type TensorSpec, tensorTable } from "../architectures/gpt2/tensors.js";
import {
  LORA_TARGETS,
  type LoraRanks,
  type LoraTarget,
  loraRanks,
  loraScale,
  loraTable,
} from "../architectures/lora.js";
import { UsageError } from "../errors.js";

/** Vectors of the model that can be trained beside an adapter. */
export const LORA_EXTRAS = ["norms", "biases"] as const;
export type LoraExtra = (typeof LORA_EXTRAS)[number];

/** How an adapter is trained; saved in checkpoints. */
export interface LoraSettings {
  /** Inner width of the added matrices, r. */
  readonly rank: number;
  /** The product is multiplied by alpha / rank. */
  readonly alpha: number;
  /** By alpha / √rank instead (rsLoRA). */
  readonly rankStabilized: boolean;
  /** Probability of dropping each element of an adapter's input. */
  readonly dropout: number;
  /** The linear layers of each block that are adapted. */
  readonly targets: readonly LoraTarget[];
  /** What else is trained: layer norms, biases. */
  readonly extras: readonly LoraExtra[];
}

/**
 * Every linear layer is adapted, where PEFT's default for GPT-2 is attn.c_attn alone: at the same number of parameters it
 * learns better (Dettmers et al. 2023, "QLoRA", figure 2; docs/finetuning.md has our own figures). alpha is twice the rank.
 */
export const LORA_DEFAULTS: LoraSettings = {
  rank: 8,
  alpha: 16,
  rankStabilized: false,
  dropout: 0,
  targets: LORA_TARGETS,
  extras: [],
};

/** What targets may be called: our names, PEFT's (of which c_proj is both), and all of them. */
const TARGET_NAMES: Readonly<Record<string, readonly LoraTarget[]>> = {
  ...Object.fromEntries(LORA_TARGETS.map((target) => [target, [target]])),
  c_attn: ["attn.c_attn"],
  c_proj: ["attn.c_proj", "mlp.c_proj"],
  c_fc: ["mlp.c_fc"],
  "all-linear": LORA_TARGETS,
};

/** Targets by name, in the model's order. @throws {UsageError} none, or an unknown name. */
export function parseTargets(names: readonly string[]): LoraTarget[] {
  const expected = Object.keys(TARGET_NAMES).join(", ");
  const found = names.flatMap((name) => {
    const targets = Object.hasOwn(TARGET_NAMES, name) ? TARGET_NAMES[name] : undefined;
    if (targets === undefined) throw new UsageError({ op: "LoRA targets", expected, got: name });
    return targets;
  });
  if (found.length === 0) throw new UsageError({ op: "LoRA targets", expected, got: "none" });
  return LORA_TARGETS.filter((target) => found.includes(target));
}

/** Settings with every gap filled. @throws {UsageError} a value out of range. */
export function loraSettings(partial: Partial<LoraSettings> = {}): LoraSettings {
  const { rank = LORA_DEFAULTS.rank } = partial;
  const settings = { ...LORA_DEFAULTS, alpha: 2 * rank, ...partial, rank };
  const { alpha, dropout, extras } = settings;
  check("rank", Number.isInteger(rank) && rank >= 1 && rank <= 65536, "an integer from 1 to 65536", rank);
  check("alpha", Number.isFinite(alpha) && alpha > 0, "a positive number", alpha);
  check("dropout", dropout >= 0 && dropout <= 0.99, "a number from 0 to 0.99", dropout);
  const unknown = extras.find((extra) => !LORA_EXTRAS.includes(extra));
  check("extras", unknown === undefined, LORA_EXTRAS.join(" or "), unknown);
  return { ...settings, targets: parseTargets(settings.targets) };
}

function check(name: string, holds: boolean, expected: string, got: unknown): void {
  if (!holds) throw new UsageError({ op: `LoRA: ${name}`, expected, got: String(got) });
}

/** What a run with an adapter trains. */
export interface LoraPlan {
  readonly ranks: LoraRanks;
  readonly scale: number;
  /** Tensors of the model's table that are trained too. */
  readonly extras: ReadonlySet<string>;
  /** All that is trained: the extras, then the adapter. */
  readonly table: readonly TensorSpec[];
  /** How many numbers that is. */
  readonly parameters: number;
}

export function loraPlan(config: GPT2Config, { rank, alpha, rankStabilized, targets, extras }: LoraSettings): LoraPlan {
  const isExtra = ({ name, shape }: TensorSpec): boolean => {
    if (shape.length > 1) return false;
    return (/(^|\.)ln_/.test(name) && extras.includes("norms")) || (/\.bias$/.test(name) && extras.includes("biases"));
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
