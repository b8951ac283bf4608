import { type OpCase, opCase, type Part } from "../op-case.js";
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

const startOf = (buffer: string): Part => ({ buffer, at: 0 });

/** Two averages (0.8 ulp). */
export const momentum = opTest(
  2,
  SIZES.flatMap((size) =>
    [
      { label: "no clipping", maxNorm: 0, norm: undefined },
      { label: "clipped", maxNorm: 1, norm: Float32Array.of(2.5) },
      { label: "below the clipping norm", maxNorm: 1, norm: Float32Array.of(0.5) },
    ].map(({ label, maxNorm, norm }) => {
      const rows = (deviation: number) => contents.floats(size + SPARE_ROWS, deviation);
      const tensors = { out: rows(1), m: rows(0.1), grad: rows(0.1), norm };
      return opCase("momentum", `${label} size=${size}`, tensors, { size }, { momentum: 0.95, maxNorm });
    }),
  ),
);

/** Factors and products rounded (1 ulp). */
export const weightedSum = opTest(
  3,
  SIZES.flatMap((size) => {
    const rows = () => contents.floats(size + SPARE_ROWS);
    const [a, b, dims, label] = [rows(), rows(), { size }, `size=${size}`];
    const factors = { alpha: -4.775, beta: 2.0315, epsilon: 1e-7 };
    const both = startOf("both");
    const [norm, small] = [Float32Array.of(3.7), Float32Array.of(1e-9)];
    return [
      opCase("weightedSum", `of two ${label}`, { out: rows(), a, b }, dims, factors),
      opCase("weightedSum", `of one ${label}`, { out: rows(), a }, dims, factors),
      opCase("weightedSum", `divided ${label}`, { out: rows(), a, b, norm }, dims, factors),
      opCase("weightedSum", `divided by epsilon ${label}`, { out: rows(), a, norm: small }, dims, factors),
      opCase("weightedSum", `onto the first ${label}`, { out: both, a: both, b }, dims, factors, { both: a }),
      opCase("weightedSum", `onto the second ${label}`, { out: both, a, b: both }, dims, factors, { both: b }),
    ];
  }),
);

/** Two products and a difference (1 ulp). */
export const decayedStep = opTest(
  3,
  SIZES.flatMap((size) =>
    [0, 0.1].map((weightDecay) => {
      const tensors = { param: contents.floats(size + SPARE_ROWS), step: contents.floats(size + SPARE_ROWS) };
      const rates = { lr: 2e-2, scale: 3.2, weightDecay };
      return opCase("decayedStep", `size=${size} decay=${weightDecay}`, tensors, { size }, rates);
    }),
  ),
);
