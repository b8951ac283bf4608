import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend, Executable } from "../../src/backend/backend.js";
import { GPT2Error, UsageError } from "../../src/errors.js";
import { type Program, Recorder } from "../../src/program/program.js";
import { assertClose } from "./compare.js";
import { indexContract } from "./index-contract.js";
import { RandomArrays } from "./random-arrays.js";

type MakeBackend = () => Backend | Promise<Backend>;

/** The contract of every backend (src/backend/backend.ts) beside its arithmetic: memory, runs, timing, capture. */
export function backendContract(
  name: string,
  makeBackend: MakeBackend,
  /** Makes another backend, where `makeBackend` always returns the same one. */
  makeAnother = makeBackend,
): void {
  describe(`${name}: memory`, () => memoryContract(makeBackend));
  describe(`${name}: runs`, () => runContract(makeBackend));
  describe(`${name}: indices`, () => indexContract(makeBackend));
  describe(`${name}: release`, () => releaseContract(makeBackend, makeAnother));
}

function memoryContract(makeBackend: MakeBackend): void {
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

  it("is copied from array to array, in order with runs", async () => {
    const backend = await makeBackend();
    const { arrays, chain } = await prepareChain(backend, 40, 64, 160);
    const copy = backend.alloc("f32", 3 + arrays.y.length);
    await Promise.all([
      chain.run({ dims: { N: 64 } }),
      copy.copyFrom(arrays.y, 3),
      copy.copyFrom(arrays.x.slice(0, 2)),
    ]);
    const [x, y] = [await arrays.x.read(0, 2), await arrays.y.read()];
    assert.ok(y.some((value) => value !== 0));
    assert.deepEqual([...(await copy.read())], [...x, 0, ...y]);
    await assert.rejects(copy.copyFrom(arrays.y, 4), GPT2Error);
    await assert.rejects(copy.copyFrom(backend.alloc("i32", 1)), GPT2Error);
    const other = await makeBackend();
    if (other !== backend) await assert.rejects(copy.copyFrom(other.alloc("f32", 1)), GPT2Error);
  });

  it("of packed dtypes is copied in blocks", async () => {
    const backend = await makeBackend();
    const [from, to] = [backend.alloc("q8_0", 64), backend.alloc("q8_0", 96)];
    from.write(Uint8Array.from({ length: 68 }, (_, i) => i));
    await to.copyFrom(from, 32);
    assert.deepEqual([...(await to.read())], [...new Array(34).fill(0), ...Array.from({ length: 68 }, (_, i) => i)]);
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

async function prepareChain(backend: Backend, layers: number, rows: number, width: number, capture: string[] = []) {
  const random = new RandomArrays(3);
  const arrays = {
    x: backend.alloc("f32", rows * width),
    weight: backend.alloc("f32", width * width),
    y: backend.alloc("f32", rows * width),
  };
  arrays.x.write(random.floats(rows * width));
  arrays.weight.write(random.floats(width * width, 1 / Math.sqrt(width)));
  return { arrays, chain: await backend.prepare(chainProgram(layers, rows, width), arrays, { capture }) };
}

function runContract(makeBackend: MakeBackend): void {
  const adder = async (): Promise<{
    run: (N: number, value: number) => Promise<void>;
    sum: () => Promise<number[]>;
  }> => {
    const backend = await makeBackend();
    const sum = backend.alloc("f32", 2);
    const executable = await backend.prepare(adderProgram(), { sum });
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
    const [setter, summer] = [
      await backend.prepare(set.build(), { value }),
      await backend.prepare(add.build(), { value, sum }),
    ];
    await Promise.all([1, 10, 100].flatMap((to) => [setter.run({ scalars: { to } }), summer.run()]));
    assert.deepEqual([...(await sum.read())], [111]);
  });

  it("do not overlap with a long one, which gives way to the event loop", async () => {
    const backend = await makeBackend();
    const { arrays, chain } = await prepareChain(backend, 40, 64, 160);
    const k = new Recorder("set");
    const size = arrays.y.length;
    k.op("fill", "set", { x: k.external("y", [size]) }, { size }, { value: 5 });
    const setter = await backend.prepare(k.build(), { y: arrays.y });
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
    const { arrays, chain } = await prepareChain(backend, 6, 4, 3, names);
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
    assert.throws(() => chain.captured("h.1"), UsageError);
    assert.throws(() => chain.captured("nothing"), UsageError);
    await assert.rejects(prepareChain(backend, 6, 4, 3, ["h.0", "nothing"]), UsageError);
    await assert.rejects(prepareChain(backend, 6, 4, 3, ["x"]), UsageError, "no temporary");
  });

  it("reuse the memory of temporaries", async () => {
    const backend = await makeBackend();
    const bytes = async (layers: number) => (await prepareChain(backend, layers, 64, 16)).chain.tempBytes;
    assert.ok((await bytes(3)) > 0);
    assert.equal(await bytes(30), await bytes(4));
  });

  it("are timed, op by op, on request", async () => {
    const { chain } = await prepareChain(await makeBackend(), 5, 32, 64);
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
    const { chain } = await prepareChain(await makeBackend(), 40, 64, 160);
    let turns = 0;
    let done = false;
    const turn = () => {
      turns++;
      if (!done) setImmediate(turn);
    };
    const running = chain.run({ dims: { N: 64 } });
    setImmediate(turn);
    await running;
    // On a busy machine a run can end before this thread gets a processor.
    for (let i = 0; i < 20 && turns === 0; i++) await chain.run({ dims: { N: 64 } });
    done = true;
    assert.ok(turns > 0);
  });

  it("are refused memory that does not fit", async () => {
    const backend = await makeBackend();
    const program = adderProgram();
    await assert.rejects(backend.prepare(program, {}), /sum/);
    await assert.rejects(backend.prepare(program, { sum: backend.alloc("f32", 1) }), GPT2Error);
    await assert.rejects(backend.prepare(program, { sum: backend.alloc("i32", 2) }), GPT2Error);
    // Larger is fine, and so are a Map and a slice.
    const large = backend.alloc("f32", 9);
    const executable = await backend.prepare(program, new Map([["sum", large.slice(3, 5)]]));
    await executable.run({ dims: { N: 3 }, scalars: { value: 1 } });
    assert.deepEqual([...(await large.read())], [0, 0, 0, 3, 3, 0, 0, 0, 0]);
  });
}

const disposed = { name: "DisposedError", code: "ERR_DISPOSED" };

function releaseContract(makeBackend: MakeBackend, makeAnother: MakeBackend): void {
  it("of an array ends its slices and Executables, not its neighbours", async () => {
    const backend = await makeBackend();
    const [sum, other] = [backend.alloc("f32", 4), backend.alloc("f32", 2)];
    const program = adderProgram();
    const [executable, another] = [
      await backend.prepare(program, { sum: sum.slice(1, 2) }),
      await backend.prepare(program, { sum: other }),
    ];
    const values = { dims: { N: 1 }, scalars: { value: 1 } };
    const slice = sum.slice(2, 2);
    await executable.run(values);
    const late = executable.run(values);
    slice.dispose();
    sum.dispose();
    await late;
    for (const array of [sum, slice]) {
      assert.throws(() => array.host, disposed);
      assert.throws(() => array.write([1]), disposed);
      assert.throws(() => array.slice(0, 1), disposed);
      await assert.rejects(array.read(), disposed);
      await assert.rejects(array.copyFrom(other.slice(0, 1)), disposed);
    }
    await assert.rejects(other.copyFrom(slice), disposed);
    await assert.rejects(executable.run(values), disposed);
    await assert.rejects(backend.prepare(program, { sum: slice }), disposed);
    await another.run(values);
    assert.deepEqual([...(await other.read())], [1, 1]);
  });

  it("of an Executable waits for its runs, and leaves the arrays", async () => {
    const backend = await makeBackend();
    const { arrays, chain } = await prepareChain(backend, 40, 64, 160, ["h.3"]);
    const captured = chain.captured("h.3");
    const running = chain.run({ dims: { N: 64 } });
    chain.dispose();
    chain.dispose();
    await running;
    assert.ok((await arrays.y.read()).some((value) => value !== 0));
    await assert.rejects(chain.run({ dims: { N: 64 } }), disposed);
    assert.throws(() => chain.captured("h.3"), disposed);
    await assert.rejects(captured.read(), disposed);
  });

  it("gives memory to later arrays, zeroed", async () => {
    const backend = await makeBackend();
    for (let i = 0; i < 8; i++) {
      const array = backend.alloc("f32", 2 ** 20 + i);
      const values = await array.read();
      assert.ok(values.every((value) => value === 0));
      array.write(new Float32Array(array.length).fill(i + 1));
      array.dispose();
    }
  });

  it("leaves a view that was taken from host harmless", async () => {
    const backend = await makeBackend();
    const arrays = [100, 2 ** 21].map((length) => backend.alloc("f32", length));
    const views = arrays.map(({ host }) => host);
    for (const array of arrays) array.dispose();
    for (const view of views) {
      view?.fill(1);
      assert.ok(view === undefined || view.every((value) => value === 1));
    }
  });

  it("of a backend waits for its runs, then ends all that it made", async () => {
    const [backend, fresh] = [await makeAnother(), await makeAnother()];
    const { arrays, chain } = await prepareChain(backend, 40, 64, 160);
    const running = chain.run({ dims: { N: 64 } });
    const read = arrays.y.read(0, 1).catch(({ code }) => [code]);
    await backend.dispose();
    await backend.dispose();
    await running;
    assert.equal((await read).length, 1, "what was there, or an error, never what is there later");
    await assert.rejects(chain.run({ dims: { N: 64 } }), disposed);
    await assert.rejects(arrays.x.read(), disposed);
    assert.throws(() => arrays.x.host, disposed);
    assert.throws(() => backend.alloc("f32", 1), disposed);
    await assert.rejects(backend.prepare(adderProgram(), {}), disposed);
    if (backend.capabilities.peak) await assert.rejects(backend.peakFlops!(), disposed);
    arrays.x.dispose();
    chain.dispose();
    assert.ok((await prepareChain(fresh, 2, 2, 2)).chain.tempBytes > 0, "another is not concerned");
    await fresh[Symbol.asyncDispose]();
  });
}

function secondsOf(executable: Executable): Float64Array {
  assert.ok(executable.opSeconds);
  return executable.opSeconds;
}
