import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allCases, chooseCases } from "../../bench/cases.js";
import { type GPT2Config, gpt2Config } from "../../src/model/config.js";
import { decodeProgram, trainProgram } from "../../src/model/programs.js";
import { maxOf, type Program } from "../../src/program/program.js";

const config = gpt2Config("gpt2");
const cases = allCases(config, 1);
const named = (name: string) => cases.find((c) => c.name === name)!;

/** Multiply-adds, each counted twice, of the Program's matrix products; its sizes at their largest. */
function productFlops({ ops }: Program): number {
  const products = ops.filter(({ kind }) => kind.startsWith("linear"));
  return products.reduce((flops, { dims }) => flops + dims.reduce<number>((n, d) => n * maxOf(d), 2), 0);
}

/** Of attention forward over T tokens: scores and values, for each pair of a query and a key that may meet. */
const attentionFlops = ({ nLayer, nEmbd }: GPT2Config, T: number) => nLayer * ((T * (T + 1)) / 2) * 4 * nEmbd;

describe("what the cases need of the machine", () => {
  for (const [B, T] of [
    [4, 256],
    [1, 1024],
  ] as const) {
    it(`training, B=${B} T=${T}: what the Program multiplies`, () => {
      const { perToken } = named(`train-${B}x${T}-f32`).limit;
      const flops = productFlops(trainProgram(config, B * T)) + 3 * B * attentionFlops(config, T);
      assert.equal(Math.round(perToken * B * T), flops);
    });
  }

  it("prefill: what the Program multiplies, with logits for one token", () => {
    const { perToken } = named("prefill-512-f32").limit;
    const program = decodeProgram(config, { maxTokens: 512, maxLogits: 1, cacheRows: 1024 });
    assert.equal(Math.round(perToken * 512), productFlops(program) + attentionFlops(config, 512));
  });

  it("decode: every weight that a token uses, and the keys and values before it", () => {
    const { ops } = decodeProgram(config, { maxTokens: 1, maxLogits: 1, cacheRows: 1024 });
    const bound = new Map(ops.flatMap((op) => op.tensors.map((t) => [t?.buffer.name, t?.buffer.size])));
    const names = [...bound.keys()].filter((name) => name?.startsWith("param.") && name !== "param.wpe.weight");
    const weights = names.reduce((n, name) => n + bound.get(name)!, config.nEmbd);
    const cache = 2 * config.nEmbd * config.nLayer * (512 + 32);
    assert.equal(named("decode-512-f32").limit.perToken, 4 * (weights + cache));
    // A q8_0 block is 32 bytes and a scale of two, for 32 weights.
    const vectors = 2 * config.nEmbd + config.nLayer * (4 + 3 + 1 + 4 + 1) * config.nEmbd;
    const q8 = 4 * vectors + (34 / 32) * (weights - vectors - config.nEmbd) + 4 * config.nEmbd;
    assert.equal(named("decode-512-q8_0").limit.perToken, q8 + 4 * cache);
  });
});

describe("chooseCases", () => {
  it("takes cases by name, and of groups those we can do, in the cases' order", () => {
    const names = ["decode", "train-1x1024-f32", "decode-8-q4_0"];
    const chosen = chooseCases(cases, names, ({ type }) => type === "f32");
    const expected = ["train-1x1024-f32", "decode-8-f32", "decode-512-f32", "decode-8-q4_0"];
    assert.deepEqual(
      chosen.map(({ name }) => name),
      expected,
    );
  });

  it("lists what there is when a name is unknown", () => {
    assert.throws(
      () => chooseCases(cases, ["decodes"], () => true),
      /no case decodes; there are limits, train, prefill, decode, tr/,
    );
  });
});
