import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { defaultThreads, usableCpus } from "../../src/util/usable-cpus.js";

const work = mkdtempSync(join(tmpdir(), "gpt2-cpus-"));
after(() => rmSync(work, { recursive: true }));

/** A file system with these files. */
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(work, "root-"));
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${text}\n`);
  }
  return root;
}

const v2 = (path: string, quotas: Readonly<Record<string, string>>): string =>
  rootWith({
    "proc/self/cgroup": `0::${path}`,
    ...Object.fromEntries(Object.entries(quotas).map(([group, max]) => [`sys/fs/cgroup${group}/cpu.max`, max])),
  });

const v1 = (mount: string, path: string, quota: string): string =>
  rootWith({
    "proc/self/cgroup": `5:memory:/elsewhere\n4:${mount}:${path}\n0::/`,
    [`sys/fs/cgroup/${mount}/a/cpu.cfs_quota_us`]: quota,
    [`sys/fs/cgroup/${mount}/a/cpu.cfs_period_us`]: "100000",
  });

describe("usable processors", () => {
  it("are the affinity's if there is no quota", () => {
    assert.equal(usableCpus(rootWith({}), 6), 6);
    assert.equal(usableCpus(v2("/a", { "/a": "max 100000" }), 6), 6);
    assert.equal(usableCpus(v1("cpu,cpuacct", "/a", "-1"), 6), 6);
    assert.ok(usableCpus() > 0);
  });

  it("are limited by quotas of version 2, by the least among the groups above", () => {
    assert.equal(usableCpus(v2("/", { "": "50000 100000" }), 6), 0.5);
    assert.equal(usableCpus(v2("/a/b", { "/a": "250000 100000", "/a/b": "max 100000" }), 6), 2.5);
    assert.equal(usableCpus(v2("/a/b", { "/a": "250000 100000", "/a/b": "400000 100000" }), 6), 2.5);
    assert.equal(usableCpus(v2("/a", { "/a": "800000 100000" }), 6), 6);
  });

  it("are limited by a quota of version 2 in a container that sees another path", () => {
    assert.equal(usableCpus(v2("/docker/0123", { "": "150000 100000" }), 6), 1.5);
  });

  it("are limited by a quota of version 1", () => {
    assert.equal(usableCpus(v1("cpu,cpuacct", "/a", "150000"), 6), 1.5);
    assert.equal(usableCpus(v1("cpu", "/a/b", "50000"), 6), 0.5);
  });

  it("are all of them if the files hold something else", () => {
    for (const max of ["", "0 100000", "x y", "100000 0", "100000"])
      assert.equal(usableCpus(v2("/a", { "/a": max }), 3), 3);
    assert.equal(usableCpus(rootWith({ "proc/self/cgroup": "junk" }), 3), 3);
  });

  it("give the number of threads, rounded, at least one", () => {
    assert.deepEqual([0.1, 0.5, 1, 1.4, 1.5, 7.9].map(defaultThreads), [1, 1, 1, 1, 2, 8]);
  });
});
