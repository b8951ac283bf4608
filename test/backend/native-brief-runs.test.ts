import assert from "node:assert/strict";
import { it } from "node:test";
import { nativeBackend, nativeIsas } from "../../src/backend/native/index.js";
import { Recorder } from "../../src/program/program.js";

function available(): boolean {
  try {
    return nativeIsas().length > 0;
  } catch {
    return false;
  }
}

it("runs that are brief, and so made on the calling thread, let the event loop have its turns", {
  skip: available() ? false : "no compiled kernels",
}, async () => {
  const backend = await nativeBackend({ threads: 2 });
  const k = new Recorder("ones");
  const N = k.sym("N", 64);
  k.op("fill", "x", { x: k.external("x", [64]) }, { size: N }, { value: 1 });
  const x = backend.alloc("f32", 64);
  const executable = await backend.prepare(k.build(), { x });
  let turns = 0;
  let running = true;
  const turn = (): void => {
    turns++;
    if (running) setImmediate(turn);
  };
  setImmediate(turn);
  for (let i = 0; i < 50; i++) await executable.run({ dims: { N: 64 } });
  running = false;
  assert.ok(turns >= 49, `${turns} turns in 50 runs`);
  assert.deepEqual([...x.host!], new Array(64).fill(1));
});
