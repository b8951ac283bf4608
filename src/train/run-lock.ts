import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { GPT2Error, UsageError } from "../errors.js";

/**
 * Keeps two processes from training into one folder. Each writes a file of its own name first and then looks for others:
 * of two that start at once both may give up, but never both go on. A file whose process is gone counts for nothing.
 */
interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process started, as the system tells it: ids are used again, in a restarted container at once. */
  readonly started: string | null;
}

const NAME = /^\.lock-[0-9a-f]+$/;

/**
 * @returns what gives the folder back
 * @throws {UsageError} somebody else has it; {@link GPT2Error} it can't be written to
 */
export function lockFolder(folder: string): () => void {
  const name = `.lock-${randomBytes(6).toString("hex")}`;
  const path = join(folder, name);
  const holder: Holder = { pid: process.pid, host: hostname(), started: startOf(process.pid) };
  try {
    writeFileSync(path, `${JSON.stringify(holder)}\n`, { flag: "wx" });
  } catch (cause) {
    throw new GPT2Error({ op: `writing to ${folder}`, got: (cause as Error).message, cause });
  }
  const release = (): void => rmSync(path, { force: true });
  try {
    for (const other of readdirSync(folder)) if (NAME.test(other) && other !== name) refuse(folder, other);
  } catch (error) {
    release();
    throw error;
  }
  return release;
}

function refuse(folder: string, name: string): void {
  const path = join(folder, name);
  const holder = readHolder(path);
  if (holder === undefined) return;
  if (holder.host === hostname() && !isAlive(holder)) {
    rmSync(path, { force: true });
    return;
  }
  const there = holder.host === hostname() ? "" : ` on ${holder.host}`;
  throw new UsageError({
    op: `training into ${folder}`,
    expected: "a folder that no other run is using",
    got: `process ${holder.pid}${there} in it`,
    hint: `Wait for it to end, or choose another folder; if it is gone, remove ${path}`,
  });
}

/** Undefined: given back in this moment, or never completed. */
function readHolder(path: string): Holder | undefined {
  try {
    const holder = JSON.parse(readFileSync(path, "utf8")) as Partial<Holder> | null;
    return typeof holder?.pid === "number" && typeof holder.host === "string" ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    // Signal 0 is never delivered: it only asks.
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = startOf(pid);
  return now !== "gone" && (started === null || now === started);
}

/**
 * When a process started: field 22 of /proc/PID/stat (proc(5)), counted from the end of the name, which may hold anything.
 * "gone" for one that is dead and only waits for its parent to ask; null where there is no /proc.
 */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? "gone" : (fields[19] ?? null);
  } catch {
    return null;
  }
}
