import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { packageFile } from "../../src/util/package-root.js";
import { gpt2, MAIN } from "../cli/run.js";

const TINY = packageFile("test/fixtures/tiny");

describe("gpt2 serve", () => {
  it("serves a model, and on SIGTERM lets requests under way finish", async () => {
    const args = [MAIN, "serve", "--model", TINY, "--port", "0", "--log", "--threads", "1"];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    const lines: string[] = [];
    const reader = createInterface({ input: child.stderr });
    const url = await new Promise<string>((resolve) => {
      reader.on("line", (line) => {
        lines.push(line);
        const found = /^gpt2: serving tiny \(.*\) at (http:\S+)$/.exec(line);
        if (found) resolve(found[1]!);
      });
    });
    const body = JSON.stringify({ prompt: [1, 2], max_tokens: 10, n: 4, ignore_eos: true });
    const request = fetch(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    while (!(await (await fetch(`${url}/metrics`)).text()).includes('gpt2_requests_total{path="/metrics"')) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill("SIGTERM");
    assert.equal((await request).status, 200);
    assert.equal(await ended, 0);
    assert.ok(lines.some((line) => /^gpt2: POST \/v1\/completions 200 [\d.]+ ms$/.test(line)));
  });

  it("refuses impossible options in one line: another address without a key, an adapter without a name", async () => {
    const open = await gpt2(["serve", "--model", TINY, "--host", "0.0.0.0", "--port", "0"]);
    assert.deepEqual([open.status, open.stdout], [2, ""]);
    assert.match(
      open.stderr,
      /^gpt2: listening on 0\.0\.0\.0: expected an API key, because other machines can call, got none\..*\n$/,
    );
    const adapter = await gpt2(["serve", "--model", TINY, "--adapter", "nothing"]);
    assert.notEqual(adapter.status, 0);
    assert.match(adapter.stderr, /Not name=path/);
  });
});
