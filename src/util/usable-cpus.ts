import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";

/**
 * The processor time that this process may use, in processors; a fraction where a container has a quota. It is the
 * number of processors in its affinity, or if smaller the least quota of its control group and the groups above it.
 *
 * @param root of the file system, in which to look for control groups
 */
export function usableCpus(root = "/", processors = availableParallelism()): number {
  return Math.min(processors, ...quotas(root));
}

/** The default number of compute threads. */
export const defaultThreads = (cpus = usableCpus()): number => Math.max(1, Math.round(cpus));

/** Quotas of this process's control groups, in processors. */
function quotas(root: string): number[] {
  const groups = read(root, "proc/self/cgroup");
  return (groups ?? "").split("\n").flatMap((line) => {
    // hierarchy:controllers:path; the first two are `0` and empty in version 2
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) return [];
    if (controllers === "") return upwards(path).flatMap((group) => quotaV2(root, group));
    if (!controllers.split(",").includes("cpu")) return [];
    return [controllers, "cpu"].flatMap((mount) => upwards(path).flatMap((group) => quotaV1(root, mount, group)));
  });
}

/** A group and those above it. In a container with its own group namespace only the last may exist. */
function upwards(path: string): string[] {
  return path === "/" ? ["/"] : [path, ...upwards(dirname(path))];
}

/** cpu.max: microseconds of processor time per period, or `max`, and the period (Linux, admin-guide/cgroup-v2). */
function quotaV2(root: string, group: string): number[] {
  const [quota, period] = (read(root, join("sys/fs/cgroup", group, "cpu.max")) ?? "").split(" ");
  return ratio(quota, period);
}

/** The same in two files (Linux, scheduler/sched-bwc); -1 means no quota. */
function quotaV1(root: string, mount: string, group: string): number[] {
  const folder = join("sys/fs/cgroup", mount, group);
  return ratio(read(root, join(folder, "cpu.cfs_quota_us")), read(root, join(folder, "cpu.cfs_period_us")));
}

function ratio(quota: string | undefined, period: string | undefined): number[] {
  const cpus = Number(quota) / Number(period);
  return cpus > 0 && Number.isFinite(cpus) ? [cpus] : [];
}

function read(root: string, path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8").trim();
  } catch {
    return undefined; // no such group, or another system
  }
}
