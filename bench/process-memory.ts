/** Linux's figures of a process's memory. */
import { readFileSync } from "node:fs";

export interface ProcessMemory {
  /** Resident bytes not backed by a file on disk: heaps, stacks and shared memory. */
  readonly own: number;
  /** The peak of resident bytes, mapped files included. */
  readonly peak: number;
}

/** undefined on other systems, and of processes that have ended. */
export function processMemory(pid: number | undefined): ProcessMemory | undefined {
  try {
    return parseStatus(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return undefined;
  }
}

/** Fields of /proc/PID/status: proc_pid_status(5). */
export function parseStatus(status: string): ProcessMemory | undefined {
  const bytes = (field: string): number => 1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
  const memory = { own: bytes("RssAnon") + bytes("RssShmem"), peak: bytes("VmHWM") };
  return Number.isNaN(memory.own + memory.peak) ? undefined : memory;
}
