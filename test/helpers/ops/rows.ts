import { type Contents, opCase } from "../op-case.js";
import { CaseContents, SPARE_ROWS, withSpareIndices } from "./contents.js";
import { opTest } from "./op-test.js";
import { packedWeights } from "./packed-weights.js";

const contents = new CaseContents(20190218);

const SIZES = [
  [0, 4],
  [1, 1],
  [7, 33],
  [130, 48],
] as const;

/** Numbers of all magnitudes, some beyond f16's. */
const manyMagnitudes = (length: number): Float32Array =>
  contents.floats(length).map((value, i) => value * 2 ** ((i % 43) - 25));

export const scatterRows = opTest(
  0,
  SIZES.flatMap(([N, W]) => {
    const [ldsrc, lddst, rows] = [3 * W, W + 5, N + 9];
    const index = withSpareIndices(contents.random.distinct(N, rows));
    const scatter = (name: string, dst: Contents) => {
      const tensors = { dst, src: manyMagnitudes((N + SPARE_ROWS) * ldsrc), index };
      return opCase("scatterRows", `${name} N=${N} W=${W}`, tensors, { N, W, ldsrc, lddst }, {});
    };
    return [
      scatter("f32", contents.floats(rows * lddst)),
      scatter("f16", packedWeights(contents, "f16", rows * lddst, 1)),
    ];
  }),
);

export const gatherRows = opTest(
  0,
  SIZES.flatMap(([N, W]) => {
    const rows = N + 9;
    return [contents.floats(rows * W), packedWeights(contents, "f16", rows * W, 1)].map((x) => {
      const tensors = { out: contents.rows(N, W), x, index: contents.indices(N, rows) };
      return opCase("gatherRows", `N=${N} W=${W}`, tensors, { N, W }, {});
    });
  }),
);
