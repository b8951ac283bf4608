/** gpt2 eval --json with outputs that are not regular files. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { after, it } from "node:test";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { saveCheckpoint } from "../../src/pretrained/node.js";
import { saveTokenizer } from "../../src/tokenizer/files.js";
import { gpt2 as runCommand } from "../cli/run.js";
import { seededTensors } from "../helpers/seeded-weights.js";
import { DATA, smallTokenizer } from "./support.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-json-output-"));
after(() => rmSync(dir, { recursive: true }));

it("a pipe or device is written into, and nothing is kept beside it", async (t) => {
  const model = join(dir, "model");
  const config = gpt2Config({ vocabSize: 500, nCtx: 64, nEmbd: 16, nLayer: 1, nHead: 2 });
  const tensors = [...seededTensors(config, 4)].map(([{ name, shape }, data]) => ({ name, shape, data }));
  await saveCheckpoint(model, { config, tensors });
  await saveTokenizer(await smallTokenizer(config.vocabSize), model);
  const folder = join(dir, "outputs");
  const [fifo, sink] = [join(folder, "fifo"), join(folder, "sink")];
  mkdirSync(folder);
  if (spawnSync("mkfifo", [fifo]).status !== 0) return t.skip("no mkfifo");
  const args = ["eval", "lambada", "--model", model, "--data", DATA, "--limit", "2"];
  const gpt2 = (more: readonly string[]) => runCommand([...args, ...more], "", { HF_HUB_OFFLINE: "1" });

  const reader = spawn("cat", [fifo], { stdio: ["ignore", "pipe", "inherit"] });
  const read = textOf(reader.stdout);
  const { stderr, status } = await gpt2(["--json", fifo]);
  assert.deepEqual({ stderr, status }, { stderr: "", status: 0 });
  const { results } = JSON.parse(await read) as { results: { outcomes: unknown[] }[] };
  assert.equal(results[0]!.outcomes.length, 2);
  assert.ok(lstatSync(fifo).isFIFO());
  const resumed = await gpt2(["--json", fifo, "--resume"]);
  assert.match(resumed.stderr, /--resume: expected --json with a regular file, got .*fifo/);

  // Like /dev/null, but made by the test.
  const isDevice = spawnSync("mknod", [sink, "c", "1", "3"]).status === 0;
  if (isDevice) {
    assert.equal((await gpt2(["--json", sink])).status, 0);
    assert.ok(lstatSync(sink).isCharacterDevice());
  }
  assert.deepEqual(readdirSync(folder), isDevice ? ["fifo", "sink"] : ["fifo"]);
});
