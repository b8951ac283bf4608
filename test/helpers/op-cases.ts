/**
 * The table of cases for the conformance suite: every op kind at odd sizes, on both sides of the sizes where vectorised
 * and blocked kernels change path, with optional tensors present and absent.
 */
import { attentionForward } from "../../src/backend/reference/attention.js";
import { layernormForward } from "../../src/backend/reference/layernorm.js";
import { ACTIVATIONS } from "../../src/program/activations.js";
import * as attend from "./attention-ranges.js";
import { type OpCase, opCase, type Part, SPARE_ROWS } from "./op-case.js";
import { RandomArrays } from "./random-arrays.js";

/** What an index holds beyond the rows in use: a kernel that looks there goes far astray. */
const NOWHERE = 1_000_000_000;
const random = new RandomArrays(20190214);

/** Random contents of N rows of width W, and of the spare rows. */
const rows = (N: number, W: number, deviation = 1): Float32Array => random.floats((N + SPARE_ROWS) * W, deviation);
const indices = (values: ArrayLike<number>): Int32Array =>
  Int32Array.from([...Array.from(values), ...new Array<number>(SPARE_ROWS).fill(NOWHERE)]);

function embeddingCases(): OpCase[] {
  const sizes = [
    [0, 5],
    [1, 1],
    [5, 3],
    [17, 48],
    [130, 65],
  ] as const;
  return sizes.flatMap(([N, C]) => {
    const [V, T] = [11, 200];
    const tokens = indices(random.integers(N, V));
    const positions = indices(random.integers(N, T));
    const [wte, wpe] = [random.floats(V * C), random.floats(T * C)];
    const dout = rows(N, C);
    const backward = (name: string, gradients: { dwte?: Float32Array; dwpe?: Float32Array }) =>
      opCase("embeddingBackward", `${name} N=${N} C=${C}`, { ...gradients, dout, tokens, positions }, { N, C }, {});
    return [
      opCase("embeddingForward", `N=${N} C=${C}`, { out: rows(N, C), tokens, positions, wte, wpe }, { N, C }, {}),
      backward("both", { dwte: wte, dwpe: wpe }),
      backward("tokens only", { dwte: wte }),
      backward("positions only", { dwpe: wpe }),
    ];
  });
}

function layernormCases(): OpCase[] {
  const sizes = [
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
  return sizes.flatMap(([N, C]) => {
    const x = random.floats((N + SPARE_ROWS) * C, 2, 1);
    const [weight, bias, dout] = [random.floats(C, 0.5, 1), random.floats(C), rows(N, C)];
    const [mean, rstd] = [rows(N, 1), rows(N, 1)];
    // One channel has no variance: its gradient is a difference of equal terms, which a small epsilon makes huge.
    const scalars = { epsilon: C === 1 ? 1 : 1e-5 };
    const forward = { out: rows(N, C), x, weight, bias };
    const saved = { mean: mean.slice(), rstd: rstd.slice() };
    layernormForward({ out: rows(N, C), ...saved, x, weight, bias }, { N, C }, scalars);
    const backward = (name: string, gradients: { dweight?: Float32Array; dbias?: Float32Array }, overwrite: boolean) =>
      opCase(
        "layernormBackward",
        `${name} N=${N} C=${C}`,
        { dx: rows(N, C), ...gradients, dout, x, weight, ...saved },
        { N, C },
        { overwrite },
      );
    return [
      opCase("layernormForward", `N=${N} C=${C}`, { ...forward, mean, rstd }, { N, C }, scalars),
      opCase("layernormForward", `keeping nothing N=${N} C=${C}`, forward, { N, C }, scalars),
      backward("adding to dx", { dweight: random.floats(C), dbias: random.floats(C) }, false),
      backward("overwriting dx", { dweight: random.floats(C), dbias: random.floats(C) }, true),
      backward("dx only", {}, false),
      backward("no dbias", { dweight: random.floats(C) }, true),
      backward("no dweight", { dbias: random.floats(C) }, true),
    ];
  });
}

/** Rows, channels in, channels out: single rows (decoding), a few rows, and both sides of tile and block edges. */
const LINEAR_SIZES = [
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

function linearCases(): OpCase[] {
  return LINEAR_SIZES.flatMap(([N, IC, OC]) => {
    const dims = { N, IC, OC };
    const size = `N=${N} IC=${IC} OC=${OC}`;
    const x = rows(N, IC);
    const weight = random.floats(OC * IC, 1 / Math.sqrt(IC));
    const bias = random.floats(OC);
    const [dout, preact] = [rows(N, OC), rows(N, IC)];
    const forward = (
      name: string,
      act: "none" | "gelu_new",
      more: Partial<Record<"preact" | "bias" | "residual", Float32Array>>,
    ) => opCase("linearForward", `${name} ${size}`, { out: rows(N, OC), x, weight, ...more }, dims, { act });
    const input = (name: string, act: "none" | "gelu_new", accumulate: boolean) =>
      opCase(
        "linearBackwardInput",
        `${name} ${size}`,
        { dx: rows(N, IC), dout, weight, preact: act === "none" ? undefined : preact },
        dims,
        { act, accumulate },
      );
    const weights = (name: string, gradients: { dweight?: Float32Array; dbias?: Float32Array }) =>
      opCase("linearBackwardWeight", `${name} ${size}`, { ...gradients, dout, x }, dims, {});
    return [
      forward("bare", "none", {}),
      forward("bias", "none", { bias }),
      forward("bias and residual", "none", { bias, residual: rows(N, OC) }),
      forward("GELU", "gelu_new", { bias }),
      forward("GELU keeping preact", "gelu_new", { bias, preact: rows(N, OC) }),
      forward("everything", "gelu_new", { bias, preact: rows(N, OC), residual: rows(N, OC) }),
      forward("preact without GELU or bias", "none", { preact: rows(N, OC) }),
      input("overwriting", "none", false),
      input("accumulating", "none", true),
      input("through GELU", "gelu_new", false),
      input("through GELU, accumulating", "gelu_new", true),
      weights("both", { dweight: random.floats(OC * IC), dbias: random.floats(OC) }),
      weights("no dbias", { dweight: random.floats(OC * IC) }),
      weights("dbias only", { dbias: random.floats(OC) }),
    ];
  });
}

/** Queries, keys and values as three parts of one [N, 3C] buffer. */
const parts = (buffer: string, C: number): [Part, Part, Part] => [
  { buffer, at: 0 },
  { buffer, at: C },
  { buffer, at: 2 * C },
];

function selfAttentionCases(name: string, NH: number, HS: number, ranges: attend.Ranges, p = 0): OpCase[] {
  const [N, C] = [ranges.first.length, NH * HS];
  const dims = { N, NH, HS, ldq: 3 * C, ldkv: 3 * C };
  const scalars = { scale: 1 / Math.sqrt(HS), p, key0: 0x9e3779b9, key1: 0xfffffff1 };
  const label = `${name} N=${N} NH=${NH} HS=${HS}${p ? ` p=${p}` : ""}`;
  const qkv = rows(N, 3 * C, 1.5);
  const [first, last] = [indices(ranges.first), indices(ranges.last)];
  const [q, k, v] = parts("qkv", C);
  const [dq, dk, dv] = parts("dqkv", C);
  const saved = { out: rows(N, C), lse: rows(N, NH) };
  const view = { q: qkv, k: qkv.subarray(C), v: qkv.subarray(2 * C) };
  attentionForward({ ...saved, ...view, first, last }, dims, scalars);
  return [
    opCase("attentionForward", label, { out: rows(N, C), lse: rows(N, NH), q, k, v, first, last }, dims, scalars, {
      qkv,
    }),
    opCase("attentionForward", `without lse ${label}`, { out: rows(N, C), q, k, v, first, last }, dims, scalars, {
      qkv,
    }),
    opCase(
      "attentionBackward",
      label,
      { dq, dk, dv, dout: rows(N, C), ...saved, q, k, v, first, last },
      dims,
      scalars,
      { qkv, dqkv: rows(N, 3 * C) },
    ),
  ];
}

/** Queries against a cache of more rows than there are queries. */
function cachedAttentionCase(name: string, NH: number, HS: number, ranges: attend.Ranges, cacheRows: number): OpCase {
  const [N, C] = [ranges.first.length, NH * HS];
  const [ldq, ldkv] = [C + 3, 2 * C];
  const [key, value] = parts("cache", C);
  return opCase(
    "attentionForward",
    `${name} N=${N} NH=${NH} HS=${HS}`,
    {
      out: rows(N, C),
      q: rows(N, ldq),
      k: key,
      v: value,
      first: indices(ranges.first),
      last: indices(ranges.last),
    },
    { N, NH, HS, ldq, ldkv },
    { scale: 1 / Math.sqrt(HS), p: 0, key0: 0, key1: 0 },
    { cache: random.floats(cacheRows * ldkv) },
  );
}

function attentionCases(): OpCase[] {
  const { causal, bidirectional, packed, sliding, cached, continued } = attend;
  return [
    ...selfAttentionCases("no tokens", 2, 8, causal(0)),
    ...selfAttentionCases("causal", 1, 1, causal(1)),
    ...selfAttentionCases("causal", 1, 7, causal(3)),
    ...selfAttentionCases("causal", 3, 5, causal(17)),
    ...selfAttentionCases("causal", 2, 64, causal(130)),
    ...selfAttentionCases("causal", 1, 33, causal(531)),
    ...selfAttentionCases("causal", 2, 130, causal(9)),
    ...selfAttentionCases("bidirectional", 2, 33, bidirectional(47)),
    ...selfAttentionCases("packed causal", 3, 16, packed([1, 48, 5, 49, 2], "causal")),
    ...selfAttentionCases("packed bidirectional", 1, 20, packed([3, 64, 13], "bidirectional")),
    ...selfAttentionCases("rows nobody attends to", 2, 9, {
      first: Int32Array.of(1, 1, 1, 5, 5, 5, 5),
      last: Int32Array.of(1, 2, 2, 5, 5, 6, 6),
    }),
    ...selfAttentionCases("causal", 3, 21, causal(70), 0.25),
    ...selfAttentionCases("packed causal", 2, 16, packed([2, 33], "causal"), 0.9),
    ...selfAttentionCases("packed bidirectional", 1, 5, packed([6, 19], "bidirectional"), 0.1),
    cachedAttentionCase("one token of one sequence", 2, 24, cached([37], 40), 40),
    cachedAttentionCase("one token each of five sequences", 3, 19, cached([1, 64, 33, 2, 70], 71), 5 * 71),
    cachedAttentionCase(
      "prompts continued",
      2,
      16,
      continued(
        [
          [5, 40],
          [2, 3],
        ],
        60,
      ),
      70,
    ),
    cachedAttentionCase("a sliding window", 2, 12, sliding(60, 7), 60),
    cachedAttentionCase("a long cache", 1, 64, cached([1000, 523], 1024), 2048),
    // On both sides of what counts as few tokens, of a block of keys, and of whole vectors of a head.
    ...[1, 2, 8, 9].map((tokens) =>
      cachedAttentionCase("tokens of one sequence", 5, 67, continued([[tokens, 250]], 300), 300),
    ),
    ...[1, 3, 80, 100].map((HS) =>
      cachedAttentionCase("a guess of one sequence", 3, HS, continued([[8, 121]], 140), 140),
    ),
    cachedAttentionCase(
      "few and many",
      3,
      21,
      continued(
        [
          [8, 0],
          [9, 120],
          [1, 128],
          [20, 3],
          [2, 126],
        ],
        130,
      ),
      5 * 130,
    ),
    ...selfAttentionCases("few", 3, 33, packed([8, 9, 1, 7], "causal"), 0.5),
  ];
}

function rowCases(): OpCase[] {
  const sizes = [
    [0, 4],
    [1, 1],
    [7, 33],
    [130, 48],
  ] as const;
  return sizes.flatMap(([N, W]) => {
    const [ldsrc, lddst, there] = [3 * W, W + 5, N + 9];
    return [
      opCase(
        "scatterRows",
        `N=${N} W=${W}`,
        {
          dst: random.floats(there * lddst),
          src: rows(N, ldsrc),
          index: indices(random.distinct(N, there)),
        },
        { N, W, ldsrc, lddst },
        {},
      ),
      opCase(
        "gatherRows",
        `N=${N} W=${W}`,
        { out: rows(N, W), x: random.floats(there * W), index: indices(random.integers(N, there)) },
        { N, W },
        {},
      ),
    ];
  });
}

function dropoutCases(): OpCase[] {
  const sizes = [
    [0, 4, 0.5],
    [1, 1, 0.5],
    [5, 33, 0.1],
    [131, 70, 0.75],
    [3, 20, 0],
  ] as const;
  const inPlace: Part = { buffer: "residual", at: 0 };
  return sizes.flatMap(([N, C, p]) => {
    const [dims, x, scalars] = [{ N, C }, rows(N, C), { p, key0: 0xfedcba98, key1: 0xfffffffe }];
    const label = `N=${N} C=${C} p=${p}`;
    const shared = { residual: rows(N, C) };
    return [
      opCase("dropout", label, { out: rows(N, C), x }, dims, scalars),
      opCase("dropout", `with residual ${label}`, { out: rows(N, C), x, residual: rows(N, C) }, dims, scalars),
      opCase("dropout", `onto the residual ${label}`, { out: inPlace, x, residual: inPlace }, dims, scalars, shared),
      opCase("dropout", `in place ${label}`, { out: inPlace, x: inPlace }, dims, scalars, shared),
    ];
  });
}

function crossEntropyCases(): OpCase[] {
  const sizes = [
    [0, 5, 1],
    [1, 1, 1],
    [3, 2, 1],
    [7, 50, 3],
    [33, 257, 1],
    [4, 1001, 30],
    [2, 50257, 2],
  ] as const;
  const inPlace: Part = { buffer: "logits", at: 0 };
  return sizes.flatMap(([N, V, deviation]) => {
    // Every third row is ignored, by different negative numbers.
    const targets = indices(random.integers(N, V).map((t, n) => (n % 3 === 1 ? -1 - 99 * (n % 2) : t)));
    const [dims, scalars] = [{ N, V }, { scale: 1 / 7 }];
    const logits = rows(N, V, deviation);
    const label = `N=${N} V=${V} deviation=${deviation}`;
    const tensors = { losses: rows(N, 1), logits, targets };
    return [
      opCase("crossEntropy", `loss only ${label}`, tensors, dims, scalars),
      opCase("crossEntropy", label, { ...tensors, dlogits: rows(N, V) }, dims, scalars),
      opCase(
        "crossEntropy",
        `in place ${label}`,
        { losses: rows(N, 1), dlogits: inPlace, logits: inPlace, targets },
        dims,
        scalars,
        { logits },
      ),
    ];
  });
}

function optimizerCases(): OpCase[] {
  return [0, 1, 5, 100, 4099, 40_007].flatMap((size) => {
    const padded = size + SPARE_ROWS;
    const adamw = (name: string, maxNorm: number, weightDecay: number, step: number, norm?: Float32Array) =>
      opCase(
        "adamw",
        `${name} size=${size}`,
        {
          param: random.floats(padded),
          grad: random.floats(padded, 0.1),
          m: random.floats(padded, 0.01),
          v: random.floats(padded, 0.01).map(Math.abs),
          norm,
        },
        { size },
        {
          lr: 1e-2,
          beta1: 0.9,
          beta2: 0.95,
          epsilon: 1e-8,
          weightDecay,
          correction1: 1 - 0.9 ** step,
          correction2: 1 - 0.95 ** step,
          maxNorm,
        },
      );
    return [
      opCase("fill", `size=${size}`, { x: random.floats(padded) }, { size }, { value: -2.5 }),
      opCase("norm", `size=${size}`, { norm: random.floats(1), x: random.floats(padded) }, { size }, {}),
      // Squares beyond the range of single precision.
      opCase("norm", `large size=${size}`, { norm: random.floats(1), x: random.floats(padded, 1e25) }, { size }, {}),
      adamw("no clipping, no decay", 0, 0, 1),
      adamw("clipped and decayed", 1, 0.1, 3, Float32Array.of(2.5)),
      adamw("below the clipping norm", 1, 0.1, 1000, Float32Array.of(0.5)),
    ];
  });
}

function adapterCases(): OpCase[] {
  const sizes = [
    [0, 4],
    [1, 1],
    [7, 8],
    [131, 33],
  ] as const;
  const inPlace: Part = { buffer: "x", at: 0 };
  return sizes.flatMap(([N, C]) => {
    const [dims, label, x, gain] = [{ N, C }, `N=${N} C=${C}`, rows(N, C), random.floats(3 * C)];
    const index = indices(random.integers(N, 3));
    return [
      opCase("scaleColumns", `by the first row ${label}`, { out: rows(N, C), x, gain }, dims, {}),
      opCase("scaleColumns", `by a row for each token ${label}`, { out: rows(N, C), x, gain, index }, dims, {}),
      opCase("scaleColumns", `in place ${label}`, { out: inPlace, x: inPlace, gain, index }, dims, {}, { x }),
    ];
  });
}

function activationCases(): OpCase[] {
  const sizes = [
    [0, 4],
    [1, 1],
    [7, 8],
    [131, 33],
  ] as const;
  const inPlace: Part = { buffer: "both", at: 0 };
  return sizes.flatMap(([N, C]) => {
    const [dims, label, x, dout] = [{ N, C }, `N=${N} C=${C}`, rows(N, C, 2), rows(N, C)];
    return ACTIVATIONS.flatMap((act) => [
      opCase("activation", `${act} ${label}`, { out: rows(N, C), x }, dims, { act }),
      opCase("activation", `${act} in place ${label}`, { out: inPlace, x: inPlace }, dims, { act }, { both: x }),
      opCase("activationBackward", `${act} ${label}`, { dx: rows(N, C), dout, x }, dims, { act }),
      opCase(
        "activationBackward",
        `${act} in place ${label}`,
        { dx: inPlace, dout: inPlace, x },
        dims,
        { act },
        { both: dout },
      ),
    ]);
  });
}

function elementwiseCases(): OpCase[] {
  const sizes = [
    [0, 4],
    [1, 1],
    [7, 8],
    [131, 33],
    [260, 64],
  ] as const;
  const both: Part = { buffer: "both", at: 0 };
  return (["add", "multiply"] as const).flatMap((kind) =>
    sizes.flatMap(([N, C]) => {
      const [dims, label, a, b] = [{ N, C }, `N=${N} C=${C}`, rows(N, C), rows(N, C, 3)];
      return [
        opCase(kind, label, { out: rows(N, C), a, b }, dims, {}),
        opCase(kind, `onto the first ${label}`, { out: both, a: both, b }, dims, {}, { both: a }),
        opCase(kind, `onto the second ${label}`, { out: both, a, b: both }, dims, {}, { both: b }),
        opCase(kind, `with itself ${label}`, { out: rows(N, C), a: both, b: both }, dims, {}, { both: a }),
      ];
    }),
  );
}

export const OP_CASES: readonly OpCase[] = [
  ...embeddingCases(),
  ...layernormCases(),
  ...linearCases(),
  ...attentionCases(),
  ...rowCases(),
  ...dropoutCases(),
  ...crossEntropyCases(),
  ...optimizerCases(),
  ...adapterCases(),
  ...activationCases(),
  ...elementwiseCases(),
];
