/**
 * Preloaded into each test file's process by `scripts/test.ts --cpu`: at exit it appends the CPU seconds of the process and of
 * the processes that it started and waited for, as Linux counts them (proc(5): utime, stime, cutime, cstime).
 */
import { appendFileSync, readFileSync } from "node:fs";
import "./without-promise-hooks.js";

const { GPT2_TEST_CPU: report } = process.env;
delete process.env.NODE_OPTIONS;
delete process.env.GPT2_TEST_CPU;

/** Ticks per second of the kernel's clock, as user programs see it. */
const TICKS = 100;

if (report !== undefined) {
  process.on("exit", () => {
    const stat = readFileSync("/proc/self/stat", "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [utime, stime, cutime, cstime] = fields.slice(11, 15).map((ticks) => Number(ticks) / TICKS);
    const times = { file: process.argv[1], own: utime! + stime!, children: cutime! + cstime! };
    appendFileSync(report, `${JSON.stringify(times)}\n`);
  });
}
