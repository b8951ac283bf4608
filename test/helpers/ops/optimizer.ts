import { type OpCase, opCase } from "../op-case.js";
import { CaseContents, SPARE_ROWS } from "./contents.js";
import { opTest } from "./op-test.js";

const contents = new CaseContents(20190221);

const SIZES = [0, 1, 5, 100, 4099, 40_007];

/** Summed in double precision, rounded once (0.3 ulp); squares also beyond the range of single precision. */
export const norm = opTest(
  1,
  SIZES.flatMap((size) =>
    [1, 1e25].map((deviation) => {
      const tensors = { norm: contents.floats(1), x: contents.floats(size + SPARE_ROWS, deviation) };
      return opCase("norm", `size=${size} deviation=${deviation}`, tensors, { size }, {});
    }),
  ),
);

interface Step {
  readonly maxNorm: number;
  readonly weightDecay: number;
  readonly step: number;
  readonly norm?: Float32Array;
}

function adamwCase(name: string, size: number, { maxNorm, weightDecay, step, norm }: Step): OpCase<"adamw"> {
  const padded = size + SPARE_ROWS;
  const tensors = {
    param: contents.floats(padded),
    grad: contents.floats(padded, 0.1),
    m: contents.floats(padded, 0.01),
    v: contents.floats(padded, 0.01).map(Math.abs),
    norm,
  };
  const rates = { lr: 1e-2, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay, maxNorm };
  const corrections = { correction1: 1 - 0.9 ** step, correction2: 1 - 0.95 ** step };
  return opCase("adamw", `${name} size=${size}`, tensors, { size }, { ...rates, ...corrections });
}

/** Some ten roundings an element (0.8 ulp). */
export const adamw = opTest(
  4,
  SIZES.flatMap((size) => [
    adamwCase("no clipping, no decay", size, { maxNorm: 0, weightDecay: 0, step: 1 }),
    adamwCase("clipped and decayed", size, { maxNorm: 1, weightDecay: 0.1, step: 3, norm: Float32Array.of(2.5) }),
    adamwCase("below the clipping norm", size, {
      maxNorm: 1,
      weightDecay: 0.1,
      step: 1000,
      norm: Float32Array.of(0.5),
    }),
  ]),
);
