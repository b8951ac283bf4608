/** Gradients of a model of the 124M shape against transformers in float64 (test/fixtures/gpt2-124m/README.md). */
import { it } from "node:test";
import { tensorTable } from "../../src/architectures/registry.js";
import { nativeBackend } from "../../src/backend/native/index.js";
import { BoundModel, mean } from "../helpers/bound-model.js";
import { assertClose } from "../helpers/compare.js";
import { gpt2_124mFixture } from "../helpers/gpt2-fixtures.js";
import { fillSeeded } from "../helpers/seeded-weights.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

/** Norms over a tensor: the rounding of its elements averages out. Three times the largest difference, 1.6e-6. */
const NORM = { relative: 5e-6, elementwise: true };
const LOSS = { relative: 1e-6 };

it("the norm of every gradient, of 64 tokens", async (t) => {
  const reason = await nativeOrReason();
  if (typeof reason === "string") return t.skip(reason);
  const { config, seed, short, gradientNormsOfShort: want } = gpt2_124mFixture();
  const T = short.ids.length - 1;
  const model = new BoundModel(await nativeBackend(), config, { B: 1, T });
  for (const [index, spec] of tensorTable(config).entries()) {
    fillSeeded(model.parameter(spec.name).host as Float32Array, spec, index, seed);
  }
  model.setBatch(short.ids.slice(0, -1), short.ids.slice(1));
  assertClose("loss", [mean(await model.train())], [short.loss], LOSS);
  let total = 0;
  for (const { name } of tensorTable(config)) {
    let squares = 0;
    for (const x of model.hostGradient(name)) squares += x * x;
    assertClose(`norm of the gradient of ${name}`, [Math.sqrt(squares)], [want.byTensor[name]!], NORM);
    total += squares;
  }
  assertClose("norm of all", [Math.sqrt(total)], [want.total], NORM);
});
