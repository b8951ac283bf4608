import { numel, type TensorSpec } from "../architectures/tensor-spec.js";
import { encodeTensor, type TensorSource } from "../checkpoint/encode-tensor.js";
import type { StoredLayout } from "../checkpoint/stored-tensor.js";
import type { WeightType } from "../dtype/dtype.js";
import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";

/** The place and layout of a tensor in a file. */
export interface Place {
  readonly spec: Pick<TensorSpec, "name" | "shape">;
  readonly file: string;
  /** Position in the file, in bytes. */
  readonly offset: number;
  readonly dtype: WeightType;
  readonly storedAs: StoredLayout;
}

export interface WriteTensorsJob {
  /** The target's name in messages. */
  readonly path: string;
  /** Layouts of all tensors of the model. */
  readonly places: readonly Place[];
  readonly tensors: Iterable<TensorSource> | AsyncIterable<TensorSource>;
  readonly write: (file: string, bytes: Uint8Array, position: number) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes written. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Writes tensors as they arrive, in pieces of about 1 MiB.
 *
 * @throws {CheckpointError} a tensor is missing, unknown, of the wrong shape, or has values that its dtype cannot hold.
 */
export async function writeTensors({ path, places, tensors, write, signal, onBytes }: WriteTensorsJob): Promise<void> {
  const left = new Map(places.map((place) => [place.spec.name, place]));
  for await (const tensor of tensors) {
    const place = checkedPlace(path, tensor, left.get(tensor.name));
    left.delete(tensor.name);
    const { file, dtype, storedAs } = place;
    let position = place.offset;
    for (const bytes of encodeTensor({ tensor, dtype, storedAs, file: path })) {
      signal?.throwIfAborted();
      await write(file, bytes, position);
      position += bytes.length;
      onBytes?.(bytes.length);
    }
  }
  const [name] = left.keys();
  if (name !== undefined) {
    throw new CheckpointError({ op: `writing ${path}: tensor ${name}`, expected: "its values", got: "none" });
  }
}

function checkedPlace(path: string, tensor: TensorSource, place: Place | undefined): Place {
  const op = `writing ${path}: tensor ${quote(tensor.name)}`;
  if (place === undefined) {
    throw new CheckpointError({ op, expected: "each tensor of the model once", got: "an unknown or repeated tensor" });
  }
  const { shape } = place.spec;
  const count = "readRows" in tensor ? numel(tensor.shape) : tensor.data.length;
  const same = tensor.shape.length === shape.length && tensor.shape.every((d, i) => d === shape[i]);
  if (same && count === numel(shape)) return place;
  const got = `[${tensor.shape.join(", ")}] with ${count} values`;
  throw new CheckpointError({ op, expected: `shape [${shape.join(", ")}]`, got });
}
