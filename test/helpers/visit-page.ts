import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BROWSER_FLAGS } from "./find-browser.js";

/** Shows a page in a headless browser until `done` settles, and returns what it resolves with. */
export async function visitPage<T>(program: string, url: string, done: Promise<T>, seconds = 90): Promise<T> {
  const profile = mkdtempSync(join(tmpdir(), "gpt2-browser-"));
  let browser: ChildProcess | undefined;
  let timer: NodeJS.Timeout | undefined;
  let complaints = "";
  try {
    const failed = new Promise<never>((_, reject) => {
      browser = spawn(program, [...BROWSER_FLAGS, `--user-data-dir=${profile}`, url], {
        stdio: ["ignore", "ignore", "pipe"],
        detached: true, // a separate process group, which ends as a whole: its processes write to the profile
      });
      browser.stderr!.on("data", (chunk) => (complaints += chunk));
      browser.on("error", reject);
      browser.on("exit", () => reject(new Error(`the browser ended: ${complaints}`)));
      timer = setTimeout(() => reject(new Error(`no answer from the page in time: ${complaints}`)), 1000 * seconds);
    });
    return await Promise.race([done, failed]);
  } finally {
    clearTimeout(timer);
    if (browser && browser.exitCode === null) {
      const ended = new Promise((resolve) => browser!.once("exit", resolve));
      process.kill(-browser.pid!, "SIGKILL");
      await ended;
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
  }
}
