import type { Backend, DeviceArray } from "../../src/backend/backend.js";
import { DTYPES, type DType, elementsIn, hostIndex, type PackedType } from "../../src/dtype/dtype.js";
import { extentOf, isWritten } from "../../src/program/op-spec.js";
import {
  type DimArgs,
  type OpKind,
  type OpNumber,
  type ScalarArgs,
  specOf,
  type TensorArgs,
} from "../../src/program/ops.js";
import { type Dim, Recorder, type Scalar, type Tensor } from "../../src/program/program.js";
import type { Tolerance } from "./compare.js";
import { SPARE_ROWS } from "./ops/contents.js";

/** The bytes of a packed type. */
export class Packed extends Uint8Array {
  static readonly [Symbol.species] = Uint8Array;

  constructor(
    readonly dtype: PackedType,
    bytes: Uint8Array,
  ) {
    super(bytes);
  }
}

export type Contents = Float32Array | Int32Array | Packed;

function dtypeOf(contents: Contents): DType {
  if (contents instanceof Packed) return contents.dtype;
  return contents instanceof Int32Array ? "i32" : "f32";
}

const elementsOf = (contents: Contents): number => elementsIn(dtypeOf(contents), contents.length);

/** Elements of a buffer from `at` on. */
export interface Part {
  readonly buffer: string;
  readonly at: number;
}

/** One op, with the contents of its memory before it runs. A tensor is a whole buffer or a part of one. */
export interface OpCase<K extends OpKind = OpKind> {
  readonly kind: K;
  readonly name: string;
  readonly buffers: Readonly<Record<string, Contents>>;
  readonly parts: Readonly<Record<string, Part>>;
  readonly dims: Readonly<Record<string, number>>;
  readonly scalars: Readonly<Record<string, OpNumber<number>>>;
  /** A tolerance that replaces the operation's. */
  readonly tolerance?: Tolerance;
}

/** An op case, type-checked against the op's table entry. `shared` holds buffers that several tensors are parts of. */
export function opCase<K extends OpKind>(
  kind: K,
  name: string,
  tensors: TensorArgs<K, Contents | Part>,
  dims: DimArgs<K, number>,
  scalars: ScalarArgs<K, number>,
  shared: Readonly<Record<string, Contents>> = {},
): OpCase<K> {
  const buffers: Record<string, Contents> = { ...shared };
  const parts: Record<string, Part> = {};
  for (const [role, tensor] of Object.entries<Contents | Part | undefined>(tensors)) {
    if (tensor === undefined) continue;
    if (ArrayBuffer.isView(tensor)) buffers[role] = tensor;
    parts[role] = ArrayBuffer.isView(tensor) ? { buffer: role, at: 0 } : tensor;
  }
  return { kind, name, buffers, parts, dims, scalars: scalars as OpCase["scalars"] };
}

/** The layout of a case in memory; the results must be the same in all layouts. */
export interface Layout {
  readonly name: string;
  /** Elements (of packed types, blocks) in front of each buffer's contents, so that no tensor is aligned. */
  readonly shift: number;
  /** Whether sizes and numbers are given at each run, sizes below their maximum. */
  readonly perRun: boolean;
  /**
   * Number of elements, or blocks, around each buffer, including the shift; an op that changes one of them has written
   * too far.
   */
  readonly guard: number;
}

/** Nothing around the buffers: for sanitizers, which find accesses outside an allocation. */
export const BARE_LAYOUT: Layout = { name: "no guard", shift: 0, perRun: false, guard: 0 };

export const LAYOUTS: readonly Layout[] = [
  { name: "fixed sizes", shift: 0, perRun: false, guard: 19 },
  { name: "sizes per run, unaligned", shift: 3, perRun: true, guard: 22 },
];

/** The value around the buffers. */
const GUARD = 12345;
const PACKED_GUARD = 0x5a;

interface CaseArray {
  readonly memory: DeviceArray;
  readonly inner: DeviceArray;
  readonly contents: Contents;
}

/** A case prepared on a backend, with a way to restore its memory. */
export class PreparedCase {
  readonly #arrays = new Map<string, CaseArray>();
  readonly #run: () => Promise<void>;

  constructor(
    backend: Backend,
    readonly test: OpCase,
    readonly layout: Layout,
  ) {
    const { shift, perRun, guard } = layout;
    for (const [name, contents] of Object.entries(test.buffers)) {
      const dtype = dtypeOf(contents);
      const { block } = DTYPES[dtype];
      const length = elementsOf(contents);
      const memory = backend.alloc(dtype, guard * block + length);
      this.#arrays.set(name, { memory, inner: memory.slice(shift * block, length), contents });
    }
    const program = record(test, perRun);
    const bindings = Object.fromEntries([...this.#arrays].map(([name, { inner }]) => [name, inner]));
    const executable = backend.prepare(program, bindings);
    const values = perRun ? { dims: test.dims, scalars: numbersPerRun(test) } : {};
    this.#run = async () => (await executable).run(values);
  }

  /** Runs the op on the case's contents, and returns the contents of every buffer afterwards. */
  async run(): Promise<Record<string, ArrayLike<number>>> {
    for (const { memory, inner, contents } of this.#arrays.values()) {
      memory.write(new Float32Array(hostIndex(memory.dtype, memory.length)).fill(guardOf(contents)));
      inner.write(contents);
    }
    await this.#run();
    const results: Record<string, ArrayLike<number>> = {};
    for (const [name, array] of this.#arrays) results[name] = await this.#result(name, array);
    return results;
  }

  async #result(name: string, { memory, contents }: CaseArray): Promise<ArrayLike<number>> {
    const all = await memory.read();
    const start = hostIndex(memory.dtype, this.layout.shift * DTYPES[memory.dtype].block);
    const end = start + contents.length;
    for (let i = 0; i < all.length; i++) {
      if (i >= start && i < end) continue;
      if (all[i] !== guardOf(contents)) throw new Error(`${name}: element ${i - start} outside the buffer written`);
    }
    return all.subarray(start, end);
  }
}

const guardOf = (contents: Contents): number => (contents instanceof Packed ? PACKED_GUARD : GUARD);

function record(test: OpCase, perRun: boolean) {
  const k = new Recorder(test.name);
  const buffers = new Map<string, Tensor>();
  for (const [name, contents] of Object.entries(test.buffers)) {
    buffers.set(name, k.external(name, [elementsOf(contents)], dtypeOf(contents)));
  }
  const tensors = Object.entries(test.parts).map(([role, { buffer, at }]) => {
    const whole = buffers.get(buffer)!;
    return [role, { ...whole, offset: at, shape: [whole.buffer.size - at] }];
  });
  const dims = Object.entries(test.dims).map(([name, size]): [string, Dim] => [
    name,
    perRun && CHANGING.has(name) ? k.sym(name, size + SPARE_ROWS) : size,
  ]);
  const scalars = Object.entries(test.scalars).map(([name, value]): [string, OpNumber<Scalar>] => [
    name,
    perRun && typeof value === "number" ? k.scalar(name) : value,
  ]);
  k.op(
    test.kind,
    test.name,
    Object.fromEntries(tensors),
    Object.fromEntries(dims) as never,
    Object.fromEntries(scalars) as never,
  );
  return k.build();
}

const numbersPerRun = ({ scalars }: OpCase): Record<string, number> =>
  Object.fromEntries(
    Object.entries(scalars).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
  );

/** The sizes that Programs set at each run: rows. */
const CHANGING = new Set(["N", "size"]);

/** A case without spare rows in buffers of a single tensor: they end where the op's reach ends. */
export function exactCase(test: OpCase): OpCase {
  const dims = test.dims;
  const trimmed = Object.entries(test.buffers).map(([name, contents]): [string, Contents] => {
    const [role, ...others] = Object.keys(test.parts).filter((part) => test.parts[part]!.buffer === name);
    const extent = extentOf(specOf(test.kind).tensors[role!]!, dims);
    const whole = others.length > 0 || test.parts[role!]!.at > 0 || extent === 0 || contents instanceof Packed;
    return [name, whole ? contents : contents.slice(0, extent)];
  });
  return { ...test, buffers: Object.fromEntries(trimmed) };
}

/** Buffers that an op must not change. */
export function readOnlyBuffers(test: OpCase): Set<string> {
  const written = new Set<string>();
  for (const [role, tensor] of Object.entries(specOf(test.kind).tensors)) {
    const part = test.parts[role];
    if (part && isWritten(tensor)) written.add(part.buffer);
  }
  return new Set(Object.keys(test.buffers).filter((name) => !written.has(name)));
}
