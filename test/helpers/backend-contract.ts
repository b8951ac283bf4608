import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend, Executable } from "../../src/backend/backend.js";
import { GPT2Error } from "../../src/errors.js";
import { type Program, Recorder } from "../../src/program/program.js";
import { assertClose } from "./compare.js";
import { RandomArrays } from "./random-arrays.js";

/** What src/backend/backend.ts promises of every backend beside its arithmetic: memory, runs, timing, capture. */
export function backendContract(name: string, makeBackend: () => Backend | Promise<Backend>): void {
  describe(`${name}: memory`, () => memoryContract(makeBackend));
  describe(`${name}: runs`, () => runContract(makeBackend));
}

function memoryContract(makeBackend: () => Backend | Promise<Backend>): void {
  it("is zero at first, and is written and read in part", async () => {
    const array = (await makeBackend()).alloc("f32", 6);
    array.write([1.5, 2.5], 3);
    assert.deepEqual([...(await array.read())], [0, 0, 0, 1.5, 2.5, 0]);
    assert.deepEqual([...(await array.read(3, 2))], [1.5, 2.5]);
    assert.deepEqual([...(await array.read(4))], [2.5, 0]);
  });

  it("holds integers exactly", async () => {
    const array = (await makeBackend()).alloc("i32", 2);
    array.write([2 ** 31 - 1, -(2 ** 31)]);
    assert.deepEqual([...(await array.read())], [2 ** 31 - 1, -(2 ** 31)]);
  });

  it("is shared by slices, and slices of slices", async () => {
    const array = (await makeBackend()).alloc("f32", 8);
    const slice = array.slice(2, 5).slice(1, 3);
    assert.equal(slice.length, 3);
    slice.write([7, 8, 9]);
    assert.deepEqual([...(await array.read())], [0, 0, 0, 7, 8, 9, 0, 0]);
    array.write([1], 4);
    assert.deepEqual([...(await slice.read())], [7, 1, 9]);
  });

  it("a copy that was read does not change", async () => {
    const array = (await makeBackend()).alloc("f32", 1);
    const copy = await array.read();
    array.write([1]);
    assert.equal(copy[0], 0);
  });

  it("refuses what lies outside", async () => {
    const array = (await makeBackend()).alloc("f32", 4);
    assert.throws(() => array.slice(2, 3), GPT2Error);
    assert.throws(() => array.slice(-1, 2), GPT2Error);
    assert.throws(() => array.write([1, 2], 3));
    assert.equal(array.slice(4, 0).length, 0);
  });
}

/** sum[2] += value · (1, 1) N times, through a temporary; the value is a number of the run. */
function adderProgram(): Program {
  const k = new Recorder("adder");
  const N = k.sym("N", 5);
  const sum = k.external("sum", [2]);
  const addend = k.temp("addend", [N, 2]);
  k.op("fill", "addend", { x: addend }, { size: 10 }, { value: k.scalar("value") });
  const zero = k.temp("zero", [N, 1]);
  k.op("fill", "zero", { x: zero }, { size: 5 }, { value: 0 });
  k.op("linearBackwardWeight", "add", { dbias: sum, dout: addend, x: zero }, { N, IC: 1, OC: 2 }, {});
  return k.build();
}

/** y = x scaled by many layers of a [width, width] matrix: temporaries whose memory is used again and again. */
function chainProgram(layers: number, rows: number, width: number): Program {
  const k = new Recorder("chain");
  const dims = { N: k.sym("N", rows), IC: width, OC: width };
  let x = k.external("x", [dims.N, width]);
  const [weight, y] = [k.external("weight", [width, width]), k.external("y", [dims.N, width])];
  for (let i = 0; i < layers; i++) {
    const out = i + 1 < layers ? k.temp(`h.${i}`, [dims.N, width]) : y;
    k.op("linearForward", `h.${i}`, { out, x, weight }, dims, { act: "none" });
    x = out;
  }
  return k.build();
}

function prepareChain(backend: Backend, layers: number, rows: number, width: number, capture: string[] = []) {
  const random = new RandomArrays(3);
  const arrays = {
    x: backend.alloc("f32", rows * width),
    weight: backend.alloc("f32", width * width),
    y: backend.alloc("f32", rows * width),
  };
  arrays.x.write(random.floats(rows * width));
  arrays.weight.write(random.floats(width * width, 1 / Math.sqrt(width)));
  return { arrays, chain: backend.prepare(chainProgram(layers, rows, width), arrays, { capture }) };
}

function runContract(makeBackend: () => Backend | Promise<Backend>): void {
  const adder = async (): Promise<{
    run: (N: number, value: number) => Promise<void>;
    sum: () => Promise<number[]>;
  }> => {
    const backend = await makeBackend();
    const sum = backend.alloc("f32", 2);
    const executable = backend.prepare(adderProgram(), { sum });
    return {
      run: (N, value) => executable.run({ dims: { N }, scalars: { value } }),
      sum: async () => [...(await sum.read())],
    };
  };

  it("take their sizes and numbers from each run", async () => {
    const { run, sum } = await adder();
    await run(1, 2);
    assert.deepEqual(await sum(), [2, 2]);
    await run(5, -1);
    assert.deepEqual(await sum(), [-3, -3]);
    await run(0, 100);
    assert.deepEqual(await sum(), [-3, -3]);
  });

  it("started together do not overlap, and keep their order", async () => {
    const backend = await makeBackend();
    const [value, sum] = [backend.alloc("f32", 1), backend.alloc("f32", 1)];
    const set = new Recorder("set");
    const target = set.external("value", [1]);
    set.op("fill", "set", { x: target }, { size: 1 }, { value: set.scalar("to") });
    const add = new Recorder("add");
    const [dout, dbias] = [add.external("value", [1]), add.external("sum", [1])];
    add.op("linearBackwardWeight", "add", { dbias, dout, x: dout }, { N: 1, IC: 1, OC: 1 }, {});
    const [setter, summer] = [backend.prepare(set.build(), { value }), backend.prepare(add.build(), { value, sum })];
    await Promise.all([1, 10, 100].flatMap((to) => [setter.run({ scalars: { to } }), summer.run()]));
    assert.deepEqual([...(await sum.read())], [111]);
  });

  it("do not overlap with a long one, which gives way to the event loop", async () => {
    const backend = await makeBackend();
    const { arrays, chain } = prepareChain(backend, 40, 64, 160);
    const k = new Recorder("set");
    const size = arrays.y.length;
    k.op("fill", "set", { x: k.external("y", [size]) }, { size }, { value: 5 });
    const setter = backend.prepare(k.build(), { y: arrays.y });
    await Promise.all([chain.run({ dims: { N: 64 } }), setter.run()]);
    assert.deepEqual(new Set(await arrays.y.read()), new Set([5]));
  });

  it("refuse sizes and numbers that are wrong or missing, and go on after", async () => {
    const { run, sum } = await adder();
    await assert.rejects(run(6, 1), GPT2Error);
    await assert.rejects(run(1.5, 1), GPT2Error);
    await assert.rejects(run(1, undefined as unknown as number), GPT2Error);
    await run(2, 4);
    assert.deepEqual(await sum(), [8, 8]);
  });

  it("leave captured temporaries readable", async () => {
    const backend = await makeBackend();
    const names = ["h.0", "h.3"];
    const { arrays, chain } = prepareChain(backend, 6, 4, 3, names);
    await chain.run({ dims: { N: 4 } });
    const [x, weight] = [await arrays.x.read(), await arrays.weight.read()];
    let want = Float64Array.from(x);
    for (let layer = 0; layer < 4; layer++) {
      want = want.map((_, i) => {
        const [row, o] = [3 * Math.floor(i / 3), i % 3];
        return [0, 1, 2].reduce((sum, c) => sum + want[row + c]! * weight[3 * o + c]!, 0);
      });
      const name = `h.${layer}`;
      if (names.includes(name)) assertClose(name, await chain.captured(name).read(), want, { relative: 1e-6 });
    }
    assert.throws(() => chain.captured("h.1"), GPT2Error);
    assert.throws(() => chain.captured("nothing"), GPT2Error);
  });

  it("use the memory of temporaries again", async () => {
    const backend = await makeBackend();
    const bytes = (layers: number) => prepareChain(backend, layers, 64, 16).chain.tempBytes;
    assert.ok(bytes(3) > 0);
    assert.equal(bytes(30), bytes(4));
  });

  it("are timed, op by op, when asked", async () => {
    const { chain } = prepareChain(await makeBackend(), 5, 32, 64);
    const values = { dims: { N: 32 } };
    await chain.run(values);
    assert.equal(chain.opSeconds, undefined);
    chain.timeOps(true);
    await chain.run(values);
    const once = Float64Array.from(secondsOf(chain));
    assert.equal(once.length, 5);
    assert.ok(once.every((s) => s >= 0 && s < 60) && once.some((s) => s > 0), `${once}`);
    await chain.run(values);
    assert.ok(secondsOf(chain).every((s, i) => s >= once[i]!));
    chain.timeOps(false);
    assert.equal(chain.opSeconds, undefined);
  });

  it("leave the event loop free", async () => {
    const { chain } = prepareChain(await makeBackend(), 40, 64, 160);
    let turns = 0;
    let done = false;
    const turn = () => {
      turns++;
      if (!done) setImmediate(turn);
    };
    const running = chain.run({ dims: { N: 64 } });
    setImmediate(turn);
    await running;
    // On a busy machine one run can be over before this thread gets a processor again.
    for (let i = 0; i < 20 && turns === 0; i++) await chain.run({ dims: { N: 64 } });
    done = true;
    assert.ok(turns > 0);
  });

  it("are refused memory that does not fit", async () => {
    const backend = await makeBackend();
    const program = adderProgram();
    assert.throws(() => backend.prepare(program, {}), /sum/);
    assert.throws(() => backend.prepare(program, { sum: backend.alloc("f32", 1) }), GPT2Error);
    assert.throws(() => backend.prepare(program, { sum: backend.alloc("i32", 2) }), GPT2Error);
    // Larger is fine, and so are a Map and a slice.
    const large = backend.alloc("f32", 9);
    const executable = backend.prepare(program, new Map([["sum", large.slice(3, 5)]]));
    await executable.run({ dims: { N: 3 }, scalars: { value: 1 } });
    assert.deepEqual([...(await large.read())], [0, 0, 0, 3, 3, 0, 0, 0, 0]);
  });
}

function secondsOf(executable: Executable): Float64Array {
  assert.ok(executable.opSeconds);
  return executable.opSeconds;
}
