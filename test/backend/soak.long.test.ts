import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { nativeOrReason } from "../helpers/tiny-run.js";

const native = await nativeOrReason();
const script = fileURLToPath(new URL("../../scripts/soak.js", import.meta.url));

it("generations, aborts, loads and Workers leave memory flat", { skip: typeof native === "string" && native }, () => {
  // The full length: GPT2_SOAK="--generations 5000 --loads 500 --workers 100".
  const length = process.env.GPT2_SOAK ?? "--generations 400 --loads 60 --workers 20";
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...length.split(" ")], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
});
