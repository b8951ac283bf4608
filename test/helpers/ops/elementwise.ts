import { ACTIVATIONS } from "../../../src/program/activations.js";
import { type OpCase, opCase } from "../op-case.js";
import { CaseContents, SPARE_ROWS, startOf } from "./contents.js";
import { opTest } from "./op-test.js";

const contents = new CaseContents(20190219);

const SIZES = [
  [0, 4],
  [1, 1],
  [7, 8],
  [131, 33],
  [260, 64],
] as const;

const DROPOUTS = [
  [0, 4, 0.5],
  [1, 1, 0.5],
  [5, 33, 0.1],
  [131, 70, 0.75],
  [3, 20, 0],
] as const;

/** The same mask everywhere, bit for bit; the scaling and adding the residual round (0.7 ulp). */
export const dropout = opTest(
  2,
  DROPOUTS.flatMap(([N, C, p]) => {
    const [dims, x, scalars] = [{ N, C }, contents.rows(N, C), { p, key0: 0xfedcba98, key1: 0xfffffffe }];
    const label = `N=${N} C=${C} p=${p}`;
    const [out, residual, both] = [contents.rows(N, C), contents.rows(N, C), startOf("both")];
    const shared = { both: residual };
    return [
      opCase("dropout", label, { out, x }, dims, scalars),
      opCase("dropout", `with residual ${label}`, { out, x, residual }, dims, scalars),
      opCase("dropout", `onto the residual ${label}`, { out: both, x, residual: both }, dims, scalars, shared),
      opCase("dropout", `in place ${label}`, { out: both, x: both }, dims, scalars, shared),
    ];
  }),
);

function pairCases<K extends "add" | "multiply">(kind: K): OpCase<K>[] {
  const run = opCase<"add" | "multiply">;
  return SIZES.flatMap(([N, C]) => {
    const [dims, label, both] = [{ N, C }, `N=${N} C=${C}`, startOf("both")];
    const [out, a, b] = [contents.rows(N, C), contents.rows(N, C), contents.rows(N, C, 3)];
    return [
      run(kind, label, { out, a, b }, dims, {}),
      run(kind, `onto the first ${label}`, { out: both, a: both, b }, dims, {}, { both: a }),
      run(kind, `onto the second ${label}`, { out: both, a, b: both }, dims, {}, { both: b }),
      run(kind, `with itself ${label}`, { out, a: both, b: both }, dims, {}, { both: a }),
    ] as OpCase<K>[];
  });
}

/** One rounding. */
export const add = opTest(0.5, pairCases("add"));
/** One rounding. */
export const multiply = opTest(0.5, pairCases("multiply"));

/** One product (0.5 ulp). */
export const scaleColumns = opTest(
  1,
  SIZES.flatMap(([N, C]) => {
    const [dims, label, both] = [{ N, C }, `N=${N} C=${C}`, startOf("both")];
    const [out, x, gain, index] = [
      contents.rows(N, C),
      contents.rows(N, C),
      contents.floats(3 * C),
      contents.indices(N, 3),
    ];
    return [
      opCase("scaleColumns", `by the first row ${label}`, { out, x, gain }, dims, {}),
      opCase("scaleColumns", `by a row for each token ${label}`, { out, x, gain, index }, dims, {}),
      opCase("scaleColumns", `in place ${label}`, { out: both, x: both, gain, index }, dims, {}, { both: x }),
    ];
  }),
);

/** GELU (1 ulp). */
export const activation = opTest(
  4,
  SIZES.flatMap(([N, C]) =>
    ACTIVATIONS.flatMap((act) => {
      const [dims, label, both] = [{ N, C }, `${act} N=${N} C=${C}`, startOf("both")];
      const x = contents.rows(N, C, 2);
      return [
        opCase("activation", label, { out: contents.rows(N, C), x }, dims, { act }),
        opCase("activation", `in place ${label}`, { out: both, x: both }, dims, { act }, { both: x }),
      ];
    }),
  ),
);

/** The derivatives (4.5 ulp). */
export const activationBackward = opTest(
  12,
  SIZES.flatMap(([N, C]) =>
    ACTIVATIONS.flatMap((act) => {
      const [dims, label, both] = [{ N, C }, `${act} N=${N} C=${C}`, startOf("both")];
      const [x, dout] = [contents.rows(N, C, 2), contents.rows(N, C)];
      return [
        opCase("activationBackward", label, { dx: contents.rows(N, C), dout, x }, dims, { act }),
        opCase("activationBackward", `in place ${label}`, { dx: both, dout: both, x }, dims, { act }, { both: dout }),
      ];
    }),
  ),
);

export const fill = opTest(
  0,
  [0, 1, 5, 100, 4099, 40_007].map((size) =>
    opCase("fill", `size=${size}`, { x: contents.floats(size + SPARE_ROWS) }, { size }, { value: -2.5 }),
  ),
);
