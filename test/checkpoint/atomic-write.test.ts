import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { CheckpointError, DataError } from "../../src/errors.js";
import {
  isTemporaryName,
  recoverFolder,
  removeFolderAtomically,
  writeFileAtomically,
  writeFolderAtomically,
  writeNewFile,
} from "../../src/util/atomic-write.js";

const MODULE = new URL("../../src/util/atomic-write.js", import.meta.url).href;
const root = mkdtempSync(join(tmpdir(), "gpt2-atomic-"));
after(() => rmSync(root, { recursive: true }));
let count = 0;

function emptyFolder(): string {
  const path = join(root, `${count++}`);
  mkdirSync(path);
  return path;
}

/** Contents by relative path, of files below `folder`, temporaries included. */
function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath ?? entry.path, entry.name)).sort();
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, "utf8")]));
}

/** Runs a script that writes with this module until it prints a line, then kills it with SIGKILL. */
async function killWhileWriting(script: string): Promise<number> {
  const source = `import * as atomic from ${JSON.stringify(MODULE)}; import * as fs from "node:fs";
    const stuck = () => new Promise((resolve) => { setTimeout(resolve, 1e6); console.log("half"); });
    ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout!, "data");
  child.kill("SIGKILL");
  await once(child, "close");
  return child.pid!;
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
  it("writes strings, bytes and parts in any order, with zeros where nothing was written", async () => {
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

  it("leaves the old file, and nothing else, when the writer fails; its error passes unchanged", async () => {
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

  it("replaces what a symbolic link leads to, not the link", async () => {
    const folder = emptyFolder();
    const link = join(folder, "link");
    mkdirSync(join(folder, "there"));
    writeFileSync(join(folder, "there", "x"), "old");
    symlinkSync(join(folder, "there", "x"), link);
    await writeFileAtomically(link, "new");
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.deepEqual(contents(folder), { "there/x": "new" });
  });

  it("lets writers of one file run side by side: one of them wins, whole", async () => {
    const folder = emptyFolder();
    const texts = Array.from({ length: 8 }, (_, i) => `${i}`.repeat(1000));
    await Promise.all(texts.map((text) => writeFileAtomically(join(folder, "x"), text)));
    const { x, ...others } = contents(folder);
    assert.ok(texts.includes(x!));
    assert.deepEqual(others, {});
  });

  it("fails with the caller's class where there is no folder, a folder, or a file in the way", async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "file"), "");
    const cases: [path: string, message: RegExp][] = [
      [join(folder, "none", "x"), /none\/x: expected to write there, got no such folder\. Create it first/],
      [folder, /expected a file, or nothing, there, got a folder/],
      [join(folder, "file", "x"), /file\/x: .*runs through a file/],
    ];
    for (const [path, message] of cases) {
      const error = await rejection(writeFileAtomically(path, "x", DataError));
      assert.ok(error instanceof DataError, `${error.stack}`);
      assert.match(error.message, message);
    }
    assert.deepEqual(contents(folder), { file: "" });
  });

  it("fails typed without permission", { skip: process.platform === "win32" && "no modes" }, async () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "x"), "old");
    const superuser = process.getuid?.() === 0;
    chmodSync(folder, 0o555);
    chmodSync(root, 0o755);
    // The superuser may write anywhere: become nobody meanwhile.
    if (superuser) process.seteuid!(65534);
    try {
      const error = await rejection(writeFileAtomically(join(folder, "x"), "new"));
      assert.ok(error instanceof CheckpointError, `${error.stack}`);
      assert.match(error.message, /no permission to write there\. Choose another folder/);
    } finally {
      if (superuser) process.seteuid!(0);
      chmodSync(folder, 0o755);
    }
    assert.deepEqual(contents(folder), { x: "old" });
  });
});

/** What a child prints of its own failure to write 1 MiB over an old file. */
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

  it("leaves the old file, a typed error and no temporary: size limit", { skip: linux }, () => {
    const folder = emptyFolder();
    writeFileSync(join(folder, "x"), "old");
    const output = run("ulimit -f 64", join(folder, "x"));
    assert.match(output ?? "", /^CheckpointError .*a file larger than is allowed here.*ulimit -f/);
    assert.deepEqual(contents(folder), { x: "old" });
  });
});

describe("a killed writer", () => {
  it("leaves the old file; the next write clears its temporary away", async () => {
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

  it("leaves the old folder; the next write clears its temporary away", async () => {
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

  it("between the two renames of a swap loses nothing: the old folder is put back", async () => {
    const parent = emptyFolder();
    const path = join(parent, "best");
    // Killed while filling, then moved aside by hand under the name the swap uses: the state between its renames.
    const killed = async (): Promise<void> => {
      await writeFolderAtomically(path, (folder) => writeNewFile(join(folder, "a"), "old"));
      await killWhileWriting(`await atomic.writeFolderAtomically(${JSON.stringify(path)}, async (folder) => {
        fs.writeFileSync(folder + "/a", "whole"); await stuck(); });`);
      const temporary = readdirSync(parent).find(isTemporaryName)!;
      renameSync(path, join(parent, temporary.replace(".tmp-", ".old-")));
      assert.ok(!existsSync(path));
    };
    await killed();
    await recoverFolder(path);
    assert.deepEqual(contents(path), { a: "old" });
    await killed();
    const failing = writeFolderAtomically(path, async () => {
      throw new Error("stop");
    });
    assert.equal((await rejection(failing)).message, "stop");
    assert.deepEqual(contents(parent), { "best/a": "old" });
    await recoverFolder(path);
    await recoverFolder(join(parent, "never-there"));
    assert.deepEqual(contents(parent), { "best/a": "old" });
  });

  it("that is not dead keeps its temporary", async () => {
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

  it("makes a folder, its parents included, that appears whole", async () => {
    const parent = emptyFolder();
    const path = join(parent, "runs", "step-1");
    await writeFolderAtomically(path, async (folder) => {
      await write({ a: "1", "sub/b": "2" })(folder);
      assert.ok(!existsSync(path));
    });
    assert.deepEqual(contents(parent), { "runs/step-1/a": "1", "runs/step-1/sub/b": "2" });
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
    assert.match(error.message, /expected a folder, or nothing, there, got a file/);
    assert.equal(readFileSync(path, "utf8"), "file");
  });
});

describe("removeFolderAtomically", () => {
  it("takes the folder's name away before anything in it, and leaves nothing", async () => {
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
      if (existsSync(path)) assert.equal(readdirSync(path).length, names.length);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await removed;
    assert.deepEqual(readdirSync(folder), []);
  });
});
