/**
 * TypeScript's diagnostics of the package, in its versions from the least supported on, with each kind of module
 * resolution.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { packageFile } from "../../src/util/package-root.js";
import { examples } from "./example-project.js";
import {
  installPackage,
  linkNodeTypes,
  makeProject,
  run,
  skipWithout,
  TOOLS,
  TSC,
  tool,
  writeFiles,
} from "./project.js";

const dir = mkdtempSync(join(tmpdir(), "gpt2-types-"));
after(() => rmSync(dir, { recursive: true }));

const { exports, name } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as {
  exports: Readonly<Record<string, string | { readonly types: string }>>;
  name: string;
};
const entries = Object.entries(exports).flatMap(([path, to]) =>
  typeof to === "string" ? [] : [{ specifier: path.replace(".", name), types: packageFile(to.types) }],
);

/**
 * README.md names the first as the least. If the package resolves in it and in the newest in every way, it does in
 * those between.
 */
const VERSIONS: readonly (readonly [string, string | undefined])[] = [
  ["5.7", tool("typescript-5.7/bin/tsc")],
  ["5.9", tool("typescript-5.9/bin/tsc")],
  ["7", TSC],
];

const RESOLUTIONS = {
  node16: { module: "node16" },
  nodenext: { module: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

const STRICT = { target: "es2022", strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false };

/** A program that imports every entry, so that all declarations are checked. */
const everyEntry = entries.map(({ specifier }, i) => `export * as e${i} from "${specifier}";\n`).join("");

async function compile(project: string, tsc: string, options: object, include: string): Promise<void> {
  const config = { compilerOptions: { ...STRICT, ...options }, include: [include] };
  writeFiles(project, { "tsconfig.json": JSON.stringify(config) });
  const { status, stdout } = await run(process.execPath, [tsc, "-p", "."], project);
  assert.equal(status, 0, stdout);
}

describe("TypeScript", () => {
  const project = join(dir, "project");
  makeProject(project, {
    "package.json": JSON.stringify({ type: "module", private: true }),
    "node/entries.ts": everyEntry,
    "browser/entries.ts": everyEntry,
    ...Object.fromEntries(examples().map(({ source }, i) => [`node/example${i}.ts`, source])),
  });
  linkNodeTypes(project);

  it("states the least version that is checked here", () => {
    assert.match(readFileSync(packageFile("README.md"), "utf8"), new RegExp(`TypeScript ${VERSIONS[0]![0]} or later`));
  });

  for (const [version, tsc] of VERSIONS) {
    const skip = tsc === undefined && skipWithout(`typescript-${version}`);
    for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
      if (version === "5.9" && resolution !== "bundler") continue;
      it(`${version} compiles every program of the documentation, ${resolution}`, { skip }, () =>
        compile(project, tsc!, { ...options, lib: ["es2022"], types: ["node"] }, "node"),
      );
    }
    it(`${version} needs no types of Node for a page`, { skip }, () =>
      compile(project, tsc!, { ...RESOLUTIONS.bundler, lib: ["es2022", "dom"], types: [] }, "browser"),
    );
  }

  it("finds every type that a public signature mentions among the exports", {
    skip: skipWithout("typescript-5.9"),
  }, async () => {
    const args = [join(TOOLS, "unexported.mjs"), ...entries.map(({ types }) => types)];
    const { stdout, stderr, status } = await run(process.execPath, args, packageFile("."));
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), {});
  });
});

describe("the packed package", () => {
  it("passes publint", { skip: skipWithout("publint") }, async () => {
    const args = [tool("publint/src/cli.js")!, packageFile("."), "--strict"];
    const { stdout, stderr, status } = await run(process.execPath, args, dir);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /All good/);
  });

  it("passes Are the types wrong?", { skip: skipWithout("@arethetypeswrong/cli") }, async () => {
    const project = join(dir, "packed");
    const archive = await installPackage(project);
    const args = [tool("@arethetypeswrong/cli/dist/index.js")!, archive, "--profile", "esm-only", "--format", "json"];
    const { stdout, stderr, status } = await run(process.execPath, args, dir);
    assert.equal(status, 0, stdout.slice(0, 2000) + stderr);
  });
});
