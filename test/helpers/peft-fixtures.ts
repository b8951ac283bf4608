import { readFileSync } from "node:fs";
import { join } from "node:path";
import { memorySource } from "../../src/checkpoint/byte-source.js";
import { readSafetensors } from "../../src/checkpoint/safetensors.js";
import { packageFile } from "../../src/util/package-root.js";

/**
 * The fixture written by scripts/python/make_peft_fixture.py: adapters by PEFT for the tiny model, and their results.
 */
export const PEFT_FIXTURES = packageFile("test/fixtures/peft");
export const PEFT_BASE = packageFile("test/fixtures/tiny");
export const PEFT_BATCH = { B: 2, T: 12 };

/** Every tensor of a safetensors file in float32 or int32. */
export const readTensors = (...path: string[]): Map<string, Float32Array | Int32Array> =>
  readTensorsAt(PEFT_FIXTURES, ...path);

export function readTensorsAt(...path: string[]): Map<string, Float32Array | Int32Array> {
  const file = join(...path);
  const { tensors } = readSafetensors(memorySource(file, new Uint8Array(readFileSync(file))));
  return new Map(
    [...tensors].map(([name, { dtype, data }]) => {
      const { buffer, byteOffset, byteLength } = data.slice();
      return [name, new (dtype === "I32" ? Int32Array : Float32Array)(buffer, byteOffset, byteLength / 4)];
    }),
  );
}
