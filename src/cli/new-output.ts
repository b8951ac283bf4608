import { existsSync, statSync } from "node:fs";
import { UsageError } from "../errors.js";
import type { Progress } from "../util/progress.js";
import { note } from "./output.js";

/** Shared by commands that write a file or folder. */

/** @throws {UsageError} it exists, and --overwrite was not given. */
export function refuseToReplace(command: string, out: string, kind: "file" | "folder", overwrite?: boolean): void {
  if (overwrite || !existsSync(out)) return;
  const hint = "Add --overwrite to replace it";
  throw new UsageError({
    op: `gpt2 ${command}: --out ${out}`,
    expected: `a new ${kind}`,
    got: `an existing ${statSync(out).isDirectory() ? "folder" : "file"}`,
    hint,
  });
}

/** Ends the progress line of an interrupted command whose output appears as a whole or not at all. */
export function noteNothingWritten(signal: AbortSignal, line: Progress): void {
  signal.addEventListener("abort", () => {
    line.done();
    note("stopped; nothing was written");
  });
}
