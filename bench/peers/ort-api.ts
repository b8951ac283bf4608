/** The part of onnxruntime-node and onnxruntime-web used here: they are installed in bench/peers only. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(model: string | Uint8Array, options: SessionOptions): Promise<Session> };
  readonly Tensor: new (
    type: "float32" | "int32" | "int64",
    data: Float32Array | Int32Array | BigInt64Array,
    dims: readonly number[],
  ) => Tensor;
  readonly env: { readonly wasm: { numThreads?: number } };
}

export interface SessionOptions {
  readonly executionProviders: readonly ["cpu" | "wasm"];
  readonly intraOpNumThreads?: number;
  readonly interOpNumThreads?: 1;
  readonly graphOptimizationLevel: "all";
}

export interface Tensor {
  readonly data: Float32Array | Int32Array | BigInt64Array;
}

export interface Session {
  /** Results are written into the tensors given as `fetches`, if any. */
  run(
    feeds: Readonly<Record<string, Tensor>>,
    fetches?: Readonly<Record<string, Tensor>>,
  ): Promise<Readonly<Record<string, Tensor>>>;
}

/** Token ids, or positions, as a tensor [1, N]. */
export function int64Row({ Tensor }: OnnxRuntime, values: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
}
