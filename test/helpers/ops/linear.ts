import { DTYPES, isPacked, type PackedType, WEIGHT_TYPES } from "../../../src/dtype/dtype.js";
import { type Contents, type OpCase, opCase, type Part } from "../op-case.js";
import { CaseContents } from "./contents.js";
import { opTest } from "./op-test.js";
import { packedWeights } from "./packed-weights.js";

const contents = new CaseContents(20190216);

/** Tokens, channels in, channels out: single rows (decoding), a few rows, and both sides of tile and block edges. */
const SIZES = [
  [0, 3, 5],
  [1, 1, 1],
  [1, 3, 5],
  [1, 100, 300],
  [1, 769, 33],
  [2, 17, 31],
  [3, 33, 37],
  [4, 300, 47],
  [5, 13, 65],
  [12, 32, 32],
  [13, 33, 65],
  [33, 65, 48],
  [130, 300, 100],
  [70, 1030, 545],
  [331, 70, 1301],
] as const;

/** The same with rows of whole blocks, for packed weights. */
const PACKED_SIZES = [
  [0, 32, 5],
  [1, 32, 1],
  [1, 32, 33],
  [1, 96, 70],
  [1, 768, 130],
  [1, 1056, 37],
  [2, 96, 65],
  [3, 32, 33],
  [3, 768, 70],
  [4, 1056, 37],
  [5, 64, 47],
  [8, 96, 100],
  [8, 768, 70],
  [9, 32, 33],
  [9, 768, 65],
  [17, 160, 96],
  [40, 96, 130],
  [40, 768, 70],
  [70, 1056, 37],
] as const;

const PACKED_TYPES = WEIGHT_TYPES.filter(isPacked);

/** A layer of one size: the place of its weights, and the names of its cases. */
interface Layer {
  readonly dims: { readonly N: number; readonly IC: number; readonly OC: number };
  readonly label: string;
  readonly weight: Contents | Part;
  readonly shared: Readonly<Record<string, Contents>>;
}

const layers: readonly Layer[] = SIZES.map(([N, IC, OC]) => ({
  dims: { N, IC, OC },
  label: `N=${N} IC=${IC} OC=${OC}`,
  weight: contents.floats(OC * IC, 1 / Math.sqrt(IC)),
  shared: {},
}));

function packedLayers(dtype: PackedType): Layer[] {
  const at = 3 * DTYPES.q8_0.block;
  return PACKED_SIZES.map(([N, IC, OC]) => ({
    dims: { N, IC, OC },
    label: `${dtype} N=${N} IC=${IC} OC=${OC}`,
    weight: { buffer: "weights", at },
    shared: { weights: packedWeights(contents, dtype, at + OC * IC, 1 / Math.sqrt(IC)) },
  }));
}

/** Activations whose blocks differ in magnitude, some of them zero. */
function unevenRows(N: number, IC: number): Float32Array {
  const scales = [1, 0.01, 3, 0, 1e-30, 20];
  return contents.rows(N, IC).map((value, i) => value * scales[(i >> 5) % scales.length]!);
}

type Forward = OpCase<"linearForward">;
type MoreTensors = Partial<Record<"preact" | "bias" | "residual", Float32Array>>;

function forward(layer: Layer, x: Float32Array, bf16 = false) {
  const { dims, label, weight, shared } = layer;
  return (name: string, act: "none" | "gelu_new", more: MoreTensors): Forward => {
    const tensors = { out: contents.rows(dims.N, dims.OC), x, weight, ...more };
    return opCase("linearForward", `${name} ${label}${bf16 ? " in bf16" : ""}`, tensors, dims, { act, bf16 }, shared);
  };
}

function forwardCases(layer: Layer): Forward[] {
  const { N, IC, OC } = layer.dims;
  const [bias, rows] = [contents.floats(OC), () => contents.rows(N, OC)];
  const linear = forward(layer, contents.rows(N, IC));
  return [
    linear("bare", "none", {}),
    linear("bias", "none", { bias }),
    linear("bias and residual", "none", { bias, residual: rows() }),
    linear("GELU", "gelu_new", { bias }),
    linear("GELU keeping preact", "gelu_new", { bias, preact: rows() }),
    linear("everything", "gelu_new", { bias, preact: rows(), residual: rows() }),
    linear("preact without GELU or bias", "none", { preact: rows() }),
    forward(layer, halfwayRows(N, IC), true)("bare", "none", {}),
    forward(layer, contents.rows(N, IC), true)("everything", "gelu_new", { bias, preact: rows(), residual: rows() }),
  ];
}

/** Numbers that lie halfway between two of bf16, some of them too small to count in a product. */
function halfwayRows(N: number, IC: number): Float32Array {
  return contents.rows(N, IC).map((value, i) => {
    const halfway = Math.sign(value) * (1 + (2 * (Math.floor(Math.abs(value) * 64) % 128) + 1) / 256);
    return i % 7 === 0 ? halfway * 2 ** -127 : halfway;
  });
}

function packedForwardCases(layer: Layer): Forward[] {
  const { N, IC, OC } = layer.dims;
  const [bias, rows] = [contents.floats(OC), () => contents.rows(N, OC)];
  return [false, true].flatMap((bf16) => {
    const linear = forward(layer, unevenRows(N, IC), bf16);
    return [linear("bare", "none", {}), linear("everything", "gelu_new", { bias, preact: rows(), residual: rows() })];
  });
}

/** Sums of up to 1,301 products, and GELU (10 ulp); integer products also round activations. */
export const linearForward = opTest(
  24,
  [...layers.flatMap(forwardCases), ...PACKED_TYPES.flatMap(packedLayers).flatMap(packedForwardCases)],
  2,
);

function backward({ dims, label, weight, shared }: Layer) {
  const [dout, preact] = [contents.rows(dims.N, dims.OC), contents.rows(dims.N, dims.IC)];
  return (name: string, act: "none" | "gelu_new", accumulate: boolean, bf16 = false): OpCase<"linearBackwardInput"> => {
    const dx = contents.rows(dims.N, dims.IC);
    const tensors = { dx, dout, weight, preact: act === "none" ? undefined : preact };
    const full = `${name} ${label}${bf16 ? " in bf16" : ""}`;
    return opCase("linearBackwardInput", full, tensors, dims, { act, accumulate, bf16 }, shared);
  };
}

/** Sums of up to 1,301 products, and GELU's derivative (10 ulp). */
export const linearBackwardInput = opTest(24, [
  ...layers
    .map(backward)
    .flatMap((linear) => [
      linear("overwriting", "none", false),
      linear("accumulating", "none", true),
      linear("through GELU", "gelu_new", false),
      linear("through GELU, accumulating", "gelu_new", true),
      linear("overwriting", "none", false, true),
      linear("through GELU, accumulating", "gelu_new", true, true),
    ]),
  ...PACKED_TYPES.flatMap(packedLayers)
    .map(backward)
    .flatMap((linear) => [
      linear("overwriting", "none", false),
      linear("through GELU, accumulating", "gelu_new", true),
      linear("accumulating", "none", true, true),
    ]),
]);

/** Sums of up to 331 products (10 ulp). */
export const linearBackwardWeight = opTest(
  24,
  SIZES.flatMap(([N, IC, OC]) => {
    const [dout, x, dweight, dbias] = [
      contents.rows(N, OC),
      contents.rows(N, IC),
      contents.floats(OC * IC),
      contents.floats(OC),
    ];
    type Gradients = { dweight?: Float32Array; dbias?: Float32Array };
    const linear = (name: string, gradients: Gradients, bf16 = false) => {
      const tensors = { ...gradients, dout, x };
      return opCase("linearBackwardWeight", `${name} N=${N} IC=${IC} OC=${OC}`, tensors, { N, IC, OC }, { bf16 });
    };
    return [
      linear("both", { dweight, dbias }),
      linear("no dbias", { dweight }),
      linear("dbias only", { dbias }),
      linear("both, in bf16", { dweight, dbias }, true),
    ];
  }),
);
