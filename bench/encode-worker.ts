/** A contender of bench/encode.ts: for each line on standard input it runs its batch, and prints the time and its first vector. */
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Encoder } from "../src/generate/encoder.js";
import { loadBertModel } from "../src/pretrained/load-bert.js";
import type { Precision } from "../src/program/precision.js";
import { importPeer, peerRequire } from "./peers/import-peer.js";
import type { OnnxRuntime, Tensor } from "./peers/ort-api.js";

export interface EncodeSetup {
  /** A Hugging Face folder, and the same model in the peers' format. */
  readonly folder: string;
  readonly onnx: string;
  readonly type: "f32" | "q8_0";
  /** Precision of this package's products; its default unless given. */
  readonly compute?: Precision;
  readonly threads: number;
  /** Token ids of texts of equal length. */
  readonly ids: readonly (readonly number[])[];
}

export interface EncodeAnswer {
  readonly seconds: number;
  /** The mean of the hidden states of the first text. */
  readonly vector: number[];
}

type Encode = () => Promise<ArrayLike<number>>;

const ENCODERS: Readonly<Record<string, (setup: EncodeSetup) => Promise<Encode>>> = {
  "gpt2-ts": async ({ folder, type, compute, threads, ids }) => {
    const parts = await loadBertModel(folder, { dtype: type, threads });
    const encoder = new Encoder(parts.backend, parts.config, parts.weights, { compute });
    const texts = ids.map((tokens) => ({ tokens, extra: { tokenTypes: new Uint8Array(tokens.length) } }));
    return async () => (await encoder.encode(texts, { pooling: "mean" }))[0]!;
  },

  "onnxruntime-node": async ({ onnx, type, threads, ids }) => {
    const ort = (await importPeer("onnxruntime-node")) as OnnxRuntime;
    const session = await ort.InferenceSession.create(join(onnx, "onnx", fileOf(type)), {
      executionProviders: ["cpu"],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: "all",
    });
    const columns = inputs(ids, (data, dims) => new ort.Tensor("int64", data, dims));
    return async () => {
      const { last_hidden_state } = await session.run(columns);
      return meanOfFirst((last_hidden_state as Tensor & { data: Float32Array }).data, ids);
    };
  },

  "transformers.js": async ({ onnx, type, threads, ids }) => {
    const library = peerRequire("@huggingface/transformers") as TransformersJs;
    library.env.allowRemoteModels = false;
    library.env.localModelPath = `${dirname(onnx)}/`;
    const model = await library.AutoModel.from_pretrained(basename(onnx), {
      dtype: type === "f32" ? "fp32" : "q8",
      session_options: { intraOpNumThreads: threads, interOpNumThreads: 1 },
    });
    const columns = inputs(ids, (data, dims) => new library.Tensor("int64", data, dims));
    return async () => {
      const { last_hidden_state } = await model(columns);
      return meanOfFirst(last_hidden_state.data, ids);
    };
  },
};

/** The part of its interface used here: it is installed in bench/peers only, so its own types may be missing. */
interface TransformersJs {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly Tensor: new (type: "int64", data: BigInt64Array, dims: readonly number[]) => object;
  readonly AutoModel: {
    from_pretrained(
      name: string,
      options: object,
    ): Promise<(inputs: object) => Promise<{ last_hidden_state: { data: ArrayLike<number> } }>>;
  };
}

const fileOf = (type: EncodeSetup["type"]): string => (type === "f32" ? "model.onnx" : "model_quantized.onnx");

function inputs<T>(
  ids: EncodeSetup["ids"],
  tensor: (data: BigInt64Array, dims: readonly number[]) => T,
): Readonly<Record<string, T>> {
  const dims = [ids.length, ids[0]!.length];
  const column = (value: (id: number) => number) =>
    tensor(
      BigInt64Array.from(ids.flat(), (id) => BigInt(value(id))),
      dims,
    );
  return { input_ids: column((id) => id), attention_mask: column(() => 1), token_type_ids: column(() => 0) };
}

/** The other contenders return all hidden states; averaging them costs next to nothing. */
function meanOfFirst(hidden: ArrayLike<number>, ids: EncodeSetup["ids"]): number[] {
  const [B, T] = [ids.length, ids[0]!.length];
  const C = hidden.length / (B * T);
  const sums = new Array<number>(C).fill(0);
  for (let i = 0; i < T * C; i++) sums[i % C]! += hidden[i]! / T;
  return sums;
}

if (process.argv[2] !== undefined) {
  const encode = await ENCODERS[process.argv[2]]!(JSON.parse(process.argv[3]!) as EncodeSetup);
  for await (const _ of createInterface({ input: process.stdin })) {
    const start = performance.now();
    const vector = await encode();
    const answer: EncodeAnswer = { seconds: (performance.now() - start) / 1000, vector: Array.from(vector) };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
