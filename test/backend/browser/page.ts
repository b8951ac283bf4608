/**
 * The browser's part of the test: runs a small GPT-2 on the backend chosen by default and on the reference, posts the
 * results to the server, and continues to the page that the server names.
 */
import type { Backend, DeviceArray, WasmOptions } from "../../../src/entries/backend.js";
import { chooseBackend, referenceBackend, wasmBackend } from "../../../src/entries/backend.js";
import { initialTensors } from "../../../src/entries/checkpoint.browser.js";
import { GPT2, type GPT2Config, gpt2Config } from "../../../src/index.js";

export interface BrowserResult {
  readonly crossOriginIsolated: boolean;
  /** Descriptions of the backends that ran, the one chosen first. */
  readonly backends: readonly string[];
  /** The largest difference of a logit from the reference's, by backend, and the largest logit. */
  readonly differences: readonly number[];
  readonly largestLogit: number;
  /** Tokens that each backend and then the reference generated greedily. */
  readonly generated: readonly (readonly number[])[];
  /** Turns of the event loop during the long run of the chosen backend. */
  readonly turns: number;
  readonly error?: string;
}

const CONFIG = gpt2Config({ vocabSize: 211, nCtx: 96, nEmbd: 72, nHead: 3, nLayer: 2 });
/** Long enough to notice a blocked page. */
const LONG = gpt2Config({ vocabSize: 500, nCtx: 256, nEmbd: 384, nHead: 6, nLayer: 6 });
const IDS = Array.from({ length: 50 }, (_, i) => (i * 37) % 211);

function model(backend: Backend, config: GPT2Config): GPT2 {
  const weights = new Map<string, DeviceArray>();
  for (const [name, values] of initialTensors(config, { seed: 1, positionStd: 0.2 })) {
    const array = backend.alloc("f32", values.length);
    array.write(values.map((x) => 4 * x));
    weights.set(name, array);
  }
  return new GPT2({ backend, config, weights });
}

async function outputs(backend: Backend): Promise<{ logits: ArrayLike<number>; tokens: readonly number[] }> {
  const small = model(backend, CONFIG);
  const logits = await small.logits(IDS);
  const { tokens } = await small.complete(IDS, { maxNewTokens: 20, temperature: 0 });
  return { logits, tokens };
}

async function turnsWhileRunning(backend: Backend): Promise<number> {
  const long = model(backend, LONG);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  for (let i = 0; i < 3; i++) await long.logits(Array.from({ length: 250 }, (_, i) => i));
  clearInterval(timer);
  return turns;
}

async function run(others: readonly WasmOptions[]): Promise<BrowserResult> {
  const chosen = (await chooseBackend()).backend;
  const backends = [chosen];
  for (const options of others) backends.push(await wasmBackend(options));
  const want = await outputs(await referenceBackend());
  const differences: number[] = [];
  const generated: (readonly number[])[] = [];
  for (const backend of backends) {
    const { logits, tokens } = await outputs(backend);
    differences.push(Math.max(...Array.from(logits, (x, i) => Math.abs(x - want.logits[i]!))));
    generated.push(tokens);
  }
  return {
    crossOriginIsolated: globalThis.crossOriginIsolated,
    backends: backends.map(({ description }) => description),
    differences,
    largestLogit: Math.max(...Array.from(want.logits, Math.abs)),
    generated: [...generated, want.tokens],
    turns: await turnsWhileRunning(chosen),
  };
}

const query = new URLSearchParams(location.search);
let result: Partial<BrowserResult>;
try {
  result = await run(JSON.parse(query.get("others")!) as WasmOptions[]);
} catch (error) {
  result = { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
const next = await fetch("/result", { method: "POST", body: JSON.stringify(result) });
location.href = await next.text();
