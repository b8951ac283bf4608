import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageFile } from "../../src/util/package-root.js";

/** A project with these files that has this package installed, as a link. */
export function makeProject(dir: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(dir, "node_modules"), { recursive: true });
  symlinkSync(packageFile("."), join(dir, "node_modules", "gpt2-ts"));
  writeFiles(dir, files);
}

export function writeFiles(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
}

/** For Node programs; a project for browsers has none. */
export function linkNodeTypes(dir: string): void {
  mkdirSync(join(dir, "node_modules/@types"), { recursive: true });
  symlinkSync(packageFile("node_modules/@types/node"), join(dir, "node_modules/@types/node"));
}

/** The compiler that this package is built with. */
export const TSC = packageFile("node_modules/typescript/bin/tsc");

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, stdout, stderr }));
  });
}

/** Where `npm run test:all` installs bundlers, other versions of TypeScript and other runtimes. */
export const TOOLS = packageFile("test/package/tools");

/** A file of the tools, or undefined if they, or this one, are not installed. */
export function tool(path: string): string | undefined {
  const file = join(TOOLS, "node_modules", path);
  return existsSync(file) ? file : undefined;
}

export const BUNDLE = join(TOOLS, "bundle.mjs");
export const skipWithout = (path: string): string | false =>
  tool(path) === undefined && `no ${path} here: npm install --no-save --ignore-scripts --prefix test/package/tools`;

/**
 * The package as npm would install it, from a packed archive, in a new project; without compiled kernels unless `native`. Returns the archive.
 */
export async function installPackage(dir: string, { native = false } = {}): Promise<string> {
  const packed = join(dir, "packed");
  mkdirSync(packed, { recursive: true });
  const { stdout, stderr, status } = await run(
    "npm",
    ["pack", "--ignore-scripts", "--silent", "--pack-destination", packed, packageFile(".")],
    dir,
  );
  if (status !== 0) throw new Error(stderr);
  const installed = join(dir, "node_modules/gpt2-ts");
  mkdirSync(installed, { recursive: true });
  const archive = join(packed, stdout.trim());
  const tar = ["-xzf", archive, "--strip-components=1", "-C", installed];
  const untarred = await run("tar", tar, dir);
  if (untarred.status !== 0) throw new Error(untarred.stderr);
  if (native) cpSync(packageFile("native/build"), join(installed, "native/build"), { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as {
    dependencies: Readonly<Record<string, string>>;
  };
  // koffi's native code is in packages of a scope of its own.
  for (const name of [...Object.keys(dependencies), "@koromix"]) {
    symlinkSync(packageFile(`node_modules/${name}`), join(dir, "node_modules", name));
  }
  return archive;
}
