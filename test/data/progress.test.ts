import assert from "node:assert/strict";
import { test } from "node:test";
import { formatBytes, formatCount, formatDuration, type ProgressOptions, progress } from "../../src/util/progress.js";

/** A progress line on a stream and a clock that the test holds. */
function start(options: Partial<ProgressOptions> & { isTTY?: boolean; columns?: number }) {
  const clock = { ms: 0 };
  const written: string[] = [];
  const { isTTY = true, columns = 80 } = options;
  const stream = { write: (text: string) => written.push(text), isTTY, columns };
  const line = progress({ label: "data", stream, now: () => clock.ms, ...options });
  return { clock, written, line };
}

test("on a terminal: redrawn in place, at most ten times a second, wiped at the end", () => {
  const { clock, written, line } = start({ mode: "line", total: 200e6, unit: "B" });
  for (clock.ms = 0; clock.ms <= 1000; clock.ms += 10) line.update(clock.ms * 50_000, "loss 3.2");
  assert.equal(written.length, 11);
  assert.equal(written.at(-1), "\rdata  25%  50.0 MB/200 MB  50.0 MB/s  0:03 left  loss 3.2\x1b[K");
  line.done("finished");
  assert.deepEqual(written.slice(-2), ["\r\x1b[K", "finished\n"]);
  line.update(200e6);
  line.done("again");
  assert.equal(written.at(-1), "finished\n");
});

test("a line never fills the terminal's width", () => {
  const { written, line } = start({ mode: "line", columns: 20 });
  line.update(1, "x".repeat(100));
  assert.equal(written[0], `\rdata  1  ${"x".repeat(10)}\x1b[K`);
});

test("a line written in between first clears the progress line, and the next update redraws it at once", () => {
  const { clock, written, line } = start({ mode: "line", unit: "steps" });
  line.update(1);
  line.log("saved");
  clock.ms = 1;
  line.update(2);
  assert.deepEqual(written, ["\rdata  1 steps\x1b[K", "\r\x1b[K", "saved\n", "\rdata  2 steps  2.00k steps/s\x1b[K"]);
});

test("plain: whole lines at intervals; off, and not a terminal: nothing", () => {
  const plain = start({ mode: "plain", total: 100, isTTY: false });
  for (plain.clock.ms = 0; plain.clock.ms < 25_000; plain.clock.ms += 100) plain.line.update(plain.clock.ms / 1000);
  plain.line.done("end");
  assert.deepEqual(plain.written, [
    "data  0%  0/100\n",
    "data  10%  10/100  1/s  1:30 left\n",
    "data  20%  20/100  1/s  1:20 left\n",
    "end\n",
  ]);
  for (const options of [{ isTTY: false }, { mode: "off" as const }]) {
    const { written, line } = start(options);
    line.update(1);
    line.log("x");
    line.done("y");
    assert.deepEqual(written, []);
  }
});

test("the rate starts at a resumed run's position and follows changes of speed", () => {
  const { clock, written, line } = start({ mode: "line", start: 1000, total: 5000, intervalMs: 1000 });
  clock.ms = 1000;
  line.update(1010);
  assert.match(written.at(-1)!, /10\/s/);
  for (let s = 2; s <= 60; s++) {
    clock.ms = s * 1000;
    line.update(1010 + (s - 1) * 50);
  }
  assert.match(written.at(-1)!, / 50\.0\/s| 49\.\d\/s/);
});

test("figures", () => {
  assert.deepEqual([0, 7, 999, 999.6, 1234, 12345, 123456, 50_257_000, 1.2e9].map(formatCount), [
    "0",
    "7",
    "999",
    "1.00k",
    "1.23k",
    "12.3k",
    "123k",
    "50.3M",
    "1.20B",
  ]);
  assert.deepEqual([0, 950, 999_600, 12_345_678].map(formatBytes), ["0 B", "950 B", "1.00 MB", "12.3 MB"]);
  assert.deepEqual([0, 7.4, 754, 11_100, 187_200, Infinity].map(formatDuration), [
    "0:00",
    "0:07",
    "12:34",
    "3:05:00",
    "2d 04:00",
    "?",
  ]);
});
