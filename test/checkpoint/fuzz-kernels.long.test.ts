import { describe, it } from "node:test";
import { nativeBackend } from "../../src/backend/native/index.js";
import { nativeOrReason } from "../helpers/tiny-run.js";
import { DAMAGED_MODELS, runDamaged } from "./fuzz-kernels.js";
import { fuzzAsync, guardedAsync, timeout } from "./mutator.js";

const reason = await nativeOrReason();
const skip = typeof reason === "string" ? reason : false;
/** Memory of one run outside the model's files. */
const MOST_MORE = 2 ** 26;

describe("damaged models that are accepted run on the kernels", { skip }, () => {
  for (const models of DAMAGED_MODELS) {
    it(models.name, { timeout }, async () => {
      await using backend = await nativeBackend({ threads: 1 });
      await fuzzAsync(80, (mutator, what) => guardedAsync(what, () => runDamaged(backend, models, mutator), MOST_MORE));
    });
  }
});
