/** The reference backend in float64 against torch, op by op (scripts/python/make_ops_fixture.py). */
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { Recorder, type Tensor } from "../../src/program/program.js";
import { packageFile } from "../../src/util/package-root.js";
import { packed } from "../helpers/attention-ranges.js";
import { assertClose } from "../helpers/compare.js";

type Numbers = Record<string, number[]>;
interface Fixture extends Record<string, unknown> {
  embedding: Numbers;
  layernorm: Numbers;
  linear: Numbers;
  attention: Numbers;
  cross_entropy: Numbers;
  adamw: { initial: number[]; steps: { grad: number[]; norm: number; param: number[] }[] };
}
const fixture = JSON.parse(readFileSync(packageFile("test/fixtures/ops/expected.json"), "utf8")) as Fixture;

/** Both sides round in double precision, torch's vectorized sums in another order. */
const TOLERANCE = { relative: 1e-13 };

/** Runs ops on buffers with the given contents, and returns their contents afterwards. */
async function compute(
  contents: Readonly<Record<string, readonly number[]>>,
  integers: readonly string[],
  record: (k: Recorder, t: Readonly<Record<string, Tensor>>) => void,
): Promise<Record<string, ArrayLike<number>>> {
  const backend = await referenceBackend({ precision: "f64" });
  const k = new Recorder("ops");
  const arrays = Object.entries(contents).map(([name, values]) => {
    const dtype = integers.includes(name) ? "i32" : "f32";
    const array = backend.alloc(dtype, values.length);
    array.write(values);
    return { name, array, tensor: k.external(name, [values.length], dtype) };
  });
  record(k, Object.fromEntries(arrays.map(({ name, tensor }) => [name, tensor])));
  await (await backend.prepare(k.build(), Object.fromEntries(arrays.map(({ name, array }) => [name, array])))).run();
  return Object.fromEntries(arrays.map(({ name, array }) => [name, array.host!]));
}

const zeros = (n: number): number[] => new Array<number>(n).fill(0);
/** Zeros as results, to be filled by the ops. */
const without = (numbers: Numbers, ...results: string[]): Numbers => ({
  ...numbers,
  ...Object.fromEntries(results.map((name) => [name, zeros(numbers[name]!.length)])),
});
function assertResults(got: Record<string, ArrayLike<number>>, want: Numbers, ...results: string[]): void {
  for (const name of results) assertClose(name, got[name]!, want[name]!, TOLERANCE);
}

describe("the reference backend agrees with torch", () => {
  it("embedding", async () => {
    const want = fixture.embedding;
    const results = ["out", "dwte", "dwpe"];
    const got = await compute(without(want, ...results), ["tokens", "positions"], (k, t) => {
      const { out, dout, tokens, positions, wte, wpe, dwte, dwpe } = t as Record<string, Tensor>;
      const dims = { N: 5, C: 3 };
      const index = { tokens: tokens!, positions: positions! };
      k.op("embeddingForward", "e", { out: out!, ...index, wte: wte!, wpe: wpe! }, dims, {});
      k.op("embeddingBackward", "e", { dwte, dwpe, dout: dout!, ...index }, dims, {});
    });
    assertResults(got, want, ...results);
  });

  it("layernorm", async () => {
    const want = fixture.layernorm;
    const results = ["out", "dx", "dweight", "dbias"];
    const got = await compute({ ...without(want, ...results), mean: zeros(3), rstd: zeros(3) }, [], (k, t) => {
      const [x, weight, mean, rstd] = [t.x!, t.weight!, t.mean!, t.rstd!];
      const dims = { N: 3, C: 7 };
      k.op("layernormForward", "ln", { out: t.out!, mean, rstd, x, weight, bias: t.bias! }, dims, { epsilon: 1e-5 });
      const gradients = { dx: t.dx!, dweight: t.dweight, dbias: t.dbias };
      k.op("layernormBackward", "ln", { ...gradients, dout: t.dout!, x, weight, mean, rstd }, dims, {
        overwrite: true,
      });
    });
    assertResults(got, want, ...results);
  });

  it("linear with GELU and residual", async () => {
    const want = fixture.linear;
    const results = ["out", "preact", "dpreact", "dx", "dweight", "dbias"];
    const identity = Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? 1 : 0));
    const got = await compute({ ...without(want, ...results), identity }, [], (k, t) => {
      const dims = { N: 4, IC: 5, OC: 6 };
      const forward = { out: t.out!, preact: t.preact, x: t.x!, weight: t.weight!, bias: t.bias, residual: t.residual };
      k.op("linearForward", "l", forward, dims, { act: "gelu_new" });
      // Only the activation: a layer whose weight is the identity.
      const through = { dx: t.dpreact!, dout: t.dout!, weight: t.identity!, preact: t.preact };
      k.op("linearBackwardInput", "gelu", through, { N: 4, IC: 6, OC: 6 }, { act: "gelu_new", accumulate: false });
      const input = { dx: t.dx!, dout: t.dpreact!, weight: t.weight! };
      k.op("linearBackwardInput", "l", input, dims, { act: "none", accumulate: false });
      k.op("linearBackwardWeight", "l", { dweight: t.dweight, dbias: t.dbias, dout: t.dpreact!, x: t.x! }, dims, {});
    });
    assertResults(got, want, ...results);
  });

  it("attention over two packed sequences", async () => {
    const want = fixture.attention;
    const results = ["out", "lse", "dqkv"];
    const { first, last } = packed([4, 2], "causal");
    const contents = { ...without(want, ...results), first: [...first], last: [...last] };
    const got = await compute(contents, ["first", "last"], (k, t) => {
      const part = (name: string, i: number): Tensor => ({ ...t[name]!, offset: 6 * i });
      const dims = { N: 6, NH: 2, HS: 3, ldq: 18, ldkv: 18 };
      const scalars = { scale: 1 / Math.sqrt(3), p: 0, key0: 0, key1: 0 };
      const inputs = { q: part("qkv", 0), k: part("qkv", 1), v: part("qkv", 2), first: t.first!, last: t.last! };
      k.op("attentionForward", "a", { out: t.out!, lse: t.lse, ...inputs }, dims, scalars);
      const gradients = { dq: part("dqkv", 0), dk: part("dqkv", 1), dv: part("dqkv", 2) };
      const saved = { dout: t.dout!, out: t.out!, lse: t.lse! };
      k.op("attentionBackward", "a", { ...gradients, ...saved, ...inputs }, dims, scalars);
    });
    assertResults(got, want, ...results);
  });

  it("crossEntropy with an ignored target", async () => {
    const want = fixture.cross_entropy;
    const results = ["losses", "dlogits"];
    const got = await compute(without(want, ...results), ["targets"], (k, t) => {
      const tensors = { losses: t.losses!, dlogits: t.dlogits, logits: t.logits!, targets: t.targets! };
      k.op("crossEntropy", "ce", tensors, { N: 4, V: 9 }, { scale: 1 / 3 });
    });
    assertResults(got, want, ...results);
  });

  it("norm and adamw: clipped steps, decay on matrices only", async () => {
    const { initial, steps } = fixture.adamw;
    const [beta1, beta2, size, decayed] = [0.9, 0.95, initial.length, 12];
    let state: Record<string, ArrayLike<number>> = { param: initial, m: zeros(size), v: zeros(size) };
    for (const [i, { grad, norm, param }] of steps.entries()) {
      const contents = Object.fromEntries(Object.entries(state).map(([name, values]) => [name, Array.from(values)]));
      state = await compute({ ...contents, grad, norm: [0] }, [], (k, t) => {
        k.op("norm", "norm", { norm: t.norm!, x: t.grad! }, { size }, {});
        const part = (from: number, to: number, weightDecay: number) => {
          const of = (name: string): Tensor => ({ ...t[name]!, offset: from, shape: [to - from] });
          const tensors = { param: of("param"), grad: of("grad"), m: of("m"), v: of("v"), norm: t.norm };
          const rates = { lr: 3e-2, beta1, beta2, epsilon: 1e-8, weightDecay, maxNorm: 1 };
          const corrections = { correction1: 1 - beta1 ** (i + 1), correction2: 1 - beta2 ** (i + 1) };
          k.op("adamw", "step", tensors, { size: to - from }, { ...rates, ...corrections });
        };
        part(0, decayed, 0.1);
        part(decayed, size, 0);
      });
      assertClose(`norm of step ${i + 1}`, state.norm!, [norm], TOLERANCE);
      assertClose(`parameters after step ${i + 1}`, state.param!, param, TOLERANCE);
    }
  });
});
