import { opCase } from "../op-case.js";
import { CaseContents, SPARE_ROWS } from "./contents.js";
import { opTest } from "./op-test.js";

const contents = new CaseContents(20190221);

/** Rows, width of a row, number of its ids that count, deviation of the logits. */
const SIZES = [
  [0, 5, 5, 1],
  [1, 1, 1, 1],
  [3, 70, 63, 2],
  [5, 64, 64, 1],
  [9, 200, 193, 3],
  [7, 1001, 1000, 1],
  [2, 50257, 50257, 3],
] as const;

/** Temperatures, shares and floors, for the rows in turn; a scale of 0 asks for tops only. */
const SETTINGS = [
  [1, 1, -60],
  [1 / 0.7, 0.9, -60],
  [0, 1, -60],
  [1, 0.5, -2],
  [0.5, 1, -1.5],
  [1, 0, -60],
  [2, 0.99, -30],
] as const;

/** A weight is an exponential, and a sum one of thousands. */
export const summariseRows = opTest(
  16,
  SIZES.flatMap(([N, V, L, deviation]) => {
    const B = Math.ceil(L / 64);
    const column = (k: 0 | 1 | 2): Float32Array =>
      Float32Array.from({ length: N + SPARE_ROWS }, (_, n) => SETTINGS[n % SETTINGS.length]![k]);
    const results = () => ({
      tops: contents.rows(N, B),
      sums: contents.rows(N, B),
      bars: contents.rows(N, 1),
      totals: contents.rows(N, 1),
    });
    const settings = { scales: column(0), shares: column(1), floors: column(2) };
    const cases = [["", contents.rows(N, V, deviation)]] as [string, Float32Array][];
    const odd = contents.rows(N, V, deviation);
    // Rows without a distribution, and a row of equal values.
    if (N > 2) {
      odd[V + (L >> 2)] = Number.POSITIVE_INFINITY;
      odd.fill(0.25, 2 * V, 3 * V);
      odd.fill(Number.NEGATIVE_INFINITY, 3 * V, 4 * V);
      cases.push([" of odd values", odd]);
    }
    return cases.map(([name, logits]) =>
      opCase("summariseRows", `N=${N} V=${V} L=${L}${name}`, { ...results(), logits, ...settings }, { N, V, L, B }, {}),
    );
  }),
);
