/** A run resumes from a damaged checkpoint, or refuses it with a typed error. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { ModelTrainer } from "../../src/train/model-trainer.js";
import { readRunState, restoreRun, saveRun } from "../../src/train/run-checkpoint.js";
import { checkSeqLength, resumedSettings, trainSettings } from "../../src/train/settings.js";
import { fuzzAsync, guardedAsync, timeout } from "../checkpoint/mutator.js";
import { DamagedFolder } from "../helpers/damaged-folder.js";

it("damaged checkpoints of runs are read or refused", { timeout }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "gpt2-run-fuzz-"));
  await using backend = await referenceBackend();
  const config = gpt2Config({ vocabSize: 3, nCtx: 4, nEmbd: 2, nHead: 1, nLayer: 1 });
  const settings = trainSettings({ batchSize: 1, seqLength: 4, batchTokens: 4, steps: 4 });
  const trainer = await ModelTrainer.create(backend, config, settings);
  const out = join(dir, "step-00000002");
  const facts = { data: "data", dataTokens: 100, dataHash: "abc", samplePrompt: "x", seconds: 1.5 } as const;
  const best = { step: 1, loss: 2.5 };
  await saveRun(out, trainer, { format: "gpt2-ts training run", version: 1, step: 2, settings, best, ...facts });
  const copy = new DamagedFolder(out, ["trainer.json", "optimizer.safetensors", "config.json", "model.safetensors"]);
  const resume = async () => {
    const state = await readRunState(copy.path);
    checkSeqLength(resumedSettings(state.settings, {}, state.step), config.nCtx);
    await restoreRun(copy.path, trainer);
  };
  try {
    await fuzzAsync(400, (mutator, what) => copy.damaged(mutator, (name) => guardedAsync(`${what}, ${name}`, resume)));
  } finally {
    copy.remove();
    rmSync(dir, { recursive: true });
  }
});
