import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { after, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { CheckpointError, DataError } from "../../src/errors.js";
import {
  removeFolderAtomically,
  writeFileAtomically,
  writeFilesAtomically,
  writeFolderAtomically,
  writeNewFile,
} from "../../src/util/atomic-write.js";
import { tryLock } from "../../src/util/file-lock.js";
import { checkOutput } from "../../src/util/output.js";
import { packageFile } from "../../src/util/package-root.js";
import { systemCalls } from "../../src/util/system-calls.js";
import { isTemporaryName, recover, recoverAll, Workspace } from "../../src/util/workspace.js";
import { LIKE_OTHERS, TESTING_ALL } from "../helpers/tested-isas.js";

const MODULE = new URL("../../src/util/atomic-write.js", import.meta.url).href;
const root = mkdtempSync(join(tmpdir(), "gpt2-atomic-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const hasLocks = process.platform === "win32" || systemCalls().flock !== undefined;
const posix = process.platform === "win32" && "needs POSIX";

function emptyFolder(): string {
  const path = join(root, `${count++}`);
  mkdirSync(path);
  return path;
}

/** The number of entries in a folder; undefined if it is missing, or being renamed. */
function entriesOf(path: string): number | undefined {
  try {
    return readdirSync(path).length;
  } catch {
    return undefined;
  }
}

/** Contents by relative path, of files below `folder`, temporaries included. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
  const relative = (path: string) => path.slice(folder.length + 1).replaceAll("\\", "/");
  return Object.fromEntries(paths.map((path) => [relative(path), readFileSync(path, "utf8")]));
}

/** Runs a script that writes with this module until it prints a line, which is returned, and then kills it with SIGKILL. */
async function killWhileWriting(script: string): Promise<string> {
  const source = `import * as atomic from ${JSON.stringify(MODULE)}; import * as fs from "node:fs";
    const stuck = () => new Promise((resolve) => { setTimeout(resolve, 1e6); console.log("half"); });
    ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  child.kill("SIGKILL");
  await once(child, "close");
  return line.toString().trim();
}

async function rejection(promise: Promise<unknown>): Promise<Error> {
  let caught: unknown;
  await promise.catch((error: unknown) => {
    caught = error;
  });
  assert.ok(caught instanceof Error, "expected a failure");
  return caught;
}

describe("writeFileAtomically", () => {
  it("writes strings, bytes and parts in any order, with zeros in gaps", async () => {
    const folder = emptyFolder();
    const path = join(folder, "x");
    await writeFileAtomically(path, "héllo");
    assert.equal(readFileSync(path, "utf8"), "héllo");
    await writeFileAtomically(path, new Uint8Array([1, 2]));
    assert.deepEqual([...readFileSync(path)], [1, 2]);
    await writeFileAtomically(path, async (file) => {
      await file.write(new Uint8Array([9]), 4);
      await file.write(new Uint8Array([7]), 1);
      assert.deepEqual([...readFileSync(path)], [1, 2], "the old file is there until the new one is whole");
    });
    assert.deepEqual([...readFileSync(path)], [0, 7, 0, 0, 9]);
    assert.deepEqual(readdirSync(folder), ["x"]);
  });

  it("leaves the old file, and nothing else, when the writer fails; its error is passed on unchanged", async () => {
    const folder = emptyFolder();
    const path = join(folder, "x");
    writeFileSync(path, "old");
    const thrown = new Error("stop");
    const failing = writeFileAtomically(path, async (file) => {
      await file.write(new Uint8Array(10), 0);
      throw thrown;
    });
    assert.equal(await rejection(failing), thrown);
    assert.deepEqual(contents(folder), { x: "old" });
  });

  it("replaces the target of a symbolic link, not the link", { skip: posix }, async () => {
    const folder = emptyFolder();
    const link = join(folder, "link");
    mkdirSync(join(folder, "there"));
    writeFileSync(join(folder, "there", "x"), "old");
    symlinkSync(join(folder, "there", "x"), link);
    await writeFileAtomically(link, "new");
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.deepEqual(contents(folder), { "there/x": "new" });
  });

  it("allows several writers of one file: one of them wins, complete", async () => {
    const folder = emptyFolder();
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(1000));
    await Promise.all(texts.map((text) => writeFileAtomically(join(folder, "x"), text)));
    const { x, ...others } = contents(folder);
    assert.ok(texts.includes(x!));
    assert.deepEqual(others, {});
  });

  it("fails with the caller's class for a missing folder, a folder, or a file in the way", async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "file"), "");
    // Windows knows no difference between a folder that is missing and a file in its place.
    const through = process.platform === "win32" ? "no such folder" : "runs through a file";
    const cases: [path: string, message: RegExp][] = [
      [join(folder, "none", "x"), /none[\\/]x: expected to write there, got no such folder\. Create it first/],
      [folder, /expected a file, or an unused name, got a folder/],
      [join(folder, "file", "x"), new RegExp(`file[\\\\/]x: .*${through}`)],
    ];
    for (const [path, message] of cases) {
      const error = await rejection(writeFileAtomically(path, "x", DataError));
      assert.ok(error instanceof DataError, `${error.stack}`);
      assert.match(error.message, message);
    }
    assert.deepEqual(contents(folder), { file: "" });
  });

  it("fails with a typed error without permission", { skip: process.platform === "win32" && "no modes" }, async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "x"), "old");
    const superuser = process.getuid?.() === 0;
    chmodSync(folder, 0o555);
    chmodSync(root, 0o755);
    // The superuser may write anywhere: act as nobody meanwhile.
    if (superuser) process.seteuid!(65534);
    try {
      const error = await rejection(writeFileAtomically(join(folder, "x"), "new"));
      assert.ok(error instanceof CheckpointError, `${error.stack}`);
      assert.match(error.message, /got no permission\. Choose another folder/);
    } finally {
      if (superuser) process.seteuid!(0);
      chmodSync(folder, 0o755);
    }
    assert.deepEqual(contents(folder), { x: "old" });
  });
});

/** The child's message when it fails to write 1 MiB over an old file. */
const WRITE_TOO_MUCH = `import { writeFileAtomically } from ${JSON.stringify(MODULE)};
  await writeFileAtomically(process.argv[1], new Uint8Array(2 ** 20)).catch((e) => console.log(e.name, e.message));`;

describe("a full disk", () => {
  /** Runs the child in a shell after `setup`; undefined where this machine allows no such setup. */
  function run(setup: string, path: string, prefix: string[] = []): string | undefined {
    const shell = [...prefix, "sh", "-c", `${setup} && exec "$0" --input-type=module -e "$1" "$2"`];
    const [command, ...args] = [...shell, process.execPath, WRITE_TOO_MUCH, path];
    const { status, stdout } = spawnSync(command!, args, { encoding: "utf8" });
    return status === 0 ? stdout : undefined;
  }
  const linux = process.platform === "linux" ? false : "needs Linux";

  it("leaves the old file, a typed error and no temporary: no space", { skip: linux }, (t) => {
    const folder = emptyFolder();
    // A file system of 64 KiB of our own, in a mount namespace that ends with the child: listed before it ends.
    const mount = `mount -t tmpfs -o size=64k none ${folder} && echo old > ${folder}/x`;
    const list = `; ls -A ${folder}; cat ${folder}/x`;
    const command = `${mount} && "$0" --input-type=module -e "$1" "$2" ${list}`;
    const args = ["-rm", "sh", "-c", command, process.execPath, WRITE_TOO_MUCH, join(folder, "x")];
    const { status, stdout } = spawnSync("unshare", args, { encoding: "utf8" });
    if (status !== 0) return t.skip("this machine lets nobody mount");
    const want = /^CheckpointError .*\/x: expected to write there, got a full disk\. Free some space.*\nx\nold\n$/;
    assert.match(stdout, want);
  });

  it("is distinguished from a read-only file system", { skip: linux }, (t) => {
    const folder = emptyFolder();
    const source = `import { writeFileAtomically, writeFolderAtomically } from ${JSON.stringify(MODULE)};
      const fill = async () => {};
      const writes = [() => writeFileAtomically("x", "new"), () => writeFileAtomically("y", "new"),
        () => writeFolderAtomically("d", fill), () => writeFolderAtomically("e/f", fill)];
      for (const write of writes) await write().catch((error) => console.log(error.name, error.details?.got));`;
    const mount = "mount -t tmpfs none . && cd . && cd $PWD && mkdir d && touch x && mount -o remount,ro $PWD";
    const args = [
      "-rm",
      "sh",
      "-c",
      `${mount} || exit 3; exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      source,
    ];
    const { stdout, stderr } = spawnSync("unshare", args, { cwd: folder, encoding: "utf8" });
    if (stdout === "") return t.skip(`this machine lets nobody mount: ${stderr}`);
    assert.equal(stdout, "CheckpointError a read-only file system\n".repeat(4));
  });

  it("leaves the old file, a typed error and no temporary: size limit", { skip: linux }, () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "x"), "old");
    const output = run("ulimit -f 64", join(folder, "x"));
    assert.match(output ?? "", /^CheckpointError .*a file larger than is allowed here.*ulimit -f/);
    assert.deepEqual(contents(folder), { x: "old" });
  });
});

describe("a killed writer", () => {
  it("leaves the old file; the next write removes its temporary folder", async () => {
    const folder = emptyFolder();
    const path = join(folder, "x");
    writeFileSync(path, "old");
    await killWhileWriting(`await atomic.writeFileAtomically(${JSON.stringify(path)}, async (file) => {
      await file.write(new Uint8Array(1000), 0); await stuck(); });`);
    assert.equal(readFileSync(path, "utf8"), "old");
    const [temporary, ...rest] = readdirSync(folder);
    assert.ok(isTemporaryName(temporary!) && rest.length === 1, "a half-written file was left behind");
    await writeFileAtomically(join(folder, "y"), "other");
    assert.ok(existsSync(join(folder, temporary!)), "another file's temporary is left alone");
    await writeFileAtomically(path, "new");
    assert.deepEqual(contents(folder), { x: "new", y: "other" });
  });

  it("leaves the old folder; the next write removes its temporary folder", async () => {
    const parent = emptyFolder();
    const path = join(parent, "step-10");
    await writeFolderAtomically(path, (folder) => writeNewFile(join(folder, "a"), "old"));
    await killWhileWriting(`await atomic.writeFolderAtomically(${JSON.stringify(path)}, async (folder) => {
      fs.writeFileSync(folder + "/a", "half"); await stuck(); });`);
    assert.deepEqual(contents(path), { a: "old" });
    assert.equal(readdirSync(parent).filter(isTemporaryName).length, 1);
    await writeFolderAtomically(path, (folder) => writeNewFile(join(folder, "a"), "new"));
    assert.deepEqual(contents(parent), { "step-10/a": "new" });
  });

  it("between the two renames of an exchange loses nothing: the old folder is put back", {
    skip: LIKE_OTHERS,
  }, async () => {
    const parent = emptyFolder();
    const path = join(parent, "best");
    // Killed while writing, then moved aside by hand as in the swap: the state between its two renames.
    const killed = async (): Promise<void> => {
      await writeFolderAtomically(path, (folder) => writeNewFile(join(folder, "a"), "old"));
      await killWhileWriting(`await atomic.writeFolderAtomically(${JSON.stringify(path)}, async (folder) => {
        fs.writeFileSync(folder + "/a", "whole"); await stuck(); });`);
      const temporary = readdirSync(parent).find(isTemporaryName)!;
      renameSync(path, join(parent, temporary, "old"));
      assert.ok(!existsSync(path));
    };
    await killed();
    await recover(path);
    assert.deepEqual(contents(parent), { "best/a": "old" });
    await killed();
    await recoverAll(parent);
    assert.deepEqual(contents(parent), { "best/a": "old" });
    await killed();
    const failing = writeFolderAtomically(path, async () => {
      throw new Error("stop");
    });
    assert.equal((await rejection(failing)).message, "stop");
    assert.deepEqual(contents(parent), { "best/a": "old" });
    await recover(join(parent, "never-there"));
    assert.deepEqual(contents(parent), { "best/a": "old" });
  });

  /**
   * Kills a write before each of its removals and renames, except those of the workspace itself; in `npm test` before
   * every other one. `check` gets the state after each.
   */
  async function killedAtEachStep(write: string, prepare: () => void, check: () => Promise<void>): Promise<number> {
    for (let step = 0; ; step += TESTING_ALL ? 1 : 2) {
      prepare();
      const source = `import files from "node:fs/promises"; import { syncBuiltinESMExports } from "node:module";
        let left = ${step};
        for (const name of ["rename", "rm"]) {
          const real = files[name];
          files[name] = async (path, ...rest) => {
            if (!/\\.tmp-[0-9a-f]+.(lock|move|new)?$/.test(path) && left-- === 0) await stuck();
            return real(path, ...rest);
          };
        }
        syncBuiltinESMExports();
        ${write}
        console.log("whole"); setTimeout(() => {}, 1e6);`;
      const said = await killWhileWriting(source);
      await check();
      if (said === "whole") return step;
    }
  }

  it("of several files in a folder with others leaves the old set or the new one, whichever step it was killed at", {
    skip: LIKE_OTHERS,
  }, async () => {
    const folder = emptyFolder();
    const m = process.platform === "win32" ? "m" : "m:7\\b";
    const old = { [m]: "old", a: "old", other: "mine" };
    const whole = { [m]: "new", a: "new", z: "new", other: "mine" };
    // As contents() names them.
    const named = (files: Record<string, string>) =>
      Object.fromEntries(Object.entries(files).map(([name, content]) => [name.replaceAll("\\", "/"), content]));
    const seen = new Set<string>();
    const steps = await killedAtEachStep(
      `await atomic.writeFilesAtomically(${JSON.stringify(folder)}, async (folder) => {
        for (const name of ["a", ${JSON.stringify(m)}, "z"]) await atomic.writeNewFile(folder + "/" + name, "new");
      }, { last: ${JSON.stringify(m)} });`,
      () => {
        for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
        for (const [name, content] of Object.entries(old)) writeFileSync(join(folder, name), content);
      },
      async () => {
        // Other programs find either no model there or a complete one.
        const found = Object.fromEntries(
          readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
            entry.isFile() ? [[entry.name, readFileSync(join(folder, entry.name), "utf8")]] : [],
          ),
        );
        assert.ok(found[m] === undefined || found[m] === found.a);
        await recover(join(folder, m));
        const left = contents(folder);
        const isOld = readFileSync(join(folder, m), "utf8") === "old";
        assert.equal(
          JSON.stringify(Object.entries(left).sort()),
          JSON.stringify(Object.entries(isOld ? named(old) : named(whole)).sort()),
        );
        seen.add(isOld ? "old" : "new");
      },
    );
    assert.ok(steps >= 6 && seen.has("new"), `${steps} steps`);
  });

  it("of a folder that can't be replaced leaves the old files or the new ones", {
    skip: posix || LIKE_OTHERS,
  }, async () => {
    const folder = emptyFolder();
    const old = { "config.json": "old", extra: "mine", "inner/a": "old", "inner/b": "mine", weights: "old" };
    const whole = { ...old, "config.json": "new", "inner/a": "new", weights: "new" };
    const { extra: _, "inner/b": __, ...replaced } = whole;
    const kinds = [
      ["merge", whole],
      ["replace", replaced],
    ] as const;
    // A process for each step: test:all kills both.
    for (const [existing, after] of kinds) {
      const steps = await killedAtEachStep(
        `process.chdir(${JSON.stringify(folder)});
        await atomic.writeFolderAtomically(".", async (folder) => {
          fs.mkdirSync(folder + "/inner");
          for (const name of ["config.json", "inner/a", "weights"]) await atomic.writeNewFile(folder + "/" + name, "new");
        }, { existing: "${existing}" });`,
        () => {
          for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
          mkdirSync(join(folder, "inner"));
          for (const [name, content] of Object.entries(old)) writeFileSync(join(folder, name), content);
        },
        async () => {
          const found = contents(folder);
          assert.ok(found["config.json"] === undefined || found["config.json"] === found.weights);
          await recover(folder);
          const left = contents(folder);
          assert.deepEqual(left, left.weights === "old" ? old : after);
        },
      );
      assert.ok(steps >= 6, `${steps} steps`);
    }
  });

  it("'s move is finished only within its folder", async () => {
    const parent = emptyFolder();
    mkdirSync(join(parent, "in"));
    writeFileSync(join(parent, "outside"), "mine");
    const bad = [
      { into: "..", removed: [], moved: ["a"], recursive: false },
      { into: ".", removed: ["../outside"], moved: ["a"], recursive: false },
      { into: ".", removed: [], moved: ["../outside"], recursive: false },
      { into: ".", removed: [], moved: ["a", 1], recursive: false },
      [],
      null,
    ];
    for (const move of bad) {
      const path = join(parent, "in", ".x.tmp-0123456789ab");
      mkdirSync(join(path, "new"), { recursive: true });
      for (const name of ["new/a", "outside", "lock"]) writeFileSync(join(path, name), "theirs");
      writeFileSync(join(path, "move"), JSON.stringify(move));
      await recover(join(parent, "in", "x"));
      const left = Object.entries(contents(parent)).filter(([name]) => !name.includes(".tmp-"));
      assert.deepEqual(left, [["outside", "mine"]]);
      rmSync(path, { recursive: true, force: true });
    }
  });

  it("is recognized as alive in another pid namespace, with another host name", { skip: LIKE_OTHERS }, (t) => {
    const folder = emptyFolder();
    const path = join(folder, "x");
    // Its pid does not exist here, or belongs to another process; its host name is not ours.
    const source = `import { writeFileAtomically } from ${JSON.stringify(MODULE)};
      import { spawnSync } from "node:child_process";
      const [path, outer] = process.argv.slice(1);
      await writeFileAtomically(path, async (file) => {
        await file.write(new TextEncoder().encode("inner"), 0);
        const program = "hostname elsewhere && exec \\"$0\\" --input-type=module -e \\"$1\\" \\"$2\\"";
        const { status, stderr } = spawnSync("unshare",
          ["-rfpu", "--mount-proc", "sh", "-c", program, process.execPath, outer, path], { encoding: "utf8" });
        if (status !== 0) { console.log(stderr); process.exit(3); }
      });`;
    const outer = `import { writeFileAtomically } from ${JSON.stringify(MODULE)};
      await writeFileAtomically(process.argv[1], "outer");`;
    const run = spawnSync(process.execPath, ["--input-type=module", "-e", source, path, outer], { encoding: "utf8" });
    if (run.status === 3) return t.skip(`this machine allows no namespaces: ${run.stdout}`);
    assert.equal(run.status, 0, run.stderr);
    assert.deepEqual(contents(folder), { x: "inner" });
  });

  it("keeps its temporary folder while it is alive", async () => {
    const folder = emptyFolder();
    const path = join(folder, "x");
    await writeFileAtomically(path, async (file) => {
      await file.write(new Uint8Array(3), 0);
      // Another write of the same file, by another process, meanwhile.
      const script = `import { writeFileAtomically } from ${JSON.stringify(MODULE)};
        await writeFileAtomically(process.argv[1], "theirs");`;
      spawnSync(process.execPath, ["--input-type=module", "-e", script, path]);
      assert.equal(readFileSync(path, "utf8"), "theirs");
    });
    assert.deepEqual(contents(folder), { x: "\0\0\0" });
  });
});

describe("writeFolderAtomically", () => {
  const write = (files: Record<string, string>) => async (folder: string) => {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
  };

  it("makes a folder, and its parents, that appears complete", async () => {
    const parent = emptyFolder();
    const path = join(parent, "runs", "step-1");
    await writeFolderAtomically(path, async (folder) => {
      await write({ a: "1", "sub/b": "2" })(folder);
      assert.ok(!existsSync(path));
    });
    assert.deepEqual(contents(parent), { "runs/step-1/a": "1", "runs/step-1/sub/b": "2" });
  });

  it("keeps the files of a folder that are to be kept, whether it is exchanged or moved into", async () => {
    const parent = emptyFolder();
    const path = join(parent, "model");
    await writeFolderAtomically(path, write({ a: "1", "old-1": "1", "old-2": "1" }));
    await writeFolderAtomically(path, write({ b: "2" }), { existing: (name) => !name.startsWith("old") });
    assert.deepEqual(contents(parent), { "model/a": "1", "model/b": "2" });
    writeFileSync(join(path, "old-3"), "1");
    // The folder that a process works in is not exchanged.
    const source = `import { writeFolderAtomically } from ${JSON.stringify(MODULE)}; import * as fs from "node:fs";
      const fill = async (folder) => fs.writeFileSync(folder + "/b", "3");
      await writeFolderAtomically(".", fill, { existing: (name) => !name.startsWith("old") });`;
    spawnSync(process.execPath, ["--input-type=module", "-e", source], { cwd: path });
    assert.deepEqual(contents(parent), { "model/a": "1", "model/b": "3" });
  });

  it("replaces a folder, or merges into it", async () => {
    const parent = emptyFolder();
    const path = join(parent, "model");
    await writeFolderAtomically(path, write({ a: "1", b: "1" }));
    await writeFolderAtomically(path, write({ b: "2", c: "2" }), { existing: "merge" });
    assert.deepEqual(contents(parent), { "model/a": "1", "model/b": "2", "model/c": "2" });
    await writeFolderAtomically(path, write({ c: "3" }));
    assert.deepEqual(contents(parent), { "model/c": "3" });
  });

  it("keeps a folder's mode and group, its set-gid bit, and in a merge the files that stay", {
    skip: posix,
  }, async () => {
    const parent = emptyFolder();
    const path = join(parent, "model");
    await writeFolderAtomically(path, write({ a: "1", "sub/b": "1" }));
    symlinkSync("a", join(path, "link"));
    chmodSync(path, 0o2750);
    chmodSync(join(path, "sub"), 0o700);
    const superuser = process.getuid?.() === 0;
    if (superuser) chownSync(path, 1234, 5678);
    chmodSync(path, 0o2750);
    const { mode, uid, gid } = statSync(path);
    const [{ ino: staying }, { ino: before }] = [statSync(join(path, "a")), statSync(path)];
    for (const existing of ["merge", "replace"] as const) {
      await writeFolderAtomically(path, write({ c: existing }), { existing });
      const now = statSync(path);
      assert.deepEqual([now.mode, now.uid, now.gid], [mode, uid, gid]);
      if (existing === "replace") break;
      assert.equal(statSync(join(path, "a")).ino, staying, "not copied");
      assert.equal(readlinkSync(join(path, "link")), "a");
      assert.equal(statSync(join(path, "sub")).mode & 0o777, 0o700);
      if (systemCalls().exchange) assert.notEqual(now.ino, before, "exchanged as a whole");
    }
    assert.deepEqual(contents(parent), { "model/c": "replace" });
  });

  it("moves the files into a folder whose parent can't be written to", { skip: posix }, async () => {
    const parent = emptyFolder();
    const path = join(parent, "out");
    mkdirSync(path);
    writeFileSync(join(path, "stays"), "old");
    chmodSync(path, 0o777);
    chmodSync(parent, 0o555);
    chmodSync(root, 0o755);
    const superuser = process.getuid?.() === 0;
    if (superuser) process.seteuid!(65534);
    try {
      await writeFolderAtomically(path, write({ a: "1" }), { existing: "merge" });
      assert.deepEqual(contents(path), { a: "1", stays: "old" });
      await writeFolderAtomically(path, write({ a: "2" }));
    } finally {
      if (superuser) process.seteuid!(0);
      chmodSync(parent, 0o755);
    }
    assert.deepEqual(contents(parent), { "out/a": "2" });
  });

  it("moves the files into the process's working folder, which stays", async () => {
    const path = join(emptyFolder(), "here");
    mkdirSync(path);
    writeFileSync(join(path, "stays"), "old");
    const before = statSync(path).ino;
    const source = `import { writeFolderAtomically } from ${JSON.stringify(MODULE)}; import * as fs from "node:fs";
      const fill = async (folder) => fs.writeFileSync(folder + "/a", "new");
      await writeFolderAtomically(".", fill, { existing: "merge" });
      console.log(fs.readdirSync(".").join());`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", source], {
      cwd: path,
      encoding: "utf8",
    });
    assert.equal(stdout, "a,stays\n");
    assert.equal(statSync(path).ino, before);
  });

  it("moves the files into a mount point, of another file system or of the same", (t) => {
    const parent = emptyFolder();
    for (const name of ["tmpfs", "bound", "source"]) mkdirSync(join(parent, name));
    writeFileSync(join(parent, "source", "stays"), "old");
    writeFileSync(join(parent, "file"), "old");
    writeFileSync(join(parent, "mounted"), "old");
    const source = `import { writeFolderAtomically, writeFileAtomically } from ${JSON.stringify(MODULE)};
      import * as fs from "node:fs";
      const fill = async (folder) => { fs.writeFileSync(folder + "/a", "1"); fs.writeFileSync(folder + "/stays", "new"); };
      for (const existing of ["merge", "replace"]) for (const name of ["tmpfs", "bound"]) {
        await writeFolderAtomically(name, fill, { existing });
        console.log(fs.readdirSync(name).join(), fs.readFileSync(name + "/stays", "utf8"));
      }
      await writeFileAtomically("mounted", "new");
      console.log(fs.readFileSync("mounted", "utf8"));`;
    const mounts = `mount -t tmpfs none tmpfs && mount --bind source bound && mount --bind file mounted`;
    const args = [
      "-rm",
      "sh",
      "-c",
      `${mounts} || exit 3; exec "$0" --input-type=module -e "$1"`,
      process.execPath,
      source,
    ];
    const { status, stdout, stderr } = spawnSync("unshare", args, { cwd: parent, encoding: "utf8" });
    if (status === null || status === 3 || stdout === "") return t.skip(`this machine lets nobody mount: ${stderr}`);
    assert.equal(stdout, `${"a,stays new\n".repeat(4)}new\n`);
    assert.deepEqual(contents(parent), { file: "new", mounted: "old", "source/a": "1", "source/stays": "new" });
  });

  it("leaves the old folder, and nothing else, when filling fails", async () => {
    const parent = emptyFolder();
    const path = join(parent, "model");
    await writeFolderAtomically(path, write({ a: "1" }));
    for (const existing of ["replace", "merge"] as const) {
      const failing = writeFolderAtomically(
        path,
        async (folder) => {
          await write({ a: "2" })(folder);
          await writeNewFile(join(folder, "none", "b"), "x");
        },
        { existing, errorClass: DataError },
      );
      const error = await rejection(failing);
      assert.ok(error instanceof DataError, `${error.stack}`);
      assert.match(error.message, /writing .*model: expected to write there, got no such folder/);
      assert.deepEqual(contents(parent), { "model/a": "1" });
    }
  });

  it("refuses a file in its place", async () => {
    const path = join(emptyFolder(), "x");
    writeFileSync(path, "file");
    const error = await rejection(writeFolderAtomically(path, write({ a: "1" })));
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /expected a folder, or an unused name, got a file/);
    assert.equal(readFileSync(path, "utf8"), "file");
  });
});

describe("writeFilesAtomically", () => {
  it("adds a set of files to a folder: all of them, or none", async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "other"), "other");
    writeFileSync(join(folder, "weights"), "old");
    const fill =
      (fails: boolean) =>
      async (temporary: string): Promise<void> => {
        await writeNewFile(join(temporary, "weights"), "new");
        if (fails) throw new DataError({ op: `writing ${temporary}/tokenizer`, got: "something wrong" });
        await writeNewFile(join(temporary, "tokenizer"), "new");
      };
    const error = await rejection(writeFilesAtomically(folder, fill(true)));
    assert.equal(error.message, `writing ${folder}/tokenizer: got something wrong`);
    assert.deepEqual(contents(folder), { other: "other", weights: "old" });
    await writeFilesAtomically(folder, fill(false));
    assert.deepEqual(contents(folder), { other: "other", tokenizer: "new", weights: "new" });
  });

  it("moves last the file without which the others are useless", { skip: posix }, async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "other"), "");
    const fill = async (temporary: string) => {
      for (const name of ["a", "m", "z"]) await writeNewFile(join(temporary, name), "new");
    };
    for (const last of ["a", "m", "z"]) {
      await writeFilesAtomically(folder, fill, { last });
      // A rename changes a file's ctime.
      const moved = (name: string) => statSync(join(folder, name), { bigint: true }).ctimeNs;
      for (const name of ["a", "m", "z"]) assert.ok(moved(name) <= moved(last), `${name} after ${last}`);
    }
  });

  it("refuses to replace a pipe by a file", { skip: posix }, async (t) => {
    const folder = emptyFolder();
    const fifo = join(folder, "b");
    if (spawnSync("mkfifo", [fifo]).status !== 0) return t.skip("no mkfifo");
    writeFileSync(join(folder, "a"), "old");
    const fill = async (temporary: string) => {
      for (const name of ["a", "b"]) await writeNewFile(join(temporary, name), "new");
    };
    for (const write of [
      () => writeFilesAtomically(folder, fill),
      () => writeFolderAtomically(folder, fill, { existing: "merge" }),
    ]) {
      assert.match((await rejection(write())).message, /got a device, pipe or socket there/);
      assert.ok(lstatSync(fifo).isFIFO());
      assert.deepEqual(contents(folder), { a: "old" });
    }
  });

  it("refuses to replace a folder by a file, before anything has changed", async () => {
    const folder = emptyFolder();
    mkdirSync(join(folder, "b"));
    writeFileSync(join(folder, "b", "c"), "old");
    writeFileSync(join(folder, "z"), "old");
    const failing = writeFilesAtomically(folder, async (temporary) => {
      for (const name of ["a", "b", "z"]) await writeNewFile(join(temporary, name), "new");
    });
    assert.match((await rejection(failing)).message, /got a folder/);
    assert.deepEqual(contents(folder), { "b/c": "old", z: "old" });
  });
});

describe("an output that can't be written", () => {
  it("is refused before any work", async () => {
    const folder = emptyFolder();
    await checkOutput(join(folder, "new"), DataError);
    writeFileSync(join(folder, "file"), "");
    await checkOutput(join(folder, "file"), DataError);
    for (const [name, message] of [
      [".", /expected a file, or an unused name, got a folder/],
      ["missing/new", /got no such folder\. Create it first/],
      ["file/new", /got a path that runs through a file/],
    ] as const) {
      const error = await rejection(checkOutput(join(folder, name), DataError));
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, message);
    }
  });

  it("ends a command before it reads its input", () => {
    const folder = emptyFolder();
    const cli = packageFile("dist/src/cli/main.js");
    const out = join(folder, "missing", "out");
    for (const args of [
      ["detect", "--calibrate", join(folder, "none"), "--out", out],
      ["card", join(folder, "none"), "--out", out],
      ["detect", "--train", cli, cli, "--out", out],
    ]) {
      const { stderr, status } = spawnSync(process.execPath, [cli, ...args], { encoding: "utf8" });
      assert.match(stderr, /^gpt2: writing .*missing.out: expected to write there, got no such folder/);
      assert.ok(status === 1 || status === 2);
    }
  });
});

describe("outputs that are not regular files", { skip: posix }, () => {
  const inOrder = "0123456789".repeat(20_000);
  /** Written back to front, which is impossible on a pipe. */
  const backwards = async (file: { write(bytes: Uint8Array, at: number): Promise<void> }): Promise<void> => {
    for (let at = inOrder.length - 1000; at >= 0; at -= 1000)
      await file.write(Buffer.from(inOrder.slice(at, at + 1000)), at);
  };

  it("a FIFO is written into, and not replaced", async () => {
    const folder = emptyFolder();
    const fifo = join(folder, "fifo");
    if (spawnSync("mkfifo", [fifo]).status !== 0) return;
    for (const content of [inOrder, backwards]) {
      const reader = spawn("cat", [fifo], { stdio: ["ignore", "pipe", "inherit"] });
      const read = textOf(reader.stdout);
      await writeFileAtomically(fifo, content);
      assert.equal(await read, inOrder);
    }
    assert.ok(lstatSync(fifo).isFIFO());
    assert.deepEqual(readdirSync(folder), ["fifo"]);
  });

  it("a FIFO whose reader ends is a typed error", async () => {
    const fifo = join(emptyFolder(), "fifo");
    if (spawnSync("mkfifo", [fifo]).status !== 0) return;
    const reader = spawn("head", ["-c", "10", fifo], { stdio: ["ignore", "ignore", "inherit"] });
    const error = await rejection(writeFileAtomically(fifo, inOrder.repeat(10), DataError));
    assert.ok(error instanceof DataError, `${error.stack}`);
    assert.match(error.message, /a reader that ended before the output did/);
    reader.kill();
  });

  it("a FIFO without a reader does not keep a process from ending", () => {
    const fifo = join(emptyFolder(), "fifo");
    if (spawnSync("mkfifo", [fifo]).status !== 0) return;
    const source = `import { writeFileAtomically } from ${JSON.stringify(MODULE)};
      setTimeout(() => process.exit(7), 100);
      await writeFileAtomically(${JSON.stringify(fifo)}, "x");`;
    const args = ["--input-type=module", "-e", source];
    const { status, signal } = spawnSync(process.execPath, args, { timeout: 60_000, killSignal: "SIGKILL" });
    assert.deepEqual([status, signal], [7, null]);
  });

  it("a character device is written into, and not replaced; a block device is refused", async (t) => {
    const folder = emptyFolder();
    const [sink, full, block] = ["sink", "full", "block"].map((name) => join(folder, name)) as [string, string, string];
    // Devices like /dev/null and /dev/full, made by the test in its own folder.
    const made = [[sink, "c", "1", "3"] as const, [full, "c", "1", "7"] as const, [block, "b", "7", "250"] as const];
    if (made.some((args) => spawnSync("mknod", args).status !== 0)) return t.skip("only the superuser makes devices");
    await writeFileAtomically(sink, "x");
    await writeFileAtomically(sink, backwards);
    assert.ok(lstatSync(sink).isCharacterDevice());
    assert.match(
      (await rejection(writeFileAtomically(full, "x"))).message,
      /full: expected to write there, got a full disk/,
    );
    assert.match((await rejection(writeFileAtomically(block, "x"))).message, /got a block device/);
    assert.match(
      (await rejection(writeFolderAtomically(sink, async () => {}))).message,
      /expected a folder, or an unused name/,
    );
    assert.deepEqual(readdirSync(folder), ["block", "full", "sink"]);
  });

  it("/dev/stdout and a shell's >(…) are written to, not replaced", (t) => {
    if (!existsSync("/dev/fd")) return t.skip("no /dev/fd");
    const folder = emptyFolder();
    const source = `import { writeFileAtomically } from ${JSON.stringify(MODULE)};
      console.log("before");
      await writeFileAtomically("/dev/stdout", "first\\n");
      await writeFileAtomically(process.argv[1], async (file) => { await file.write(Buffer.from("second\\n"), 0); });
      console.log("after");`;
    const command = `"$0" --input-type=module -e "$1" /dev/fd/7 7> >(cat > inner) > outer; sleep 0.3; cat outer inner`;
    const args = ["-c", command, process.execPath, source];
    const { stdout, error } = spawnSync("bash", args, { cwd: folder, encoding: "utf8" });
    if (error) return t.skip("no bash");
    assert.equal(stdout, "before\nfirst\nafter\nsecond\n");
    assert.deepEqual(readdirSync(folder), ["inner", "outer"]);
  });
});

describe("threads of one process", () => {
  it("write one file side by side without removing each other's temporaries", { skip: LIKE_OTHERS }, async () => {
    const folder = emptyFolder();
    const path = join(folder, "x");
    const source = `const { workerData, parentPort } = require("node:worker_threads");
      (async () => {
        const { writeFileAtomically, writeFolderAtomically } = await import(workerData.module);
        const { writeFileSync } = require("node:fs");
        let failures = [];
        for (let i = 0; i < 20; i++) {
          try { await writeFileAtomically(workerData.path, "y".repeat(100000)); } catch (e) { failures.push(String(e)); }
        }
        parentPort.postMessage(failures);
      })();`;
    const workers = Array.from(
      { length: 4 },
      () => new Worker(source, { eval: true, workerData: { module: MODULE, path } }),
    );
    const failures = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0] as string[]));
    await Promise.all(workers.map((worker) => worker.terminate()));
    assert.deepEqual(failures.flat(), []);
    assert.deepEqual(contents(folder), { x: "y".repeat(100_000) });
  });
});

describe("a workspace", () => {
  it("is left alone while it is being made or removed, and removed when abandoned", async () => {
    const folder = emptyFolder();
    const workspace = await Workspace.create(folder, "x");
    writeFileSync(workspace.new, "half");
    await recoverAll(folder);
    assert.equal(readFileSync(workspace.new, "utf8"), "half");
    assert.equal(tryLock(join(workspace.path, "lock")), undefined, "held, in this process as well");
    // Between mkdir and the lock: without a lock file, empty or not.
    mkdirSync(join(folder, ".y.tmp-0123456789ab"));
    mkdirSync(join(folder, ".z.tmp-0123456789ab/new"), { recursive: true });
    // A lock file that nobody has locked.
    mkdirSync(join(folder, ".w.tmp-0123456789ab"));
    writeFileSync(join(folder, ".w.tmp-0123456789ab/lock"), "");
    await recoverAll(folder);
    const names = [basename(workspace.path), ".z.tmp-0123456789ab"];
    assert.deepEqual(readdirSync(folder).sort(), hasLocks ? names.sort() : [".w.tmp-0123456789ab", ...names].sort());
    await workspace.dispose();
    assert.ok(!existsSync(workspace.path));
  });
});

describe("removeFolderAtomically", () => {
  it("removes the folder's name before its contents, and leaves nothing", async () => {
    const folder = emptyFolder();
    const path = join(folder, "removed");
    mkdirSync(path);
    const names = Array.from({ length: 300 }, (_, i) => `${i}`);
    for (const name of names) writeFileSync(join(path, name), "");
    let done = false;
    const removed = removeFolderAtomically(path).finally(() => {
      done = true;
    });
    while (!done) {
      assert.equal(entriesOf(path) ?? names.length, names.length);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await removed;
    assert.deepEqual(readdirSync(folder), []);
  });
});
