import { RandomStream } from "../util/random.js";
import type { ModelConfig } from "./config.js";
import { tensorTable } from "./registry.js";
import { numel, type TensorSpec } from "./tensor-spec.js";

export interface InitOptions {
  readonly seed: number;
  /** Standard deviation of the position embeddings: 0.01 in the released code, 0.02 in most re-implementations. */
  readonly positionStd?: number;
}

/**
 * Initial values by the architecture's table. GPT-2's follow its paper (section 2.3) and the released code: weights N(0, 0.02),
 * those that write to the residual stream scaled by 1/sqrt(2 nLayer), biases 0, layer norms 1. Each tensor has its own random
 * stream, so its values do not depend on the others.
 */
export function initialTensor(
  config: ModelConfig,
  spec: TensorSpec,
  index: number,
  options: InitOptions,
): Float32Array {
  const values = new Float32Array(numel(spec.shape));
  if (spec.init === "zero") return values;
  if (spec.init === "one") return values.fill(1);
  let std = 0.02;
  if (spec.init === "position") std = options.positionStd ?? 0.01;
  if (spec.init === "residual") std /= Math.sqrt(2 * config.nLayer);
  const random = new RandomStream(options.seed, index);
  if (spec.init === "uniform") {
    const bound = 1 / Math.sqrt(spec.shape.at(-1)!);
    for (let i = 0; i < values.length; i++) values[i] = bound * (2 * random.uniform() - 1);
    return values;
  }
  for (let i = 0; i < values.length; i++) values[i] = std * random.normal();
  return values;
}

/** Name and initial values of every tensor, one at a time. */
export function* initialTensors(config: ModelConfig, options: InitOptions): Generator<[string, Float32Array]> {
  for (const [index, spec] of tensorTable(config).entries())
    yield [spec.name, initialTensor(config, spec, index, options)];
}
