import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFile } from "../src/util/package-root.js";

/** Dependencies that are the same on every platform. */
const DEPENDENCIES = ["koffi", "commander", "xxhash-wasm"];

/**
 * Runs `use` in a copy of the package as installed on another platform: with prebuilt kernels (scripts/prebuilt.ts),
 * with koffi's package for that platform, and without kernels compiled here.
 *
 * @param platform as npm's packages name it: `linux-arm64`, `win32-x64`.
 * @param koffi the folder of @koromix/koffi-PLATFORM.
 */
export function inForeignPackage<T>(platform: string, koffi: string, use: (root: string) => T): T {
  const kernels = packageFile(`npm/kernels-${platform}`);
  if (!existsSync(kernels)) throw new Error(`no kernels for ${platform}: npm run prebuilt -- ${platform}`);
  const root = mkdtempSync(join(tmpdir(), `gpt2-${platform}-`));
  try {
    cpSync(packageFile("package.json"), join(root, "package.json"));
    // Compiled files must be beside package.json, by which they find the package; files that are only read may stay in place.
    cpSync(packageFile("dist"), join(root, "dist"), { recursive: true });
    for (const name of ["test", "assets", "models", "docs"]) symlinkSync(packageFile(name), join(root, name));
    const modules = join(root, "node_modules");
    for (const scope of ["@koromix", "@gpt2-ts"]) mkdirSync(join(modules, scope), { recursive: true });
    for (const name of DEPENDENCIES) {
      cpSync(packageFile(join("node_modules", name)), join(modules, name), { recursive: true });
    }
    cpSync(koffi, join(modules, "@koromix", `koffi-${platform}`), { recursive: true });
    cpSync(kernels, join(modules, "@gpt2-ts", `kernels-${platform}`), { recursive: true });
    return use(root);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The native backend's conformance suites, after a check that it exists: without kernels they skip everything. */
export const CONFORMANCE: readonly (readonly string[])[] = [
  [
    "--input-type=module",
    "-e",
    'console.log((await import("./dist/src/backend/native/index.js")).nativeIsas().join(", "))',
  ],
  ...["conformance.test.js", "conformance.long.test.js"].map((name) => [
    "--test-name-pattern=native",
    `dist/test/backend/${name}`,
  ]),
];
