import { opCase } from "../op-case.js";
import { CaseContents, withSpareIndices } from "./contents.js";
import { opTest } from "./op-test.js";

const contents = new CaseContents(20190218);

const SIZES = [
  [0, 4],
  [1, 1],
  [7, 33],
  [130, 48],
] as const;

export const scatterRows = opTest(
  0,
  SIZES.map(([N, W]) => {
    const [ldsrc, lddst, rows] = [3 * W, W + 5, N + 9];
    const index = withSpareIndices(contents.random.distinct(N, rows));
    const tensors = { dst: contents.floats(rows * lddst), src: contents.rows(N, ldsrc), index };
    return opCase("scatterRows", `N=${N} W=${W}`, tensors, { N, W, ldsrc, lddst }, {});
  }),
);

export const gatherRows = opTest(
  0,
  SIZES.map(([N, W]) => {
    const rows = N + 9;
    const tensors = { out: contents.rows(N, W), x: contents.floats(rows * W), index: contents.indices(N, rows) };
    return opCase("gatherRows", `N=${N} W=${W}`, tensors, { N, W }, {});
  }),
);
