import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { GENERATED } from "../../scripts/generate-c.js";
import { packageFile } from "../../src/util/package-root.js";

for (const [path, contents] of Object.entries(GENERATED)) {
  it(`${path} is what its TypeScript source generates`, () => {
    assert.equal(readFileSync(packageFile(path), "utf8"), contents(), "run npm run generate and commit the result");
  });
}

it("kernels hold no size in a `long`, which has 32 bits on Windows", () => {
  const sources = readdirSync(packageFile("native")).filter((name) => /\.[ch]$/.test(name));
  const found = sources.filter((name) => {
    const code = readFileSync(packageFile(join("native", name)), "utf8").replace(/\/\*.*?\*\/|\/\/[^\n]*/gs, "");
    return /\blong\b/.test(code);
  });
  assert.deepEqual(found, [], "Index of native/op.h is as wide as an address");
});
