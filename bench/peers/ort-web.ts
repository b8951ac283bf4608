/**
 * onnxruntime-web's WebAssembly in Node as a contender (bench/protocol.ts), on the graph that python/make_onnx.py writes
 * for transformers.js: its memory cannot be shared, so keys and values are copied in and out, and should be no larger
 * than needed.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { GenerateResult, GenerateTask, Setup } from "../protocol.js";
import { serve, threadCount } from "../worker.js";
import { argmax } from "./argmax.js";
import { importPeer, peerVersion } from "./import-peer.js";
import { int64Row, type OnnxRuntime, type Session, type Tensor } from "./ort-api.js";

const FILES: Readonly<Record<string, string>> = { f32: "model.onnx", q8_0: "model_quantized.onnx" };

await serve(async (setup) => {
  const ort = (await importPeer("onnxruntime-web")) as OnnxRuntime;
  ort.env.wasm.numThreads = setup.threads;
  const model = new Uint8Array(readFileSync(join(setup.file!, "onnx", FILES[setup.type]!)));
  const session = await ort.InferenceSession.create(model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: "all",
  });
  const description = `${peerVersion("onnxruntime-web")} in Node, ${threadCount(setup.threads)}, graph of fused operators`;
  return { description, generate: (task) => generate(ort, session, setup, task) };
});

async function generate(
  ort: OnnxRuntime,
  session: Session,
  { config }: Setup,
  { prompt, count }: GenerateTask,
): Promise<GenerateResult> {
  const { nLayer, nHead, nEmbd } = config;
  let caches: Record<string, Tensor> = {};
  for (let layer = 0; layer < nLayer; layer++) {
    for (const kind of ["key", "value"]) {
      const none = new ort.Tensor("float32", new Float32Array(0), [1, nHead, 0, nEmbd / nHead]);
      caches[`past_key_values.${layer}.${kind}`] = none;
    }
  }
  const ids: number[] = [];
  const seconds: number[] = [];
  let [tokens, length] = [prompt, 0];
  for (let i = 0; i <= count; i++) {
    const start = performance.now();
    const positions = tokens.map((_, n) => length + n);
    length += tokens.length;
    const { logits, ...present } = await session.run({
      input_ids: int64Row(ort, tokens),
      position_ids: int64Row(ort, positions),
      attention_mask: int64Row(ort, new Array<number>(length).fill(1)),
      ...caches,
    });
    const entries = Object.entries(present).map(([name, cache]) => [name.replace("present", "past_key_values"), cache]);
    caches = Object.fromEntries(entries) as Record<string, Tensor>;
    const id = argmax(logits!.data as Float32Array);
    seconds.push((performance.now() - start) / 1000);
    ids.push(id);
    tokens = [id];
  }
  return { ids, seconds };
}
