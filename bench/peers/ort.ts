/** onnxruntime-node as a contender (bench/protocol.ts) on the graph that python/make_onnx.py writes. */
import type { GenerateResult, GenerateTask, Setup } from "../protocol.js";
import { serve } from "../worker.js";
import { importPeer, peerVersion } from "./import-peer.js";

/** The part of onnxruntime-node used here: it is installed in bench/peers only, so its own types may be missing. */
interface OnnxRuntime {
  readonly InferenceSession: { create(path: string, options: SessionOptions): Promise<Session> };
  readonly Tensor: new (
    type: "float32" | "int32" | "int64",
    data: Float32Array | Int32Array | BigInt64Array,
    dims: readonly number[],
  ) => Tensor;
}
interface SessionOptions {
  readonly executionProviders: readonly ["cpu"];
  readonly intraOpNumThreads: number;
  readonly interOpNumThreads: 1;
  readonly graphOptimizationLevel: "all";
}
interface Tensor {
  readonly data: Float32Array | Int32Array | BigInt64Array;
}
interface Session {
  /** Results are written into the tensors given. */
  run(feeds: Readonly<Record<string, Tensor>>, fetches: Readonly<Record<string, Tensor>>): Promise<unknown>;
}

await serve(async (setup) => {
  const ort = (await importPeer("onnxruntime-node")) as OnnxRuntime;
  const session = await ort.InferenceSession.create(setup.file!, {
    executionProviders: ["cpu"],
    intraOpNumThreads: setup.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  const generate = generator(ort, session, setup);
  return { description: `${peerVersion("onnxruntime-node")}, graph of fused operators`, generate };
});

function generator({ Tensor }: OnnxRuntime, session: Session, { config }: Setup) {
  const { nLayer, nHead, nEmbd, nCtx, vocabSize } = config;
  const logits = new Tensor("float32", new Float32Array(vocabSize), [1, 1, vocabSize]);
  const past: Record<string, Tensor> = {};
  const fetches: Record<string, Tensor> = { logits };
  for (let layer = 0; layer < nLayer; layer++) {
    for (const kind of ["key", "value"]) {
      const cache = new Tensor("float32", new Float32Array(nCtx * nEmbd), [1, nHead, nCtx, nEmbd / nHead]);
      past[`past.${layer}.${kind}`] = fetches[`present.${layer}.${kind}`] = cache;
    }
  }
  const int64 = (values: readonly number[]) =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const int32 = (value: number) => new Tensor("int32", Int32Array.of(value), [1]);

  return async ({ prompt, count }: GenerateTask): Promise<GenerateResult> => {
    const ids: number[] = [];
    const seconds: number[] = [];
    let [tokens, length] = [prompt, 0];
    for (let i = 0; i <= count; i++) {
      const start = performance.now();
      const first = length;
      length += tokens.length;
      const feeds = {
        input_ids: int64(tokens),
        position_ids: int64(tokens.map((_, n) => first + n)),
        seqlens_k: int32(length - 1),
        total_sequence_length: int32(length),
        ...past,
      };
      await session.run(feeds, fetches);
      const id = argmax(logits.data as Float32Array);
      seconds.push((performance.now() - start) / 1000);
      ids.push(id);
      tokens = [id];
    }
    return { ids, seconds };
  };
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
