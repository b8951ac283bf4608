import {
  accessSync,
  chmodSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { buildNative } from "../src/backend/native/build.js";
import { localLibrary } from "../src/backend/native/library-path.js";
import { packageFile } from "../src/util/package-root.js";
import { unbundleCli } from "./bundle-cli.js";
import { embedWasm } from "./embed-wasm.js";
import { groupTests } from "./test-groups.js";

/**
 * Runs compiled tests with Node's own runner, which in Node 20 takes no patterns: the tests of every existing test/**\/*.test.ts,
 * and not leftovers of an old build in dist. Arguments select files whose path contains one of them. `--all` adds files named
 * *.long.test.ts, and runs the others on all backends (test/helpers/tested-isas.ts). `--cpu` runs each file in its own
 * process, and finally lists the files that took the most CPU time (on Linux).
 */
function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "fixtures" || entry.name === "node_modules" ? [] : testFiles(path);
    return entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

/**
 * A folder for temporary files, removed at exit. Tests write many small files, each of which has to reach the disk before its
 * test goes on; so it is in memory on Linux, where there is room for all of them and programs may be run from there.
 */
function temporaryFolder(): string {
  const folders = [tmpdir()];
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    if (bavail * bsize > ROOM) folders.unshift(MEMORY);
  } catch {
    // There is none.
  }
  for (const folder of folders) {
    const made = mkdtempSync(join(folder, "gpt2-tests-"));
    process.on("exit", () => rmSync(made, { recursive: true, force: true }));
    chmodSync(made, 0o755); // as the root, tests try what others may do
    try {
      writeFileSync(join(made, "program"), "", { mode: 0o755 });
      accessSync(join(made, "program"), constants.X_OK);
      return made;
    } catch {
      // Mounted without permission to run programs.
    }
  }
  return tmpdir();
}

/** Compiles the kernels again if a source is newer than they are: with old kernels, tests fail in ways that mislead. */
async function updateKernels(): Promise<void> {
  const built = statSync(localLibrary(), { throwIfNoEntry: false });
  const native = packageFile("native");
  const sources = readdirSync(native).filter((name) => /\.[ch]$/.test(name));
  if (built === undefined || sources.every((name) => statSync(join(native, name)).mtimeMs <= built.mtimeMs)) return;
  console.log("compiling the kernels, which are older than native/*.[ch]");
  await buildNative().catch((error: Error) => console.log(`the tests use the old ones: ${error.message}`));
}

const MEMORY = "/dev/shm";
const ROOM = 4 * 2 ** 30;

/** Files of a `--cpu` report. */
const SHOWN = 60;

const root = packageFile(".");
const all = process.argv.includes("--all");
const cpu = process.argv.includes("--cpu");
const parts = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const files = testFiles(join(root, "test"))
  .map((file) => relative(root, file))
  .filter((file) => all || !file.endsWith(".long.test.ts"))
  .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${parts.join(", ")}`);
  process.exit(1);
}
const compiledOf = (file: string): string => join(root, "dist", file.replace(/\.ts$/, ".js"));
await Promise.all([embedWasm(), unbundleCli(), updateKernels()]);
if (all) process.env.GPT2_TEST_ALL = "1";
// One thread unless a test is about threads: as many files run at a time as there are processors.
if (!all) process.env.GPT2_THREADS ??= "1";
const report = cpu ? join(mkdtempSync(join(tmpdir(), "gpt2-test-cpu-")), "report.jsonl") : undefined;
if (report !== undefined) {
  process.env.NODE_OPTIONS = `--import=${new URL("report-cpu.js", import.meta.url)}`;
  process.env.GPT2_TEST_CPU = report;
  process.on("exit", () => printCpu(report));
}
process.env.TMPDIR = temporaryFolder();
// One more than the number of processors: some tests mostly wait for servers and timers.
const results = run({
  files: cpu ? files.map(compiledOf) : groupTests(root, files, compiledOf),
  concurrency: availableParallelism() + 1,
});
results.on("test:fail", () => (process.exitCode = 1));
results.compose(new spec()).pipe(process.stdout);

interface CpuTimes {
  readonly file: string;
  /** Seconds of the file's own process, and of its child processes. */
  readonly own: number;
  readonly children: number;
}

function printCpu(report: string): void {
  const lines = readFileSync(report, "utf8").trim().split("\n");
  rmSync(dirname(report), { recursive: true });
  const times = lines.map((line) => JSON.parse(line) as CpuTimes);
  const sum = ({ own, children }: CpuTimes): number => own + children;
  const total = times.reduce((seconds, time) => seconds + sum(time), 0);
  console.log(`${total.toFixed(1)} s of CPU time in ${times.length} files; s own, s of child processes:`);
  for (const time of times.sort((a, b) => sum(b) - sum(a)).slice(0, SHOWN)) {
    const name = relative(join(root, "dist"), time.file).replace(/\.js$/, ".ts");
    console.log(`${time.own.toFixed(2).padStart(7)} ${time.children.toFixed(2).padStart(7)}  ${name}`);
  }
}
