/**
 * Another commit of this package as contenders: built in the benchmark's cache, once, in a git worktree, with this checkout's
 * node_modules where its lock file is the same.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { packageFile } from "../src/util/package-root.js";
import type { Runtime } from "./cases.js";
import { ALL_TYPES, type Contender } from "./contenders.js";
import { cliCommand, ownFile } from "./install.js";
import type { Setup } from "./protocol.js";

const run = promisify(execFile);
const ROOT = packageFile(".");
/** Number of builds kept. */
const KEPT = 4;

const git = async (...args: readonly string[]): Promise<string> => {
  return (await run("git", ["-C", ROOT, ...args])).stdout.trim();
};

/** The commit to compare with: HEAD where files of the package are changed, else the one before it. */
export async function commitBefore(): Promise<string> {
  const changed = await git("status", "--porcelain", "--", "src", "native", "bench");
  return changed === "" ? "HEAD~1" : "HEAD";
}

/** The commit's kernels, its WebAssembly and its command line. @throws {Error} there is no such commit. */
export async function otherCommit(revision: string): Promise<readonly Contender[]> {
  const commit = await git("rev-parse", "--verify", `${revision}^{commit}`);
  const name = `commit ${commit.slice(0, 8)}`;
  const built = {
    types: ALL_TYPES,
    build: (cache: string) => buildOf(commit, join(cache, "builds")),
    prepare: ownFile,
  };
  const worker = (backend: Runtime) => (setup: Setup) => ({
    file: process.execPath,
    args: [join(setup.program!, "dist/bench/ours.js"), JSON.stringify(setup), backend],
  });
  return [
    { ...built, name, kinds: ["generate", "batch", "train"], runtime: "native", command: worker("native") },
    { ...built, name: `${name} (WebAssembly)`, kinds: ["generate", "batch"], runtime: "wasm", command: worker("wasm") },
    {
      ...built,
      name: `${name} (command line)`,
      kinds: ["generate"],
      runtime: "native",
      can: ({ group }) => group === "start",
      command: (setup) => cliCommand(setup, join(setup.program!, "dist/src/cli/main.js")),
      prints: true,
    },
  ];
}

/** The folder of a commit's build, which is built if it does not exist. */
async function buildOf(commit: string, builds: string): Promise<string> {
  const folder = join(builds, commit);
  if (existsSync(join(folder, "native/build"))) return folder;
  mkdirSync(builds, { recursive: true });
  await removeOldBuilds(builds);
  await git("worktree", "prune");
  rmSync(folder, { recursive: true, force: true });
  await git("worktree", "add", "--detach", "--force", folder, commit);
  // Uses the commit's own dependencies, unless they equal this checkout's, and its own build command.
  const same = sameFile(join(folder, "package-lock.json"), packageFile("package-lock.json"));
  if (same) symlinkSync(packageFile("node_modules"), join(folder, "node_modules"));
  else await npm(folder, "ci", "--ignore-scripts");
  await npm(folder, "run", "-s", "build");
  return folder;
}

const sameFile = (a: string, b: string): boolean => readFileSync(a).equals(readFileSync(b));

/** @throws {Error} with the command's output, since compilers report on the standard output. */
async function npm(folder: string, ...args: readonly string[]): Promise<void> {
  try {
    await run("npm", args, { cwd: folder });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`npm ${args.join(" ")}: ${`${stdout}\n${stderr}`.trim() || String(error)}`, { cause: error });
  }
}

async function removeOldBuilds(builds: string): Promise<void> {
  const byAge = readdirSync(builds)
    .map((name) => ({ path: join(builds, name), time: statSync(join(builds, name)).mtimeMs }))
    .sort((a, b) => b.time - a.time);
  for (const { path } of byAge.slice(KEPT - 1)) await git("worktree", "remove", "--force", path);
}
