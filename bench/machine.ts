/** Machine and date of the figures. */
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";

export interface Machine {
  /** UTC, `2026-11-22`. */
  readonly date: string;
  readonly processor: string;
  readonly processors: number;
  readonly instructionSets: readonly string[];
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
}

export function thisMachine(instructionSets: readonly string[]): Machine {
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: cpus()[0]?.model.trim() || "unknown processor",
    processors: availableParallelism(),
    instructionSets,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.version,
  };
}

export function describeMachine(machine: Machine): string {
  const { date, processor, processors, instructionSets, memoryGiB, system, node } = machine;
  const count = `${processors} processor${processors === 1 ? "" : "s"}`;
  return [
    date,
    `${processor}, ${count}`,
    ...instructionSets.slice(-1),
    `${memoryGiB} GiB`,
    system,
    `node ${node}`,
  ].join(", ");
}
