import type { Backend, DeviceArray } from "../backend/backend.js";
import { yieldToEventLoop } from "../util/event-loop.js";

/** A tensor in a file; {@link StoredTensor} is one. */
export interface WeightSource {
  readonly name: string;
  /** The model's shape, matrices [out, in]. */
  readonly shape: readonly number[];
  /** Converts to float32 in the model's layout. */
  readInto(dst: Float32Array): void;
  /** The values where they lie in memory, if they are float32 in the model's layout. */
  inPlace(): Float32Array | undefined;
}

export interface LoadWeightsOptions {
  /** Makes a backend's array of values that are in memory already, or says that it can't. */
  readonly inPlace?: ((values: Float32Array) => DeviceArray | undefined) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Tensors start on a cache line: 16 floats. */
const LINE = 16;

/**
 * The weights as arrays of a backend, by tensor name: used where they are if they can be, the others converted one by one
 * into a single block.
 */
export async function loadWeights(
  backend: Backend,
  tensors: Iterable<WeightSource>,
  { inPlace, signal }: LoadWeightsOptions = {},
): Promise<Map<string, DeviceArray>> {
  const weights = new Map<string, DeviceArray>();
  const toRead: { tensor: WeightSource; start: number; size: number }[] = [];
  let end = 0;
  for (const tensor of tensors) {
    const values = inPlace && tensor.inPlace();
    const array = values && inPlace?.(values);
    if (array) {
      weights.set(tensor.name, array);
      continue;
    }
    const size = tensor.shape.reduce((n, d) => n * d, 1);
    toRead.push({ tensor, start: end, size });
    end += Math.ceil(size / LINE) * LINE;
  }
  const block = backend.alloc("f32", end);
  for (const { tensor, start, size } of toRead) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    const array = block.slice(start, size);
    fill(array, tensor);
    weights.set(tensor.name, array);
  }
  return weights;
}

function fill(array: DeviceArray, tensor: WeightSource): void {
  if (array.host instanceof Float32Array) {
    tensor.readInto(array.host);
    return;
  }
  const values = new Float32Array(array.length);
  tensor.readInto(values);
  array.write(values);
}
