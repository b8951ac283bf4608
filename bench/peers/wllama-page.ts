/** The program that runs in the browser for wllama.ts: it loads the model, then does the server's tasks one by one. */
import type { GenerateResult, GenerateTask } from "../protocol.js";

export interface PageAnswer {
  readonly value?: unknown;
  readonly error?: string;
}

/** The part of wllama used here. */
interface Wllama {
  loadModel(
    model: Blob[],
    options: { n_threads: number; n_ctx: number; n_batch: number; n_gpu_layers: 0; n_parallel: 1; warmup: false },
  ): Promise<void>;
  getNumThreads(): number;
  createCompletion(options: CompletionOptions): Promise<void>;
}
/** The parameters of llama.cpp's server, on which it is based. */
interface CompletionOptions {
  readonly prompt: string;
  readonly max_tokens: number;
  readonly temperature: 0;
  readonly top_k: 1;
  readonly cache_prompt: false;
  readonly ignore_eos: true;
  readonly stream: true;
  onData(chunk: { readonly choices: readonly [{ readonly text: string }] }): void;
}

type Logger = Readonly<Record<"debug" | "log" | "warn" | "error", (...words: unknown[]) => void>>;

/** Its last complaint, because its exceptions say little. */
let complaint = "";
const logger: Logger = {
  debug: () => {},
  log: () => {},
  warn: () => {},
  error: (...words) => {
    complaint = words.join(" ");
  },
};

const query = new URLSearchParams(location.search);

async function load(): Promise<Wllama> {
  const { Wllama } = (await import(/* the server's */ `${location.origin}/index.js`)) as {
    Wllama: new (paths: { default: string }, options: { logger: Logger }) => Wllama;
  };
  const wllama = new Wllama({ default: `${location.origin}/wasm/wllama.wasm` }, { logger });
  const model = await (await fetch("/model.gguf")).blob();
  const context = Number(query.get("context"));
  await wllama.loadModel([model], {
    n_threads: Number(query.get("threads")),
    n_ctx: context,
    n_batch: context,
    n_gpu_layers: 0,
    n_parallel: 1,
    warmup: false,
  });
  return wllama;
}

/** Its input and output are text, in which token i is <i>: python/make_gguf.py --numbers. */
async function generate(wllama: Wllama, { prompt, count }: GenerateTask): Promise<GenerateResult> {
  const ids: number[] = [];
  const seconds: number[] = [];
  let last = performance.now();
  await wllama.createCompletion({
    prompt: prompt.map((id) => `<${id}>`).join(""),
    max_tokens: count + 1,
    temperature: 0,
    top_k: 1,
    cache_prompt: false,
    ignore_eos: true,
    stream: true,
    onData: ({ choices: [{ text }] }) => {
      const found = Array.from(text.matchAll(/<(\d+)>/g), ([, id]) => Number(id));
      if (found.length === 0) return;
      const now = performance.now();
      for (const id of found) {
        ids.push(id);
        seconds.push((now - last) / 1000 / found.length);
      }
      last = now;
    },
  });
  if (ids.length !== count + 1) throw new Error(`${ids.length} tokens instead of ${count + 1}`);
  return { ids, seconds };
}

const post = (answer: PageAnswer) => fetch("/", { method: "POST", body: JSON.stringify(answer) });

try {
  const wllama = await load();
  const browser = /Chrome\/(\d+)/.exec(navigator.userAgent)?.[1] ?? "";
  await post({ value: { browser: `Chromium ${browser}`, threads: wllama.getNumThreads() } });
  for (;;) {
    const task = (await (await fetch("/task")).json()) as GenerateTask;
    await post({ value: await generate(wllama, task) });
  }
} catch (error) {
  await post({ error: `${error instanceof Error ? error.message : error}; ${complaint}` });
}
