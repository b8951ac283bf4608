import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { nativeBackend } from "../../src/backend/native/index.js";
import { BackendError } from "../../src/errors.js";
import { openCheckpoint } from "../../src/pretrained/node.js";
import { packageFile } from "../../src/util/package-root.js";
import { readAll } from "./small-model.js";

const TINY = packageFile("test/fixtures/tiny");

/** The native backend, or the reason why there is none. */
async function native() {
  try {
    return await nativeBackend({ threads: 1 });
  } catch (error) {
    if (error instanceof BackendError) return error.message;
    throw error;
  }
}

const backend = await native();

describe("files mapped by the native backend", { skip: typeof backend === "string" ? backend : false }, () => {
  if (typeof backend === "string") return;
  for (const path of [TINY, join(TINY, "model.bin")]) {
    it(`hold the same values as files that are read: ${path.slice(TINY.length) || "folder"}`, async () => {
      const read = await openCheckpoint(path);
      let mapped = 0;
      const mapFile = (file: string) => {
        mapped++;
        return backend.mapFile(file);
      };
      try {
        const checkpoint = await openCheckpoint(path, { mapFile });
        assert.ok(mapped > 0);
        assert.deepEqual(readAll(checkpoint), readAll(read));
        const wte = checkpoint.tensors.get("wte.weight")!;
        const { data } = wte;
        const { file, offset, length } = wte.mapped!;
        checkpoint.close();
        assert.deepEqual(data, Uint8Array.from(read.tensors.get("wte.weight")!.data));
        assert.deepEqual(file.bytes(offset, length), data);
      } finally {
        read.close();
      }
    });
  }
});
