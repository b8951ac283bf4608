import type { ModelConfig } from "../architectures/config.js";
import { tensorTable } from "../architectures/registry.js";
import { numel } from "../architectures/tensor-spec.js";
import { heldAs } from "../architectures/weight-types.js";
import type { Backend, DeviceArray } from "../backend/backend.js";
import type { StoredTensor } from "../checkpoint/stored-tensor.js";
import { byteLength, checkWeightType, DTYPES, type WeightType } from "../dtype/dtype.js";
import { isWeightType } from "../dtype/stored.js";
import { fillWeights, type Placed, type WeightAccess } from "./fill-weights.js";

export interface LoadWeightsOptions {
  /** The backend's ways to use weights in place and to convert them on another thread. Default: its own. */
  readonly access?: WeightAccess | undefined;
  /** Storage dtype of the matrices ({@link heldAs}). Default: the file's. */
  readonly dtype?: WeightType | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model's weights as arrays of a backend, by tensor name. Tensors with the right dtype and layout are used in place, the
 * others are converted a piece at a time.
 *
 * @throws {CheckpointError} a value is NaN, infinite, or too large for the dtype.
 * @throws {UsageError} weights cannot be stored in `dtype`.
 */
export async function loadWeights(
  backend: Backend,
  config: ModelConfig,
  tensors: Iterable<StoredTensor>,
  { dtype, access = backend, signal }: LoadWeightsOptions = {},
): Promise<Map<string, DeviceArray>> {
  if (dtype !== undefined) checkWeightType(dtype);
  const typeOf = storageTypes(config, dtype);
  const placed: Placed[] = [];
  const others: (readonly [tensor: StoredTensor, type: WeightType])[] = [];
  for (const tensor of tensors) {
    const type = typeOf(tensor);
    const mapped = tensor.dtype === type && tensor.storedAs === "out_in" ? tensor.mapped : undefined;
    const array = mapped && access.inPlace?.(type, mapped);
    if (array) placed.push({ tensor, array, inPlace: true });
    else others.push([tensor, type]);
  }
  placed.push(...allocate(backend, others));
  await fillWeights(placed, access, signal);
  return new Map(placed.map(({ tensor, array }) => [tensor.name, array]));
}

/** The storage dtype of each tensor in memory, for a model whose weights are to be `dtype`, or as in the file. */
export function storageTypes(config: ModelConfig, dtype?: WeightType): (tensor: StoredTensor) => WeightType {
  const alwaysF32 = new Set(tensorTable(config).flatMap(({ name, f32 }) => (f32 ? [name] : [])));
  return (tensor) => (alwaysF32.has(tensor.name) ? "f32" : heldAs(tensor, dtype ?? usableType(tensor)));
}

/** The default storage dtype of a tensor: its file's, or the closest one for dtypes that only files have. */
function usableType({ dtype }: StoredTensor): WeightType {
  if (isWeightType(dtype)) return dtype;
  return dtype === "f64" ? "f32" : "q8_0";
}

/** Tensors start on a cache line. */
const LINE = 64;
/** Bytes allocated at a time, unless one tensor takes more: arrays in Node 20 have at most 4 GiB. */
const BLOCK_BYTES = 2 ** 30;

/** Allocates memory for the tensors in a few large blocks, which get huge pages. */
function allocate(backend: Backend, tensors: readonly (readonly [StoredTensor, WeightType])[]): Placed[] {
  return [...new Set(tensors.map(([, type]) => type))].flatMap((type) => {
    const ofType = tensors.filter((entry) => entry[1] === type).map(([tensor]) => tensor);
    return blocksOf(ofType, type).flatMap((block) => {
      const sizes = block.map(({ shape }) => paddedSize(type, numel(shape)));
      const memory = backend.alloc(
        type,
        sizes.reduce((sum, size) => sum + size, 0),
      );
      let start = 0;
      return block.map((tensor, i): Placed => {
        const array = memory.slice(start, numel(tensor.shape));
        start += sizes[i]!;
        return { tensor, array, inPlace: false };
      });
    });
  });
}

/** Groups the tensors, in order, so that each group fits a block. */
function blocksOf(tensors: readonly StoredTensor[], type: WeightType): StoredTensor[][] {
  const blocks: StoredTensor[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = byteLength(type, paddedSize(type, numel(tensor.shape)));
    if (bytes > room) {
      blocks.push([]);
      room = BLOCK_BYTES;
    }
    blocks.at(-1)!.push(tensor);
    room -= bytes;
  }
  return blocks;
}

/** A number of elements that ends on a cache line: as many blocks as a line has bytes. */
function paddedSize(type: WeightType, size: number): number {
  const { block, bytes } = DTYPES[type];
  const multiple = block > 1 ? block * LINE : LINE / bytes;
  return Math.ceil(size / multiple) * multiple;
}
