import { CheckpointError } from "../errors.js";
import { quote } from "../util/quote.js";
import { PickleGlobal, PickleRecord } from "./pickle-machine.js";
import type { SafetensorsDtype } from "./safetensors.js";

/**
 * The names that a pickle of torch.save may contain, and their values: tensors and the plain values around them
 * (torch/_utils.py, torch/serialization.py). All other names are refused.
 */

/** The values of tensors: an entry of the archive, or a range of an old file. */
export class TorchStorage {
  readonly key: string;
  readonly dtype: SafetensorsDtype;
  /** Number of elements of `dtype`. */
  readonly count: number;

  constructor(key: string, dtype: SafetensorsDtype, count: number) {
    this.key = key;
    this.dtype = dtype;
    this.count = count;
  }
}

/** A view of a storage. Offset and strides are in elements; they may still lead out of the storage. */
export class TorchTensor {
  readonly storage: TorchStorage;
  readonly dtype: SafetensorsDtype;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: TorchStorage,
    dtype: SafetensorsDtype,
    view: { offset: number; shape: readonly number[]; strides: readonly number[] },
  ) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = view.offset;
    this.shape = view.shape;
    this.strides = view.strides;
  }
}

const STORAGES: Readonly<Record<string, SafetensorsDtype>> = {
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.DoubleStorage": "F64",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
  "torch.ComplexFloatStorage": "C64",
  "torch.storage.UntypedStorage": "U8",
};

const DTYPES: Readonly<Record<string, SafetensorsDtype>> = {
  "torch.float32": "F32",
  "torch.float16": "F16",
  "torch.bfloat16": "BF16",
  "torch.float64": "F64",
  "torch.int64": "I64",
  "torch.int32": "I32",
  "torch.int16": "I16",
  "torch.int8": "I8",
  "torch.uint64": "U64",
  "torch.uint32": "U32",
  "torch.uint16": "U16",
  "torch.uint8": "U8",
  "torch.bool": "BOOL",
  "torch.float8_e4m3fn": "F8_E4M3",
  "torch.float8_e5m2": "F8_E5M2",
};

/** Names that a program may have in its files besides those of tensors. */
export interface TorchNames {
  /** Classes whose objects have only fields, such as settings. They become a {@link PickleRecord}. */
  readonly records?: RegExp;
}

/** @param file for errors. */
export function torchNames(file: string, { records }: TorchNames = {}): (name: string) => PickleGlobal | undefined {
  const calls: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
    "collections.OrderedDict": (args) => orderedDict(args),
    "torch._utils._rebuild_tensor_v2": (args) => rebuildTensor(file, args),
    "torch._utils._rebuild_tensor_v3": (args) => rebuildTensor(file, args),
    "torch._utils._rebuild_parameter": (args) => args[0],
    "torch._utils._rebuild_parameter_with_state": (args) => args[0],
    "torch.Size": (args) => args[0],
    "torch.device": (args) => args[0],
    "builtins.set": (args) => new Set(Array.isArray(args[0]) ? args[0] : []),
    "__builtin__.set": (args) => new Set(Array.isArray(args[0]) ? args[0] : []),
  };
  return (name) => {
    if (Object.hasOwn(calls, name)) return new PickleGlobal(name, calls[name]);
    if (Object.hasOwn(STORAGES, name) || Object.hasOwn(DTYPES, name)) return new PickleGlobal(name);
    return records?.test(name) ? new PickleGlobal(name, () => new PickleRecord()) : undefined;
  };
}

/** An OrderedDict; from Python 2 its items are the argument, otherwise they follow. */
function orderedDict([items]: readonly unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  if (Array.isArray(items)) for (const item of items) if (Array.isArray(item)) map.set(item[0], item[1]);
  return map;
}

/** A pickle's reference to a storage: ("storage", type, key, device, elements), and in old files a view of it. */
export function torchStorage(file: string, id: unknown): TorchStorage {
  const [kind, type, key, , count, view] = Array.isArray(id) ? id : [];
  const dtype = type instanceof PickleGlobal ? STORAGES[type.name] : undefined;
  if (kind !== "storage" || dtype === undefined || typeof key !== "string" || !isSize(count)) {
    throw torchError(file, "a reference to a storage of numbers", quote(id));
  }
  // Before 2017 (PyTorch 0.1) a storage could be part of another.
  if (view !== undefined && view !== null) throw torchError(file, "a whole storage", "part of a storage");
  return new TorchStorage(key, dtype, count);
}

function rebuildTensor(file: string, args: readonly unknown[]): TorchTensor {
  const [storage, offset, shape, strides, , , type] = args;
  if (!(storage instanceof TorchStorage)) throw torchError(file, "a tensor with a storage", quote(storage));
  if (!(isSize(offset) && isSizes(shape) && isSizes(strides) && shape.length === strides.length)) {
    const got = `offset ${quote(offset)}, shape ${quote(shape)}, strides ${quote(strides)}`;
    throw torchError(file, "a tensor's offset, shape and as many strides", got);
  }
  const dtype = type instanceof PickleGlobal ? DTYPES[type.name] : storage.dtype;
  if (dtype === undefined) throw torchError(file, "a tensor of numbers", quote((type as PickleGlobal).name));
  return new TorchTensor(storage, dtype, { offset, shape, strides });
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(isSize);
}

export function torchError(file: string, expected: string, got: string, hint?: string): CheckpointError {
  return new CheckpointError({ op: `reading ${file}`, expected, got, ...(hint !== undefined && { hint }) });
}
