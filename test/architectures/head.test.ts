import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { headLoss, headRows } from "../../src/architectures/head.js";
import { trainProgram } from "../../src/architectures/programs.js";
import type { DeviceArray } from "../../src/backend/backend.js";
import { chooseBackend } from "../../src/backend/choose.js";
import { planMemory } from "../../src/program/plan.js";
import { type Program, Recorder } from "../../src/program/program.js";
import { assertClose } from "../helpers/compare.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { LIKE_OTHERS, THREADS } from "../helpers/tested-isas.js";

/** So many tokens that even the smallest blocks of rows are two. */
const config = gpt2Config({ vocabSize: 2 ** 20 + 3, nEmbd: 3, nHead: 1, nLayer: 1, nCtx: 70 });
const { vocabSize: V, nEmbd: C, nCtx: N } = config;

function lossOf(rows: number): Program {
  const k = new Recorder("head");
  const [x, targets] = [k.external("x", [rows, C]), k.external("targets", [rows], "i32")];
  const losses = k.external("losses", [rows]);
  const grad = { dx: k.external("dx", [rows, C]), dweight: k.external("dweight", [V, C]), scale: 1 / N };
  headLoss(k, k.external("weight", [V, C]), { x, targets, losses }, grad);
  return k.build();
}

describe("the head's loss", () => {
  it("computed in blocks of rows equals the sum over blocks", { skip: LIKE_OTHERS }, async () => {
    const { backend } = await chooseBackend({ threads: THREADS });
    const random = new RandomArrays(7);
    const array = (contents: Float32Array | Int32Array): DeviceArray => {
      const result = backend.alloc(contents instanceof Int32Array ? "i32" : "f32", contents.length);
      result.write(contents);
      return result;
    };
    const [x, weight] = [array(random.floats(N * C)), array(random.floats(V * C))];
    const targets = array(random.integers(N, V));
    const results = async (step: number) => {
      const [losses, dx, dweight] = [N, N * C, V * C].map((length) => backend.alloc("f32", length));
      for (let at = 0; at < N; at += step) {
        const executable = await backend.prepare(lossOf(step), {
          ...{ weight, dweight: dweight! },
          ...{ x: x.slice(at * C, step * C), dx: dx!.slice(at * C, step * C) },
          ...{ targets: targets.slice(at, step), losses: losses!.slice(at, step) },
        });
        await executable.run();
      }
      return Promise.all([losses!, dx!, dweight!].map((array) => array.read()));
    };
    assert.equal(headRows(N, V), N / 2);
    const [whole, parts] = [await results(N), await results(N / 2)];
    for (const [i, name] of ["losses", "dx", "dweight"].entries()) {
      assert.ok(parts[i]!.some((value) => value !== 0));
      assertClose(name, whole[i]!, parts[i]!, { relative: 0 });
    }
  });

  it("never holds more than 128 MiB of logits, whatever the batch", () => {
    const gpt2 = gpt2Config("gpt2");
    for (const tokens of [512, 1024, 4096]) {
      const program = trainProgram(gpt2, tokens);
      const logits = program.buffers.filter(({ name, external }) => !external && name.startsWith("head."));
      assert.ok(logits.length > 0);
      for (const { size } of logits) assert.ok(4 * size <= 2 ** 27, `${size} of ${tokens} tokens`);
      // The blocks share their memory: all other temporaries grow with the batch, the logits don't.
      const perToken = planMemory(program, 4).bytes / tokens;
      if (tokens === 4096) assert.ok(perToken < 4 * 12 * 20 * 768 + 2 ** 27 / tokens, `${perToken} bytes a token`);
    }
  });
});
