import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseStatus } from "../../bench/process-memory.js";
import type { GenerateResult } from "../../bench/protocol.js";
import { WorkerProcess } from "../../bench/worker-process.js";

/** A contender in one line: says that it is ready, then returns each prompt. */
const ECHO = `
  const say = (value) => console.log("@bench " + JSON.stringify(value));
  console.log("a library's own words");
  say({ description: "echo", cacheBytes: 1000000 });
  require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
    const { prompt } = JSON.parse(line);
    if (prompt.length === 0) throw new Error("an empty prompt");
    say({ ids: prompt, seconds: [] });
  });`;
const script = (text: string) => ({ file: process.execPath, args: ["-e", text] });
const task = (...prompt: number[]) => ({ kind: "generate", prompt, count: 0 }) as const;

describe("a contender's process", () => {
  it("answers task after task, stopped in between", async () => {
    const worker = await WorkerProcess.start(script(ECHO));
    try {
      assert.equal(worker.description, "echo");
      for (const prompt of [[1, 2], [3]]) {
        const { result, ownBytes, secondsSinceStart } = await worker.request(task(...prompt));
        assert.deepEqual((result as GenerateResult).ids, prompt);
        assert.ok(secondsSinceStart > 0);
        // Node uses more memory than the cache that it claims to have.
        if (process.platform === "linux") assert.ok(ownBytes! > 0);
      }
    } finally {
      worker.stop();
    }
  });

  it("fails with what it printed", async () => {
    const worker = await WorkerProcess.start(script(ECHO));
    await assert.rejects(worker.request(task()), /Error: an empty prompt/);
    await assert.rejects(WorkerProcess.start(script("process.exit(0)")), /it ended without a word/);
    await assert.rejects(WorkerProcess.start({ file: "/no/such/program", args: [] }), /ENOENT/);
  });

  it("does one task in a process that starts for it", async () => {
    const { result, description } = await WorkerProcess.once(script(ECHO), task(7));
    assert.deepEqual((result as GenerateResult).ids, [7]);
    assert.equal(description, "echo");
  });

  it("is timed to its first output", async () => {
    const seconds = await WorkerProcess.firstOutput(script("console.log(1); setInterval(() => {}, 1000)"));
    assert.ok(seconds > 0);
    await assert.rejects(WorkerProcess.firstOutput(script("throw new Error('broken')")), /Error: broken/);
  });
});

describe("parseStatus", () => {
  it("adds up anonymous memory", () => {
    const status =
      "Name:\tnode\nVmHWM:\t  90000 kB\nRssAnon:\t   20000 kB\nRssFile:\t   50000 kB\nRssShmem:\t     500 kB\n";
    assert.deepEqual(parseStatus(status), { own: 20500 * 1024, peak: 90000 * 1024 });
    assert.equal(parseStatus("Name:\tkthreadd\n"), undefined);
  });
});
