import { attentionForward as reference } from "../../../src/backend/reference/attention.js";
import type { OpKind } from "../../../src/program/ops.js";
import * as attend from "../attention-ranges.js";
import { type OpCase, opCase, type Part } from "../op-case.js";
import { CaseContents, withSpareIndices } from "./contents.js";
import { opTest } from "./op-test.js";
import { packedWeights } from "./packed-weights.js";

const contents = new CaseContents(20190217);

/** Tokens that attend to each other. */
interface SelfAttention {
  readonly name: string;
  readonly NH: number;
  readonly HS: number;
  readonly ranges: attend.Ranges;
  /** Probability of dropping a weight. */
  readonly p: number;
}

const self = (name: string, NH: number, HS: number, ranges: attend.Ranges, p = 0): SelfAttention => ({
  name,
  NH,
  HS,
  ranges,
  p,
});

const SELF_ATTENTION: readonly SelfAttention[] = [
  self("no tokens", 2, 8, attend.causal(0)),
  self("causal", 1, 1, attend.causal(1)),
  self("causal", 1, 7, attend.causal(3)),
  self("causal", 3, 5, attend.causal(17)),
  self("causal", 2, 64, attend.causal(130)),
  self("causal", 1, 33, attend.causal(531)),
  self("causal", 2, 130, attend.causal(9)),
  self("bidirectional", 2, 33, attend.bidirectional(47)),
  self("packed causal", 3, 16, attend.packed([1, 48, 5, 49, 2], "causal")),
  self("packed bidirectional", 1, 20, attend.packed([3, 64, 13], "bidirectional")),
  self("rows that no token sees", 2, 9, {
    first: Int32Array.of(1, 1, 1, 5, 5, 5, 5),
    last: Int32Array.of(1, 2, 2, 5, 5, 6, 6),
  }),
  // Windows of one key, narrower and wider than blocks of queries and keys, in one sequence and in several.
  self("a sliding window of 1", 2, 9, attend.sliding(12, 1)),
  self("a sliding window of 7", 3, 12, attend.sliding(60, 7)),
  self("a sliding window of 100", 2, 33, attend.sliding(531, 100)),
  self("packed sliding windows", 3, 16, attend.windowed(attend.packed([1, 48, 5, 149, 2], "causal"), 40)),
  self("packed sliding windows", 2, 20, attend.windowed(attend.packed([90, 33], "causal"), 17), 0.3),
  self("causal", 3, 21, attend.causal(70), 0.25),
  self("packed causal", 2, 16, attend.packed([2, 33], "causal"), 0.9),
  self("packed bidirectional", 1, 5, attend.packed([6, 19], "bidirectional"), 0.1),
  self("few", 3, 33, attend.packed([8, 9, 1, 7], "causal"), 0.5),
];

/** Queries, keys and values as three parts of one [N, 3C] buffer. */
const parts = (buffer: string, C: number): [Part, Part, Part] => [
  { buffer, at: 0 },
  { buffer, at: C },
  { buffer, at: 2 * C },
];

/**
 * The parts common to the forward and the backward pass of self-attention, with `saved` as written by the forward pass.
 */
function inputs({ name, NH, HS, ranges, p }: SelfAttention) {
  const [N, C] = [ranges.first.length, NH * HS];
  const dims = { N, NH, HS, ldq: 3 * C, ldkv: 3 * C };
  const scalars = { scale: 1 / Math.sqrt(HS), p, key0: 0x9e3779b9, key1: 0xfffffff1 };
  const qkv = contents.rows(N, 3 * C, 1.5);
  const see = { first: withSpareIndices(ranges.first), last: withSpareIndices(ranges.last) };
  const saved = { out: contents.rows(N, C), lse: contents.rows(N, NH) };
  reference({ ...saved, q: qkv, k: qkv.subarray(C), v: qkv.subarray(2 * C), ...see }, dims, scalars);
  const [q, k, v] = parts("qkv", C);
  const label = `${name} N=${N} NH=${NH} HS=${HS}${p ? ` p=${p}` : ""}`;
  return { N, C, dims, scalars, qkv, saved, tensors: { q, k, v, ...see }, label };
}

function forwardCases(attention: SelfAttention): OpCase<"attentionForward">[] {
  const { N, C, dims, scalars, qkv, tensors, label } = inputs(attention);
  const out = contents.rows(N, C);
  const lse = contents.rows(N, dims.NH);
  return [
    opCase("attentionForward", label, { out, lse, ...tensors }, dims, scalars, { qkv }),
    opCase("attentionForward", `without lse ${label}`, { out, ...tensors }, dims, scalars, { qkv }),
    rounded(opCase("attentionForward", label, { out, lse, ...tensors }, dims, { ...scalars, bf16: true }, { qkv })),
  ];
}

/**
 * In bf16 a factor may be off by a 512th; scores up to about 10, which are sums of products of such factors, may be off
 * by several times that, and so may weights.
 */
function rounded<K extends OpKind>(test: OpCase<K>): OpCase<K> {
  return { ...test, name: `${test.name} in bf16`, tolerance: { relative: 2 ** -5 } };
}

function backwardCases(attention: SelfAttention): OpCase<"attentionBackward">[] {
  const { N, C, dims, scalars, qkv, saved, tensors, label } = inputs(attention);
  const [dq, dk, dv] = parts("dqkv", C);
  const all = { dq, dk, dv, dout: contents.rows(N, C), ...saved, ...tensors };
  const memory = { qkv, dqkv: contents.rows(N, 3 * C) };
  return [
    opCase("attentionBackward", label, all, dims, scalars, memory),
    rounded(opCase("attentionBackward", label, all, dims, { ...scalars, bf16: true }, memory)),
  ];
}

/** Queries against a cache of more rows than there are queries, in f32 and in f16. */
function cached(
  name: string,
  NH: number,
  HS: number,
  ranges: attend.Ranges,
  cacheRows: number,
): OpCase<"attentionForward">[] {
  const [N, C] = [ranges.first.length, NH * HS];
  const [ldq, ldkv] = [C + 3, 2 * C];
  const [k, v] = parts("cache", C);
  const see = { first: withSpareIndices(ranges.first), last: withSpareIndices(ranges.last) };
  const tensors = { out: contents.rows(N, C), q: contents.rows(N, ldq), k, v, ...see };
  const scalars = { scale: 1 / Math.sqrt(HS), p: 0, key0: 0, key1: 0 };
  const length = cacheRows * ldkv;
  return [contents.floats(length), packedWeights(contents, "f16", length, 1)].map((cache, i) => {
    const label = `${name} N=${N} NH=${NH} HS=${HS}${i > 0 ? " f16" : ""}`;
    return opCase("attentionForward", label, tensors, { N, NH, HS, ldq, ldkv }, scalars, { cache });
  });
}

/** [new tokens, tokens before them] of each sequence. */
const CONTINUED = [
  [5, 40],
  [2, 3],
] as const;
/** New tokens of four sequences in a sliding window. */
const WINDOWED = attend.windowed(
  attend.continued(
    [
      [50, 140],
      [2, 3],
      [9, 80],
      [1, 199],
    ],
    200,
  ),
  33,
);

const FEW_AND_MANY = [
  [8, 0],
  [9, 120],
  [1, 128],
  [20, 3],
  [2, 126],
] as const;

/** Two products, and between them exponentials of scores up to about 10, whose absolute error is their relative one (7.5 ulp). */
export const attentionForward = opTest(24, [
  ...SELF_ATTENTION.flatMap(forwardCases),
  ...cached("one token of one sequence", 2, 24, attend.cached([37], 40), 40),
  ...cached("one token each of five sequences", 3, 19, attend.cached([1, 64, 33, 2, 70], 71), 5 * 71),
  ...cached("prompts continued", 2, 16, attend.continued(CONTINUED, 60), 70),
  ...cached("a sliding window", 2, 12, attend.sliding(60, 7), 60),
  ...cached("prompts continued in a sliding window", 2, 16, WINDOWED, 800),
  ...cached("a long cache", 1, 64, attend.cached([1000, 523], 1024), 2048),
  // On both sides of the limit of few tokens, of a block of keys, and of whole vectors of a head.
  ...[1, 2, 8, 9].flatMap((tokens) =>
    cached("tokens of one sequence", 5, 67, attend.continued([[tokens, 250]], 300), 300),
  ),
  ...[1, 3, 80, 100].flatMap((HS) => cached("a draft of one sequence", 3, HS, attend.continued([[8, 121]], 140), 140)),
  ...cached("few and many", 3, 21, attend.continued(FEW_AND_MANY, 130), 5 * 130),
]);

/** Differences of such results (12 ulp). */
export const attentionBackward = opTest(48, SELF_ATTENTION.flatMap(backwardCases));
