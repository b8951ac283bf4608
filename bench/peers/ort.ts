/** onnxruntime-node as a contender (bench/protocol.ts) on the graph that python/make_onnx.py writes. */
import type { GenerateResult, GenerateTask, Setup } from "../protocol.js";
import { serve } from "../worker.js";
import { argmax } from "./argmax.js";
import { importPeer, peerVersion } from "./import-peer.js";
import { int64Row, type OnnxRuntime, type Session, type Tensor } from "./ort-api.js";

await serve(async (setup) => {
  const ort = (await importPeer("onnxruntime-node")) as OnnxRuntime;
  const session = await ort.InferenceSession.create(setup.file!, {
    executionProviders: ["cpu"],
    intraOpNumThreads: setup.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  const { nCtx, nEmbd, nLayer } = setup.config;
  return {
    description: `${peerVersion("onnxruntime-node")}, graph of fused operators`,
    cacheBytes: 4 * 2 * nCtx * nEmbd * nLayer,
    generate: generator(ort, session, setup),
  };
});

/** Keys and values stay in buffers that the graph writes to. */
function generator(ort: OnnxRuntime, session: Session, { config }: Setup) {
  const { nLayer, nHead, nEmbd, nCtx, vocabSize } = config;
  const { Tensor } = ort;
  const logits = new Tensor("float32", new Float32Array(vocabSize), [1, 1, vocabSize]);
  const past: Record<string, Tensor> = {};
  const fetches: Record<string, Tensor> = { logits };
  for (let layer = 0; layer < nLayer; layer++) {
    for (const kind of ["key", "value"]) {
      const cache = new Tensor("float32", new Float32Array(nCtx * nEmbd), [1, nHead, nCtx, nEmbd / nHead]);
      past[`past.${layer}.${kind}`] = fetches[`present.${layer}.${kind}`] = cache;
    }
  }
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
        input_ids: int64Row(ort, tokens),
        position_ids: int64Row(
          ort,
          tokens.map((_, n) => first + n),
        ),
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
