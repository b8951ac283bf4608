/**
 * @huggingface/transformers, the JavaScript library, on onnxruntime-node as a contender (bench/protocol.ts), with the
 * folder that python/make_onnx.py --growing writes.
 */
import { basename, dirname } from "node:path";
import type { GenerateResult, GenerateTask, Setup } from "../protocol.js";
import { serve } from "../worker.js";
import { peerRequire, peerVersion } from "./import-peer.js";

/** The part of it used here: it is installed in bench/peers only, so its own types may be missing. */
interface TransformersJs {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly AutoModelForCausalLM: {
    from_pretrained(name: string, options: { dtype: "fp32" | "q8" | "q4"; session_options: object }): Promise<Model>;
  };
  readonly Tensor: new (type: "int64", data: BigInt64Array, dims: readonly number[]) => object;
}
interface Model {
  generate(options: {
    inputs: object;
    attention_mask: object;
    max_new_tokens: number;
    do_sample: false;
    /** Gets the prompt first, then each token. */
    streamer: { put(ids: bigint[][]): void; end(): void };
  }): Promise<unknown>;
}

const DTYPES = { f32: "fp32", q8_0: "q8", q4_0: "q4" } as const;

await serve(async (setup) => {
  const library = peerRequire("@huggingface/transformers") as TransformersJs;
  library.env.allowRemoteModels = false;
  library.env.localModelPath = `${dirname(setup.file!)}/`;
  const model = await load(library, setup);
  const description = `${peerVersion("@huggingface/transformers")} on onnxruntime-node`;
  return { description, generate: (task) => generate(library, model, task) };
});

async function load({ AutoModelForCausalLM }: TransformersJs, { file, type, threads }: Setup): Promise<Model> {
  const session_options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
  const dtype = DTYPES[type as keyof typeof DTYPES];
  return AutoModelForCausalLM.from_pretrained(basename(file!), { dtype, session_options });
}

async function generate(
  { Tensor }: TransformersJs,
  model: Model,
  { prompt, count }: GenerateTask,
): Promise<GenerateResult> {
  const row = (values: readonly number[]) =>
    new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  const ids: number[] = [];
  const seconds: number[] = [];
  let last = performance.now();
  let promptSeen = false;
  await model.generate({
    inputs: row(prompt),
    attention_mask: row(prompt.map(() => 1)),
    max_new_tokens: count + 1,
    do_sample: false,
    streamer: {
      put: ([tokens]) => {
        if (promptSeen) {
          const now = performance.now();
          seconds.push((now - last) / 1000);
          last = now;
          ids.push(Number(tokens![0]!));
        }
        promptSeen = true;
      },
      end: () => {},
    },
  });
  return { ids, seconds };
}
