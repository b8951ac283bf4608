import { opCase } from "../op-case.js";
import { CaseContents, startOf, withSpareIndices } from "./contents.js";
import { opTest } from "./op-test.js";

const contents = new CaseContents(20190220);

/** Rows, classes, deviation of the logits. */
const SIZES = [
  [0, 5, 1],
  [1, 1, 1],
  [3, 2, 1],
  [7, 50, 3],
  [33, 257, 1],
  [4, 1001, 30],
  [2, 50257, 2],
] as const;

/** Exponentials of logits up to 100, but losses as large (0.9 ulp). */
export const crossEntropy = opTest(
  4,
  SIZES.flatMap(([N, V, deviation]) => {
    // Every third row is ignored, by different negative numbers.
    const drawn = contents.random.integers(N, V).map((target, n) => (n % 3 === 1 ? -1 - 99 * (n % 2) : target));
    const [dims, scalars, targets] = [{ N, V }, { scale: 1 / 7 }, withSpareIndices(drawn)];
    const [logits, both, losses] = [contents.rows(N, V, deviation), startOf("both"), contents.rows(N, 1)];
    const label = `N=${N} V=${V} deviation=${deviation}`;
    const inPlace = { losses, dlogits: both, logits: both, targets };
    return [
      opCase("crossEntropy", `loss only ${label}`, { losses, logits, targets }, dims, scalars),
      opCase("crossEntropy", label, { losses, dlogits: contents.rows(N, V), logits, targets }, dims, scalars),
      opCase("crossEntropy", `in place ${label}`, inPlace, dims, scalars, { both: logits }),
    ];
  }),
);
