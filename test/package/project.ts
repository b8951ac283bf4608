import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { packageFile } from "../../src/util/package-root.js";

/** A project that has this package installed, as a link, and these files. */
export function makeProject(dir: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(join(dir, "node_modules"), { recursive: true });
  symlinkSync(packageFile("."), join(dir, "node_modules", "gpt2-ts"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
}

/** For programs of Node: a project for browsers has none. */
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
