/** The published package and its package of kernels, installed by npm without a compiler. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { makePackage, packageName, TARGETS } from "../../scripts/prebuilt.js";
import { makePublishedPackage } from "../../scripts/published-package.js";
import { localCompiler } from "../../src/backend/native/compile.js";
import { packageFile } from "../../src/util/package-root.js";
import { nativeOrReason } from "../helpers/tiny-run.js";
import { run } from "./project.js";

const target = TARGETS.find(({ name }) => name === `${process.platform}-${process.arch}`);
const reason = await nativeOrReason();
const skip = typeof reason === "string" ? reason : target ? false : `no prebuilt kernels for ${process.platform}`;

describe("the published package", { skip }, () => {
  const dir = mkdtempSync(join(tmpdir(), "gpt2-install-"));
  after(() => rmSync(dir, { recursive: true }));
  const published = makePublishedPackage(TARGETS.map(packageName), dir);
  const manifest = JSON.parse(readFileSync(join(published, "package.json"), "utf8"));

  it("depends on kernels for every platform, of its own version, and on nothing else that is new", () => {
    const clone = JSON.parse(readFileSync(packageFile("package.json"), "utf8"));
    assert.deepEqual(
      manifest.optionalDependencies,
      Object.fromEntries(TARGETS.map((one) => [packageName(one), clone.version])),
    );
    assert.equal(clone.optionalDependencies, undefined, "a clone installs where they are not published");
    assert.deepEqual(manifest.dependencies, clone.dependencies);
    assert.deepEqual(Object.keys(manifest.scripts), ["install"]);
  });

  it("is installed with its kernels, which are used where there is no compiler", async () => {
    // For one instruction set: every other takes ten seconds more.
    const compiler = { ...localCompiler(), sets: [] };
    const kernels = await makePackage({ ...target!, maxGlibc: Number.POSITIVE_INFINITY }, compiler, dir);
    const project = join(dir, "project");
    mkdirSync(project);
    writeFileSync(join(project, "package.json"), '{ "name": "project", "private": true }');
    // From folders of this clone, since there is no registry here; npm packs them first, as for the registry.
    const koromix = readdirSync(packageFile("node_modules/@koromix")).map((name) => `@koromix/${name}`);
    const dependencies = [...Object.keys(manifest.dependencies), ...koromix];
    const folders = dependencies.map((name) => packageFile(`node_modules/${name}`));
    const options = ["--offline", "--no-audit", "--no-fund", "--install-links", "--foreground-scripts"];
    const env = { CC: "/no/compiler", GPT2_BACKEND: "", GPT2_LIBRARY: "" };
    const install = await run("npm", ["install", ...options, ...folders, kernels, published], project, env);
    assert.equal(install.status, 0, install.stderr);
    assert.match(install.stdout, /no kernels compiled for this machine .*using those of .*kernels-/);
    const code = `
      const { GPT2 } = await import("gpt2-ts");
      const model = await GPT2.load(undefined, { backend: "native", threads: 1 });
      console.log((await model.complete("Once", { maxNewTokens: 3, temperature: 0 })).tokens.length);
      await model.dispose();`;
    const used = await run(process.execPath, ["--input-type=module", "-e", code], project, env);
    assert.deepEqual([used.stdout.trim(), used.status], ["3", 0], used.stderr);
  });
});
