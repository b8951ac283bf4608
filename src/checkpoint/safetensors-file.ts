import { type ErrorClass, writeFileAtomically } from "../util/atomic-write.js";
import { layoutSafetensors, type SafetensorsInput, tensorBytes } from "./safetensors-writer.js";

/**
 * Writes tensors of any dtypes (optimizer state, adapters) atomically as one safetensors file, without a second copy in
 * memory.
 *
 * @throws {CheckpointError} names repeat or data does not fit its shape; of `errorClass` if the file system refuses.
 */
export async function writeSafetensorsFile(
  path: string,
  tensors: readonly SafetensorsInput[],
  metadata: Readonly<Record<string, string>> = {},
  errorClass?: ErrorClass,
): Promise<void> {
  const { header, ranges } = layoutSafetensors(tensors, metadata);
  const pieces = tensors.map((tensor) => {
    const { offset, byteLength } = ranges.get(tensor.name)!;
    return { offset, bytes: tensorBytes(tensor, byteLength) };
  });
  await writeFileAtomically(
    path,
    async (file) => {
      await file.write(header, 0);
      for (const { offset, bytes } of pieces) await file.write(bytes, offset);
    },
    errorClass,
  );
}
