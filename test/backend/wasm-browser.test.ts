import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { BROWSER_FLAGS, findBrowser } from "../helpers/find-browser.js";
import type { BrowserResult } from "./browser/page.js";
import { Site } from "./browser/site.js";

/** Visits a page that is not cross-origin isolated and then one that is, and returns what each posted. */
async function visit(program: string): Promise<{ plain: BrowserResult; isolated: BrowserResult }> {
  const profile = mkdtempSync(join(tmpdir(), "gpt2-browser-"));
  let browser: ChildProcess | undefined;
  let site: Site | undefined;
  let complaints = "";
  try {
    const results = await new Promise<BrowserResult[]>((resolve, reject) => {
      const received: BrowserResult[] = [];
      const start = async () => {
        site = await Site.open((result) => {
          received.push(result as BrowserResult);
          if (received.length === 2) resolve(received);
          site!.isolated = true;
          return site!.page({ others: JSON.stringify([{ threads: 1 }, { relaxed: false }, { place: "worker" }]) });
        });
        const url = site.page({ others: JSON.stringify([{ relaxed: false }, { place: "here" }]) });
        browser = spawn(program, [...BROWSER_FLAGS, `--user-data-dir=${profile}`, url], {
          stdio: ["ignore", "ignore", "pipe"],
          detached: true, // a group of its own, which ends as one: its processes write to the profile
        });
        browser.stderr!.on("data", (chunk) => (complaints += chunk));
        browser.on("error", reject);
        browser.on("exit", () => reject(new Error(`the browser ended: ${complaints}`)));
      };
      start().catch(reject);
      setTimeout(() => reject(new Error(`no answer from the page in time: ${complaints}`)), 90_000).unref();
    });
    return { plain: results[0]!, isolated: results[1]! };
  } finally {
    site?.close();
    if (browser && browser.exitCode === null) {
      const ended = new Promise((resolve) => browser!.once("exit", resolve));
      process.kill(-browser.pid!, "SIGKILL");
      await ended;
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
  }
}

/** Two layers in single precision. */
const TOLERANCE = 1e-5;

function check(result: BrowserResult, isolated: boolean, backends: readonly RegExp[]): void {
  assert.equal(result.error, undefined);
  assert.equal(result.crossOriginIsolated, isolated);
  assert.equal(result.backends.length, backends.length);
  for (const [i, pattern] of backends.entries()) {
    assert.match(result.backends[i]!, pattern);
    assert.ok(result.largestLogit > 1);
    assert.ok(
      result.differences[i]! <= TOLERANCE * result.largestLogit,
      `${result.backends[i]}: ${result.differences[i]}`,
    );
    assert.deepEqual(result.generated[i], result.generated.at(-1), result.backends[i]);
  }
  assert.equal(result.generated.at(-1)!.length, 20);
  assert.ok(result.turns > 2, "the page stays responsive");
}

const program = findBrowser();

it("runs in Chromium, cross-origin isolated and not", {
  skip: program ? false : "no Chromium in the path",
}, async () => {
  const { plain, isolated } = await visit(program!);
  check(plain, false, [/on a worker with its own memory/, /\(SIMD, on a worker/, /on the calling thread/]);
  check(isolated, true, [/threads?\)/, /1 thread\)/, /\(SIMD, /, /on a worker with its own memory/]);
});
