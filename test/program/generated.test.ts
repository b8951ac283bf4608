import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { GENERATED } from "../../scripts/generate-c.js";
import { packageFile } from "../../src/util/package-root.js";

for (const [path, contents] of Object.entries(GENERATED)) {
  it(`${path} is what its source in TypeScript gives`, () => {
    assert.equal(readFileSync(packageFile(path), "utf8"), contents(), "run npm run generate and commit the result");
  });
}
