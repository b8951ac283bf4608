import { isPacked, type PackedType, WEIGHT_TYPES } from "../../../src/dtype/dtype.js";
import { type OpCase, opCase } from "../op-case.js";
import { CaseContents } from "./contents.js";
import { opTest } from "./op-test.js";
import { packedWeights } from "./packed-weights.js";

const contents = new CaseContents(20190214);

const SIZES = [
  [0, 5],
  [1, 1],
  [5, 3],
  [17, 48],
  [130, 65],
] as const;
const [V, T] = [11, 200];

const index = (N: number) => ({ tokens: contents.indices(N, V), positions: contents.indices(N, T) });
const tables = (C: number) => ({ wte: contents.floats(V * C), wpe: contents.floats(T * C) });

function packedCases(wteType: PackedType, wpeType: PackedType | "f32"): OpCase<"embeddingForward">[] {
  // The smallest weights have scales that are subnormal in half precision.
  return [1, 1e-4, 1e-6].flatMap((deviation) =>
    [32, 96, 768].map((C) => {
      const [N, T] = [17, 40];
      const wte = packedWeights(contents, wteType, V * C, deviation);
      const wpe =
        wpeType === "f32" ? contents.floats(T * C, deviation) : packedWeights(contents, wpeType, T * C, deviation);
      const tokens = contents.indices(N, V);
      const positions = contents.indices(N, T);
      return opCase(
        "embeddingForward",
        `wte ${wteType} wpe ${wpeType} C=${C} deviation=${deviation}`,
        { out: contents.rows(N, C), tokens, positions, wte, wpe },
        { N, C },
        {},
      );
    }),
  );
}

/** One sum of two (0.4 ulp). */
export const embeddingForward = opTest(1, [
  ...SIZES.map(([N, C]) =>
    opCase("embeddingForward", `N=${N} C=${C}`, { out: contents.rows(N, C), ...index(N), ...tables(C) }, { N, C }, {}),
  ),
  ...WEIGHT_TYPES.filter(isPacked).flatMap((dtype) => [...packedCases(dtype, "f32"), ...packedCases(dtype, dtype)]),
]);

/** A sum with a term for each occurrence of a token (0.7 ulp); the reference rounds at each. */
export const embeddingBackward = opTest(
  2,
  SIZES.flatMap(([N, C]) => {
    const dout = contents.rows(N, C);
    const { wte: dwte, wpe: dwpe } = tables(C);
    const backward = (name: string, gradients: { dwte?: Float32Array; dwpe?: Float32Array }) =>
      opCase("embeddingBackward", `${name} N=${N} C=${C}`, { ...gradients, dout, ...index(N) }, { N, C }, {});
    return [backward("both", { dwte, dwpe }), backward("tokens only", { dwte }), backward("positions only", { dwpe })];
  }),
  2,
);
