/** Every op's backward pass on the reference backend, in float64, against central differences of its forward pass. */
import { describe, it } from "node:test";
import { type Recorder, rowsOf, type Tensor } from "../../src/program/program.js";
import { bidirectional, causal, packed, type Ranges } from "../helpers/attention-ranges.js";
import { checkGradients, type GradientCase } from "../helpers/gradients.js";
import { RandomArrays } from "../helpers/random-arrays.js";

type Tensors = Readonly<Record<string, Tensor>>;

describe("gradients: embedding", () => {
  const [N, C, V, T] = [7, 5, 4, 6];
  // Token 2 four times, token 3 never; positions as in two packed sequences.
  const integers = { tokens: Int32Array.of(2, 0, 2, 1, 2, 2, 0), positions: Int32Array.of(0, 1, 2, 3, 0, 1, 5) };

  it("adds up the gradients of repeated tokens and positions", () =>
    checkGradients({
      inputs: { wte: [V, C], wpe: [T, C] },
      integers,
      out: [N, C],
      forward: (k, { out, tokens, positions, wte, wpe }: Tensors) =>
        k.op(
          "embeddingForward",
          "e",
          { out: out!, tokens: tokens!, positions: positions!, wte: wte!, wpe: wpe! },
          { N, C },
          {},
        ),
      backward: (k, { dwte, dwpe, dout, tokens, positions }: Tensors) =>
        k.op(
          "embeddingBackward",
          "e",
          { dwte, dwpe, dout: dout!, tokens: tokens!, positions: positions! },
          { N, C },
          {},
        ),
    }));

  it("reaches tied weights from both ends", () =>
    checkGradients({
      inputs: { wte: [V, C], wpe: [T, C] },
      integers,
      saved: { x: [N, C] },
      out: [N, V],
      forward: (k, t: Tensors) => {
        const { out, x, tokens, positions, wte, wpe } = t as Required<typeof t>;
        k.op(
          "embeddingForward",
          "e",
          { out: x!, tokens: tokens!, positions: positions!, wte: wte!, wpe: wpe! },
          { N, C },
          {},
        );
        k.op("linearForward", "head", { out: out!, x: x!, weight: wte! }, { N, IC: C, OC: V }, { act: "none" });
      },
      backward: (k, { dwte, dwpe, dout, x, wte, tokens, positions }: Tensors) => {
        const dx = k.temp("dx", [N, C]);
        const dims = { N, IC: C, OC: V };
        k.op("linearBackwardInput", "head", { dx, dout: dout!, weight: wte! }, dims, {
          act: "none",
          accumulate: false,
        });
        k.op("linearBackwardWeight", "head", { dweight: dwte, dout: dout!, x: x! }, dims, {});
        k.op("embeddingBackward", "e", { dwte, dwpe, dout: dx, tokens: tokens!, positions: positions! }, { N, C }, {});
      },
    }));
});

describe("gradients: layernorm", () => {
  for (const [N, C] of [
    [1, 2],
    [3, 7],
    [5, 16],
  ] as const) {
    for (const overwrite of [false, true]) {
      it(`N=${N} C=${C} overwrite=${overwrite}`, () =>
        checkGradients({
          inputs: { x: [N, C], weight: [C], bias: [C] },
          saved: { mean: [N], rstd: [N] },
          out: [N, C],
          overwrites: overwrite ? ["x"] : [],
          forward: (k, { out, mean, rstd, x, weight, bias }: Tensors) =>
            k.op(
              "layernormForward",
              "ln",
              { out: out!, mean, rstd, x: x!, weight: weight!, bias: bias! },
              { N, C },
              { epsilon: 1e-5 },
            ),
          backward: (k, { dx, dweight, dbias, dout, x, weight, mean, rstd }: Tensors) =>
            k.op(
              "layernormBackward",
              "ln",
              { dx: dx!, dweight, dbias, dout: dout!, x: x!, weight: weight!, mean: mean!, rstd: rstd! },
              { N, C },
              { overwrite },
            ),
        }));
    }
  }
});

describe("gradients: linear", () => {
  function linear(N: number, IC: number, OC: number, accumulate: boolean): GradientCase {
    const dims = { N, IC, OC };
    return {
      inputs: { x: [N, IC], weight: [OC, IC], bias: [OC] },
      out: [N, OC],
      overwrites: accumulate ? [] : ["x"],
      forward: (k, { out, x, weight, bias }: Tensors) =>
        k.op("linearForward", "l", { out: out!, x: x!, weight: weight!, bias }, dims, { act: "none" }),
      backward: (k, { dx, dweight, dbias, dout, x, weight }: Tensors) => {
        k.op("linearBackwardInput", "l", { dx: dx!, dout: dout!, weight: weight! }, dims, { act: "none", accumulate });
        k.op("linearBackwardWeight", "l", { dweight, dbias, dout: dout!, x: x! }, dims, {});
      },
    };
  }
  it("one row, overwriting", () => checkGradients(linear(1, 3, 5, false)));
  it("odd sizes, accumulating", () => checkGradients(linear(4, 7, 3, true)));

  // The MLP: out = residual + gelu(x · w1ᵀ + b1) · w2ᵀ + b2, and the same with a gelu just before the residual.
  const [N, C, F] = [3, 5, 7];
  it("GELU inside: the gradient passes through preact", () =>
    checkGradients({
      inputs: { x: [N, C], w1: [F, C], b1: [F], w2: [C, F], b2: [C] },
      saved: { preact: [N, F], act: [N, F] },
      out: [N, C],
      forward: (k, { out, x, w1, b1, w2, b2, preact, act }: Tensors) => {
        const fc = { out: act!, preact, x: x!, weight: w1!, bias: b1 };
        k.op("linearForward", "fc", fc, { N, IC: C, OC: F }, { act: "gelu_new" });
        const proj = { out: out!, x: act!, weight: w2!, bias: b2, residual: x };
        k.op("linearForward", "proj", proj, { N, IC: F, OC: C }, { act: "none" });
      },
      backward: (k, t: Tensors) => {
        const { x, w1, w2, preact, act, dout } = t;
        const dpre = k.temp("dpre", [N, F]);
        const proj = { N, IC: F, OC: C };
        k.op("linearBackwardInput", "proj", { dx: dpre, dout: dout!, weight: w2!, preact }, proj, {
          act: "gelu_new",
          accumulate: false,
        });
        k.op("linearBackwardWeight", "proj", { dweight: t.dw2, dbias: t.db2, dout: dout!, x: act! }, proj, {});
        const fc = { N, IC: C, OC: F };
        k.op("linearBackwardInput", "fc", { dx: t.dx!, dout: dpre, weight: w1! }, fc, {
          act: "none",
          accumulate: true,
        });
        k.op("linearBackwardWeight", "fc", { dweight: t.dw1, dbias: t.db1, dout: dpre, x: x! }, fc, {});
        // The residual: dx += dout · I.
        addIdentity(k, t.dx!, dout!, N, C);
      },
    }));
});

/** dx += dout, with the existing ops: a linear layer whose weight is the identity. */
function addIdentity(k: Recorder, dx: Tensor, dout: Tensor, N: number, C: number): void {
  const identity = k.temp("identity", [C, C]);
  k.op("fill", "zero", { x: identity }, { size: C * C }, { value: 0 });
  for (let c = 0; c < C; c++) {
    k.op("fill", "one", { x: { ...identity, offset: c * C + c, shape: [1] } }, { size: 1 }, { value: 1 });
  }
  k.op(
    "linearBackwardInput",
    "residual",
    { dx, dout, weight: identity },
    { N, IC: C, OC: C },
    { act: "none", accumulate: true },
  );
}

describe("gradients: attention", () => {
  function attention(NH: number, HS: number, ranges: Ranges, p = 0): GradientCase {
    const N = ranges.first.length;
    const C = NH * HS;
    const dims = { N, NH, HS, ldq: 3 * C, ldkv: 3 * C };
    const scalars = { scale: 1 / Math.sqrt(HS), p, key0: 0xdeadbeef, key1: 0xfffffff0 };
    const parts = (qkv: Tensor) => [0, 1, 2].map((i) => ({ ...qkv, offset: i * C }) as Tensor);
    return {
      inputs: { qkv: [N, 3 * C] },
      integers: { first: ranges.first, last: ranges.last },
      saved: { lse: [N, NH] },
      out: [N, C],
      overwrites: ["qkv"],
      forward: (k, { out, lse, qkv, first, last }: Tensors) => {
        const [q, key, v] = parts(qkv!);
        k.op(
          "attentionForward",
          "a",
          { out: out!, lse, q: q!, k: key!, v: v!, first: first!, last: last! },
          dims,
          scalars,
        );
      },
      backward: (k, { dqkv, dout, out, lse, qkv, first, last }: Tensors) => {
        const [q, key, v] = parts(qkv!);
        const [dq, dk, dv] = parts(dqkv!);
        k.op(
          "attentionBackward",
          "a",
          {
            dq: dq!,
            dk: dk!,
            dv: dv!,
            dout: dout!,
            out: out!,
            lse: lse!,
            q: q!,
            k: key!,
            v: v!,
            first: first!,
            last: last!,
          },
          dims,
          scalars,
        );
      },
    };
  }
  const cases: [string, GradientCase][] = [
    ["one token, one head", attention(1, 3, causal(1))],
    ["causal", attention(2, 3, causal(6))],
    ["bidirectional", attention(3, 1, bidirectional(5))],
    ["packed causal", attention(2, 3, packed([3, 1, 4], "causal"))],
    ["packed bidirectional segments", attention(1, 5, packed([2, 4], "bidirectional"))],
    ["rows nobody attends to", attention(1, 3, { first: Int32Array.of(1, 1, 3, 3), last: Int32Array.of(1, 1, 3, 3) })],
    ["causal with dropout", attention(2, 3, causal(6), 0.3)],
    ["packed with dropout", attention(3, 2, packed([3, 5], "causal"), 0.5)],
  ];
  for (const [name, test] of cases) it(name, () => checkGradients(test));
});

describe("gradients: adapters", () => {
  const [N, C, R] = [5, 7, 3];

  it("columns scaled by a row of a table, which is their own backward pass", () =>
    checkGradients({
      inputs: { x: [N, C] },
      integers: { index: Int32Array.of(1, 0, 2, 1, 1) },
      saved: { gain: [3, C] },
      out: [N, C],
      overwrites: ["x"],
      forward: (k, { out, x, gain, index }: Tensors) => {
        k.op("fill", "g", { x: gain! }, { size: 3 * C }, { value: 1.5 });
        k.op("fill", "g", { x: rowsOf(gain!, 1, 1) }, { size: C }, { value: 0 });
        k.op("scaleColumns", "s", { out: out!, x: x!, gain: gain!, index: index! }, { N, C }, {});
      },
      backward: (k, { dx, dout, gain, index }: Tensors) =>
        k.op("scaleColumns", "s", { out: dx!, x: dout!, gain: gain!, index: index! }, { N, C }, {}),
    }));

  it("a separate activation, through the linear layer that follows", () =>
    checkGradients({
      inputs: { x: [N, C], w: [R, C] },
      saved: { y: [N, C] },
      out: [N, R],
      overwrites: ["x"],
      forward: (k, { out, x, w, y }: Tensors) => {
        k.op("activation", "a", { out: y!, x: x! }, { N, C }, { act: "gelu_new" });
        k.op("linearForward", "l", { out: out!, x: y!, weight: w! }, { N, IC: C, OC: R }, { act: "none" });
      },
      backward: (k, { dx, dw, dout, x, w, y }: Tensors) => {
        const dims = { N, IC: C, OC: R };
        k.op("linearBackwardWeight", "l", { dweight: dw, dout: dout!, x: y! }, dims, {});
        const tensors = { dx: dx!, dout: dout!, weight: w!, preact: x! };
        k.op("linearBackwardInput", "l", tensors, dims, { act: "gelu_new", accumulate: false });
      },
    }));
});

describe("gradients: sums and products", () => {
  it("a squared error built from add and multiply, as for regression", () => {
    const [N, C] = [4, 3];
    const size = { N, C };
    return checkGradients({
      inputs: { x: [N, C] },
      saved: { negatives: [N, C], error: [N, C], twice: [N, C] },
      out: [N, C],
      overwrites: ["x"],
      forward: (k, { out, x, negatives, error, twice }: Tensors) => {
        k.op("fill", "targets", { x: negatives! }, { size: N * C }, { value: -0.7 });
        k.op("add", "error", { out: error!, a: x!, b: negatives! }, size, {});
        k.op("add", "twice", { out: twice!, a: error!, b: error! }, size, {});
        k.op("multiply", "square", { out: out!, a: error!, b: error! }, size, {});
      },
      backward: (k, { dx, dout, twice }: Tensors) => {
        k.op("multiply", "dx", { out: dx!, a: dout!, b: twice! }, size, {});
      },
    });
  });
});

describe("gradients: dropout", () => {
  it("is its own backward pass", () => {
    const [N, C] = [5, 9];
    const scalars = { p: 0.4, key0: 77, key1: 0xffffffff };
    return checkGradients({
      inputs: { x: [N, C] },
      out: [N, C],
      overwrites: ["x"],
      forward: (k, { out, x }: Tensors) => k.op("dropout", "d", { out: out!, x: x! }, { N, C }, scalars),
      backward: (k, { dx, dout }: Tensors) => k.op("dropout", "d", { out: dx!, x: dout! }, { N, C }, scalars),
    });
  });
});

describe("gradients: crossEntropy", () => {
  const targets = Int32Array.of(0, -1, 4, 2, -100);
  const [N, V] = [targets.length, 7];
  const scale = 1 / 3;
  for (const deviation of [1, 20]) {
    it(`with ignored targets, logits of deviation ${deviation}`, () =>
      checkGradients({
        inputs: { logits: [N, V] },
        values: { logits: new RandomArrays(5).doubles(N * V, deviation) },
        integers: { targets },
        out: [N],
        dout: scale,
        overwrites: ["logits"],
        forward: (k, { out, logits, targets }: Tensors) =>
          k.op("crossEntropy", "ce", { losses: out!, logits: logits!, targets: targets! }, { N, V }, { scale }),
        backward: (k, { out, dlogits, logits, targets }: Tensors) =>
          k.op(
            "crossEntropy",
            "ce",
            { losses: out!, dlogits, logits: logits!, targets: targets! },
            { N, V },
            { scale },
          ),
      }));
  }
});
