import * as fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** Windows' errors while another process has the file open, or is replacing it: a virus scanner, a second writer. */
const IN_USE: ReadonlySet<string> = new Set(["EPERM", "EACCES", "EBUSY"]);
const PATIENCE_MS = 3000;

/** Renames a file or folder; on Windows it retries for some seconds, as others may have it open for a moment. */
export async function rename(from: string, to: string): Promise<void> {
  const until = performance.now() + PATIENCE_MS;
  for (let wait = 1; ; wait = Math.min(2 * wait, 100)) {
    try {
      return await fs.rename(from, to);
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (process.platform !== "win32" || !IN_USE.has(code) || performance.now() > until) throw error;
    }
    await sleep(wait);
  }
}
