import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allCases, chooseCases } from "../../bench/cases.js";
import { TARGETS } from "../../bench/targets.js";
import { type GPT2Config, gpt2Config } from "../../src/architectures/gpt2/config.js";
import { decodeProgram, trainProgram } from "../../src/architectures/programs.js";
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

describe("the operations and bytes of cases", () => {
  for (const [B, T] of [
    [4, 256],
    [1, 1024],
  ] as const) {
    it(`training, B=${B} T=${T}: what the Program multiplies`, () => {
      const { perToken } = named(`train-${B}x${T}-f32`).limit;
      const flops = productFlops(trainProgram(config, B * T)) + 3 * B * attentionFlops(config, T);
      assert.equal(Math.round(perToken! * B * T), flops);
    });
  }

  it("prefill: what the Program multiplies, with logits for one token", () => {
    const { perToken } = named("prefill-512-f32").limit;
    const program = decodeProgram(config, { maxTokens: 512, maxLogits: 1, cacheRows: 1024 });
    assert.equal(Math.round(perToken! * 512), productFlops(program) + attentionFlops(config, 512));
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
    assert.equal(named("decode-512-q8_0").limit.perToken, q8 + 2 * cache); // in f16
    assert.equal(named("decode-512-bf16").limit.perToken, named("decode-512-f16").limit.perToken);
  });

  it("eight sequences share the weights, but not the positions, nor the cache", () => {
    const alone = named("decode-8-q8_0").limit.perToken!;
    const together = named("batch-8-q8_0").limit.perToken!;
    const own = 4 * config.nEmbd + 2 * 2 * config.nEmbd * config.nLayer * (8 + 32);
    assert.equal(8 * together, alone + 7 * own);
  });
});

describe("the figure of a case", () => {
  const state = { secondsSinceStart: 0.5, ownBytes: 50e6 };

  it("excludes the prompt's time from decoding, and the time after it from prefill", () => {
    const seconds = [2, ...Array.from({ length: 64 }, () => 0.25)];
    assert.equal(named("decode-8-f32").figure({ result: { ids: [], seconds }, ...state }), 4);
    assert.equal(named("prefill-512-f32").figure({ result: { ids: [], seconds }, ...state }), 256);
    assert.equal(named("batch-8-f32").figure({ result: { ids: [[]], seconds }, ...state }), 32);
  });

  it("counts a step's tokens in training", () => {
    assert.equal(named("train-4x256-f32").figure({ result: { losses: [1], seconds: [2] }, ...state }), 512);
  });

  it("is the process's age when it starts for it, and its own memory", () => {
    const result = { ids: [1], seconds: [0.1] };
    assert.equal(named("start-q8_0").figure({ result, ...state }), 500);
    assert.equal(named("memory-q8_0").figure({ result, ...state }), 50);
    assert.equal(named("memory-q8_0").figure({ result, secondsSinceStart: 1 }), undefined);
  });

  it("of memory is taken when the cache is full, so that all of it is in memory", () => {
    const { task } = named("memory-q8_0");
    assert.ok(task.kind === "generate");
    assert.equal(task.prompt.length + task.count, config.nCtx);
  });
});

describe("targets", () => {
  it("belong to existing cases", () => {
    const names = TARGETS.flatMap((target) => [target.case, ...(target.over ? [target.over.case] : [])]);
    for (const name of names) assert.ok(named(name), name);
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

  it("lists all names when a name is unknown", () => {
    assert.throws(
      () => chooseCases(cases, ["decodes"], () => true),
      /no case decodes; there are limits, train, prefill, decode, batch, wasm, start, memory, tr/,
    );
  });
});
