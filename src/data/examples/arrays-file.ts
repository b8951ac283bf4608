/** Named arrays in a safetensors file, the form of encoded examples on disk. */
import { openFileSource } from "../../checkpoint/file-source.js";
import { readSafetensors } from "../../checkpoint/safetensors.js";
import { writeSafetensorsFile } from "../../checkpoint/safetensors-file.js";
import { DataError, GPT2Error } from "../../errors.js";

const ARRAYS = { U8: Uint8Array, U16: Uint16Array, U32: Uint32Array, F32: Float32Array } as const;

/** The type of each array. */
export type Layout = Readonly<Record<string, keyof typeof ARRAYS>>;

interface ArrayOf {
  readonly U8: Uint8Array;
  readonly U16: Uint16Array;
  readonly U32: Uint32Array;
  readonly F32: Float32Array;
}

export type Arrays<L extends Layout> = { readonly [Name in keyof L]: ArrayOf[L[Name]] };

/** Writes into a folder that is being written. */
export async function writeArrays<L extends Layout>(path: string, layout: L, arrays: Arrays<L>): Promise<void> {
  const tensors = Object.entries(layout).map(([name, dtype]) => {
    const data = arrays[name]!;
    return { name, dtype, shape: [data.length], data };
  });
  await writeSafetensorsFile(path, tensors, {}, DataError);
}

/** @throws {DataError} the file is missing or damaged. */
export function readArrays<L extends Layout>(path: string, layout: L): Arrays<L> {
  try {
    const source = openFileSource(path);
    try {
      const { tensors } = readSafetensors(source);
      const entries = Object.entries(layout).map(([name, dtype]) => {
        const tensor = tensors.get(name);
        if (tensor?.dtype !== dtype) {
          throw new DataError({ op: `reading ${path}: ${name}`, expected: dtype, got: tensor?.dtype ?? "none" });
        }
        return [name, new ARRAYS[dtype](tensor.data.slice().buffer as ArrayBuffer)];
      });
      return Object.fromEntries(entries) as unknown as Arrays<L>;
    } finally {
      source.close();
    }
  } catch (cause) {
    if (!(cause instanceof GPT2Error) || cause instanceof DataError) throw cause;
    throw new DataError({ ...cause.details, hint: "Prepare the data again", cause });
  }
}
