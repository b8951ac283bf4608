import { layernormForward as reference } from "../../../src/backend/reference/layernorm.js";
import { type OpCase, opCase } from "../op-case.js";
import { CaseContents } from "./contents.js";
import { opTest } from "./op-test.js";

const contents = new CaseContents(20190215);

const SIZES = [
  [0, 4],
  [1, 1],
  [1, 3],
  [3, 7],
  [2, 16],
  [130, 17],
  [5, 65],
  [3, 100],
  [2, 257],
  [4, 768],
] as const;

function inputs(N: number, C: number) {
  const [x, weight, bias] = [contents.rows(N, C, 2, 1), contents.floats(C, 0.5, 1), contents.floats(C)];
  // One channel has no variance: its gradient is a difference of equal terms, which a small epsilon makes huge.
  return { x, weight, bias, scalars: { epsilon: C === 1 ? 1 : 1e-5 }, label: `N=${N} C=${C}` };
}

/** Sums of C, squares, a reciprocal root (2.2 ulp). */
export const layernormForward = opTest(
  8,
  SIZES.flatMap(([N, C]) => {
    const { x, weight, bias, scalars, label } = inputs(N, C);
    const tensors = { out: contents.rows(N, C), x, weight, bias };
    const saved = { mean: contents.rows(N, 1), rstd: contents.rows(N, 1) };
    return [
      opCase("layernormForward", label, { ...tensors, ...saved }, { N, C }, scalars),
      opCase("layernormForward", `keeping nothing ${label}`, tensors, { N, C }, scalars),
    ];
  }),
);

/** Sums over C and over up to 130 rows (4.2 ulp). */
export const layernormBackward = opTest(
  16,
  SIZES.flatMap(([N, C]) => {
    const { x, weight, bias, scalars, label } = inputs(N, C);
    const [dout, saved] = [contents.rows(N, C), { mean: contents.rows(N, 1), rstd: contents.rows(N, 1) }];
    reference({ out: contents.rows(N, C), ...saved, x, weight, bias }, { N, C }, scalars);
    const backward = (
      name: string,
      gradients: { dweight?: Float32Array; dbias?: Float32Array },
      overwrite: boolean,
    ): OpCase<"layernormBackward"> => {
      const tensors = { dx: contents.rows(N, C), ...gradients, dout, x, weight, ...saved };
      return opCase("layernormBackward", `${name} ${label}`, tensors, { N, C }, { overwrite });
    };
    const [dweight, dbias] = [contents.floats(C), contents.floats(C)];
    return [
      backward("adding to dx", { dweight, dbias }, false),
      backward("overwriting dx", { dweight, dbias }, true),
      backward("dx only", {}, false),
      backward("no dbias", { dweight }, true),
      backward("no dweight", { dbias }, true),
    ];
  }),
);
