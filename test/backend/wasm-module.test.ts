import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { buildWasm, missingCompiler, WASM_MODULES } from "../../scripts/build-wasm.js";
import { hasRelaxedSimd, setMemoryShared } from "../../src/backend/wasm/module.js";
import { platform } from "../../src/backend/wasm/platform-node.js";
import { packageFile } from "../../src/util/package-root.js";
import { TESTING_ALL } from "../helpers/tested-isas.js";

const missing = missingCompiler();
if (!hasRelaxedSimd()) platform.enableRelaxedSimd();

for (const file of Object.keys(WASM_MODULES)) {
  const bytes = new Uint8Array(readFileSync(packageFile(`assets/${file}`)));

  // Compiling takes seconds.
  if (TESTING_ALL) {
    it(`assets/${file} is what native/ compiles to`, { skip: missing ?? false }, () => {
      assert.ok(buildWasm(file).equals(bytes), "run node dist/scripts/build-wasm.js and commit assets/*.wasm");
    });
  }

  it(`assets/${file} is smaller than 150 kB`, () => {
    assert.ok(bytes.length < 150_000);
  });

  it(`assets/${file} accepts shared memory and, patched for it, unshared memory`, async () => {
    for (const shared of [true, false, true]) {
      setMemoryShared(bytes, shared);
      const module = await WebAssembly.compile(bytes);
      const memory = (kind: boolean) => new WebAssembly.Memory({ initial: 16, maximum: 65536, shared: kind });
      const link = (kind: boolean) =>
        WebAssembly.instantiate(module, { env: { memory: memory(kind), now: () => 0, done: () => {} } });
      await link(shared);
      await assert.rejects(link(!shared), WebAssembly.LinkError);
    }
  });
}
