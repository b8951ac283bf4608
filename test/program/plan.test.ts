import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { planMemory } from "../../src/program/plan.js";
import { type BufferDecl, type Program, Recorder, type Tensor } from "../../src/program/program.js";
import { RandomStream } from "../../src/util/random.js";

const NO_DROPOUT = { p: 0, key0: 0, key1: 0 };
const ALIGN = 256;

/**
 * A random Program over temporaries of random sizes: each op starts one (from a number, or from one or two before it) or
 * changes one in place; the last adds what is left into `out`. With `shared` false every temporary is external instead.
 */
function randomProgram(seed: number, shared = true): Program {
  const random = new RandomStream(seed);
  const k = new Recorder(`random ${seed}`);
  const out = k.external("out", [1]);
  const made: Tensor[] = [];
  const pick = (): Tensor => made[made.length - 1 - random.below(Math.min(made.length, 1 + random.below(12)))]!;
  const length = 3 + random.below(60);
  for (let i = 0; i < length; i++) {
    const size = 1 + random.below(random.below(5) === 0 ? 5000 : 200);
    const declare = (C: number): Tensor => (shared ? k.temp(`t${i}`, [C]) : k.external(`t${i}`, [C]));
    if (made.length === 0 || random.below(3) === 0) {
      made.push(declare(size));
      k.op("fill", `fill ${i}`, { x: made.at(-1)! }, { size }, { value: random.uniform() });
      continue;
    }
    const [x, weight] = [pick(), pick()];
    const OC = Math.min(size, weight.buffer.size);
    const t = declare(OC);
    k.op("linearForward", `linear ${i}`, { out: t, x, weight }, { N: 1, IC: 1, OC }, { act: "none" });
    if (random.below(2)) {
      k.op("dropout", `drop ${i}`, { out: x, x }, { N: 1, C: x.buffer.size }, { p: 0.5, key0: i, key1: 2 });
    }
    made.push(t);
  }
  for (let i = 0; i < 3; i++) {
    const x = pick();
    k.op("linearBackwardWeight", `sum ${i}`, { dbias: out, dout: x, x }, { N: x.buffer.size, IC: 1, OC: 1 }, {});
  }
  return k.build();
}

/** First and last op that uses a buffer; kept buffers are in use until the end. */
function lifeOf(program: Program, buffer: BufferDecl, keep: ReadonlySet<string>): [number, number] | undefined {
  const uses = program.ops.flatMap((op, i) => (op.tensors.some((t) => t?.buffer === buffer) ? [i] : []));
  if (uses.length === 0) return undefined;
  return [uses[0]!, keep.has(buffer.name) ? program.ops.length : uses.at(-1)!];
}

const SEEDS = Array.from({ length: 200 }, (_, i) => i);

describe("planMemory", () => {
  it("never gives two buffers in use at the same time the same memory", () => {
    for (const seed of SEEDS) {
      const program = randomProgram(seed);
      const bytes = seed % 2 ? 8 : 4;
      const keep = new Set(program.buffers.filter((b) => !b.external && b.id % 7 === seed % 7).map((b) => b.name));
      const plan = planMemory(program, bytes, keep);
      const placed = program.buffers.flatMap((buffer) => {
        const life = lifeOf(program, buffer, keep);
        if (buffer.external || !life) {
          assert.ok(!plan.offsets.has(buffer), buffer.name);
          return [];
        }
        const start = plan.offsets.get(buffer)!;
        return [{ name: buffer.name, life, start, end: start + buffer.size * bytes }];
      });
      for (const [i, a] of placed.entries()) {
        assert.equal(a.start % ALIGN, 0);
        assert.ok(a.start >= 0 && a.end <= plan.bytes, `${a.name} within the arena`);
        for (const b of placed.slice(i + 1)) {
          const together = a.life[0] <= b.life[1] && b.life[0] <= a.life[1];
          const overlap = a.start < b.end && b.start < a.end;
          assert.ok(!(together && overlap), `seed ${seed}: ${a.name} and ${b.name} overlap`);
        }
      }
    }
  });

  it("takes no more than all buffers together, and no less than those in use at once", () => {
    let [planned, total] = [0, 0];
    for (const seed of SEEDS) {
      const program = randomProgram(seed);
      const plan = planMemory(program);
      const size = (b: BufferDecl) => Math.ceil((4 * b.size) / ALIGN) * ALIGN;
      const lives = [...plan.offsets.keys()].map((b) => ({ size: size(b), life: lifeOf(program, b, new Set())! }));
      const sum = lives.reduce((n, l) => n + l.size, 0);
      const atOnce = program.ops.map((_, i) =>
        lives.reduce((n, { size, life }) => n + (life[0] <= i && i <= life[1] ? size : 0), 0),
      );
      assert.ok(plan.bytes <= sum, `seed ${seed}: ${plan.bytes} > ${sum}`);
      assert.ok(plan.bytes >= Math.max(...atOnce), `seed ${seed}`);
      planned += plan.bytes;
      total += Math.max(...atOnce);
    }
    // The quality of the placement: overall within 2% of the least possible.
    assert.ok(planned < 1.02 * total, `${planned} against ${total}`);
  });

  it("is deterministic", () => {
    const [a, b] = [planMemory(randomProgram(5)), planMemory(randomProgram(5))];
    assert.deepEqual([...a.offsets.values()], [...b.offsets.values()]);
  });

  it("needs no memory for a Program without temporaries", () => {
    const k = new Recorder("p");
    const x = k.external("x", [4]);
    k.temp("unused", [100]);
    k.op("dropout", "d", { out: x, x }, { N: 2, C: 2 }, NO_DROPOUT);
    assert.deepEqual(planMemory(k.build()), { offsets: new Map(), bytes: 0 });
  });

  it("gives the same results and kept buffers as separate memory for every buffer", async () => {
    for (const seed of SEEDS.slice(0, 40)) {
      const shared = randomProgram(seed);
      const apart = randomProgram(seed, false);
      const backend = await referenceBackend();
      const bind = (program: Program) =>
        Object.fromEntries(
          program.buffers.filter((b) => b.external).map((b) => [b.name, backend.alloc("f32", b.size)]),
        );
      const [few, all] = [bind(shared), bind(apart)];
      const capture = shared.buffers.filter((b) => !b.external && b.id % 3 === 0).map((b) => b.name);
      const executable = await backend.prepare(shared, few, { capture });
      await executable.run();
      await (await backend.prepare(apart, all)).run();
      assert.deepEqual(await few.out!.read(), await all.out!.read(), `seed ${seed}`);
      for (const name of capture) {
        const own = await all[name]!.read();
        assert.deepEqual(await executable.captured(name).read(), own, `seed ${seed}: ${name}`);
      }
    }
  });
});
