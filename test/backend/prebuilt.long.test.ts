import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makePackage, TARGETS } from "../../scripts/prebuilt.js";
import { localCompiler } from "../../src/backend/native/compile.js";
import { libraryPaths } from "../../src/backend/native/library-path.js";
import { packageFile } from "../../src/util/package-root.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const target = TARGETS.find(({ name }) => name === `${process.platform}-${process.arch}`);
const reason = await nativeOrReason();

/** On a machine without a compiler, any library here will do. */
const skip = typeof reason === "string" ? reason : target ? false : `no prebuilt kernels for ${process.platform}`;

describe("kernels in a package for the platform", { skip }, () => {
  if (skip !== false) return;
  const folder = mkdtempSync(join(tmpdir(), "gpt2-prebuilt-"));
  after(() => rmSync(folder, { recursive: true }));
  // Compiled with the local compiler, which may need a newer C library than zig's, so its age is not checked; for one
  // instruction set only, because each further one takes ten seconds.
  const compiler = { ...localCompiler(), sets: [] };
  let made = "";
  before(async () => {
    made = await makePackage({ ...target!, maxGlibc: Number.POSITIVE_INFINITY }, compiler, folder);
  });
  /** The package as installed without a compiler: no native/build, and its dependencies where npm puts them. */
  const root = join(folder, "node_modules", "gpt2-ts");
  for (const name of ["package.json", "dist/src", "assets", "models"]) {
    mkdirSync(root, { recursive: true });
    cpSync(packageFile(name), join(root, name), { recursive: true });
  }
  for (const name of ["koffi", "@koromix", "commander", "xxhash-wasm"]) {
    const from = packageFile(join("node_modules", name));
    if (existsSync(from)) symlinkSync(from, join(folder, "node_modules", name));
  }
  const installed = join(folder, "node_modules", "@gpt2-ts", `kernels-${target!.name}`);

  /** The chosen backend, and the reason why it is not the native one. */
  const chosen = (): { backend: string; fallback?: string; libraries: string[] } => {
    const code = `
      const { chooseBackend } = await import("gpt2-ts/backend");
      const { libraryPaths } = await import(${JSON.stringify(join(root, "dist/src/backend/native/library-path.js"))});
      const { backend, fallback } = await chooseBackend({ threads: 1 });
      console.log(JSON.stringify({ backend: backend.name, fallback: fallback?.message, libraries: libraryPaths() }));
      await backend.dispose();`;
    const env = { ...process.env, GPT2_BACKEND: "", GPT2_ISA: "" };
    const args = ["--input-type=module", "-e", code];
    return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, env, encoding: "utf8" }));
  };

  it("declares its platform to npm, and contains only the library", () => {
    const manifest = JSON.parse(readFileSync(join(made, "package.json"), "utf8"));
    const { version } = JSON.parse(readFileSync(packageFile("package.json"), "utf8"));
    assert.deepEqual([manifest.os, manifest.cpu], [[process.platform], [process.arch]]);
    assert.equal(manifest.version, version);
    assert.equal(manifest.files.length, 1);
  });

  it("gives advice that works when it is missing, and WebAssembly is used", () => {
    const { backend, fallback } = chosen();
    assert.equal(backend, "wasm");
    assert.match(fallback!, /expected compiled kernels, got none\. `npm rebuild gpt2-ts`/);
  });

  it("is used where it is installed", () => {
    cpSync(made, installed, { recursive: true });
    assert.equal(chosen().backend, "native");
  });

  it("yields to kernels compiled here, unless those are older or do not load", () => {
    const build = join(root, "native", "build");
    const [library] = libraryPaths();
    const local = join(build, library!.split(/[\\/]/).at(-1)!);
    mkdirSync(build, { recursive: true });
    cpSync(library!, local);
    const [older, newer] = [new Date(2020, 1, 1), new Date()];
    utimesSync(local, newer, newer);
    utimesSync(join(installed, local.split(/[\\/]/).at(-1)!), older, older);
    assert.equal(chosen().libraries[0], local);
    utimesSync(local, new Date(2019, 1, 1), new Date(2019, 1, 1));
    assert.notEqual(chosen().libraries[0], local);
    cpSync(packageFile("package.json"), local);
    assert.equal(chosen().backend, "native", "a damaged library is passed over");
  });
});
