import type { Backend } from "../backend/backend.js";
import { chooseBackend } from "../backend/choose.js";
import { type ByteSource, memorySource } from "../checkpoint/byte-source.js";
import { readJsonSource, readShardIndex } from "../checkpoint/safetensors-index.js";
import type { WeightType } from "../dtype/dtype.js";
import { CheckpointError } from "../errors.js";
import { fetchBytes } from "../hub/fetch-bytes.js";
import { parseModelName } from "../hub/model-name.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { readTokenizerFolder } from "../tokenizer/tokenizer-folder.js";
import type { Checkpoint } from "./checkpoint.js";
import { defaultTokenizer, fitTokenizer } from "./default-tokenizer.js";
import { loadGguf } from "./formats/gguf/load.js";
import { loadHuggingFace, loadLlmc } from "./formats/huggingface.js";
import { loadTorch } from "./formats/torch.js";
import { readSampling } from "./generation-config.js";
import { IDENTIFY_BYTES, identifyFile } from "./identify.js";
import { loadHead } from "./loaded-head.js";
import type { ModelParts } from "./model-parts.js";
import { configFromHuggingFace } from "./names/state-dict.js";
import { samplingOf } from "./sampling-of.js";
import { loadWeights } from "./weights.js";

export interface FetchModelOptions {
  /** What the model runs on; by default what {@link chooseBackend} chooses: in a page WebAssembly. */
  readonly backend?: Backend | undefined;
  /** What the weight matrices are held in; by default in what the file holds them in. */
  readonly dtype?: WeightType | undefined;
  /** Instead of the one that lies beside the model. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Of the Hugging Face hub; default https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** For models of the hub that are not public. Sent to the endpoint only. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of a file have arrived, of how many if the server says. */
  readonly onProgress?: ((file: string, received: number, total: number | undefined) => void) | undefined;
}

/** In the order of preference. */
const WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

/** What {@link GPT2.fetch} does, for its name and options. */
export async function fetchModelParts(name: string, options: FetchModelOptions = {}): Promise<ModelParts> {
  const { dtype, signal } = options;
  const { backend, fallback } = options.backend ? { backend: options.backend } : await chooseBackend();
  const folder = new RemoteFolder(placeOf(name, options), options);
  const checkpoint = await openRemote(folder, name);
  try {
    const generation = await folder.find(beside(folder.place.file, "generation_config.json"));
    const found = options.tokenizer ?? (await tokenizerOf(folder, checkpoint));
    const tokenizer = found && (await fitTokenizer(name, checkpoint.config.vocabSize, found));
    const weights = await loadWeights(backend, checkpoint.config, checkpoint.tensors.values(), { dtype, signal });
    const endOfText = tokenizer ? tokenizer.endOfText : checkpoint.eosTokenId;
    const { config, head } = checkpoint;
    const sampling = samplingOf({ ...checkpoint, ...(generation && readSampling(generation)) });
    return { backend, fallback, config, weights, tokenizer, endOfText, sampling, head: head && loadHead(head) };
  } finally {
    checkpoint.close();
  }
}

/** Where a model's files are: a folder's address, and one file of it if the name is a file's. */
interface Place {
  readonly base: URL;
  readonly file: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws {CheckpointError} no name of a model. */
function placeOf(name: string, { endpoint = "https://huggingface.co", token }: FetchModelOptions): Place {
  const parsed = /^\.{0,2}\//.test(name) ? undefined : parseModelName(name, endpoint);
  if (parsed?.kind === "hub") {
    const { id, revision, file } = parsed;
    const base = new URL(`${endpoint.replace(/\/+$/, "")}/${id}/resolve/${encodeURIComponent(revision)}/`);
    return { base, file, headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } };
  }
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (parsed === undefined && (page === undefined || !URL.canParse(name, page))) {
    const expected = "the address of a file, of a folder (ending in /), gpt2, or owner/name of the hub";
    throw new CheckpointError({ op: "fetching a model", expected, got: JSON.stringify(name) });
  }
  const url = parsed?.url ?? new URL(name, page);
  const file = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
  return { base: url, file: file === "" ? undefined : file, headers: {} };
}

/** Files of one folder of a server, in memory once asked for. */
class RemoteFolder {
  readonly place: Place;
  readonly #options: FetchModelOptions;

  constructor(place: Place, options: FetchModelOptions) {
    this.place = place;
    this.#options = options;
  }

  /** Undefined if it is not there. */
  async find(name: string): Promise<ByteSource | undefined> {
    const { base, file, headers } = this.place;
    const { signal, onProgress } = this.#options;
    // An address may have a query, which belongs to its file alone.
    const url = name === file && base.pathname.endsWith(`/${file}`) ? base : new URL(encodePath(name), base);
    const bytes = await fetchBytes(url, {
      headers,
      signal,
      onProgress: onProgress && ((...n) => onProgress(name, ...n)),
    });
    return bytes && memorySource(name, bytes);
  }

  /** @throws {CheckpointError} it is not there. */
  async get(name: string): Promise<ByteSource> {
    const source = await this.find(name);
    if (source !== undefined) return source;
    throw new CheckpointError({
      op: `fetching ${this.place.base.href}`,
      expected: `a file ${name}`,
      got: "none (404)",
    });
  }

  async text(name: string): Promise<string | undefined> {
    const source = await this.find(name);
    return source && new TextDecoder().decode(source.bytes(0, source.size));
  }
}

const encodePath = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

async function openRemote(folder: RemoteFolder, path: string): Promise<Checkpoint> {
  const { file } = folder.place;
  if (file !== undefined && !/\.(safetensors|index\.json)$|^pytorch_model.*\.bin$/.test(file)) {
    return openByContent(await folder.get(file), path, undefined);
  }
  const config = await folder.get(beside(file, "config.json"));
  // Told before the weights come.
  configFromHuggingFace(readJsonSource(config), config.name);
  for (const name of file === undefined ? WEIGHTS : [file]) {
    const weights = await folder.find(name);
    if (weights === undefined) continue;
    if (!name.endsWith(".index.json")) return openByContent(weights, path, config);
    const shards = new Map<string, ByteSource>();
    for (const shard of new Set(readShardIndex(weights, "safetensors").values())) {
      shards.set(shard, await folder.get(beside(name, shard)));
    }
    return loadHuggingFace({ path, config, weights, openShard: (shard) => shards.get(shard)! });
  }
  throw new CheckpointError({ op: `fetching ${path}`, expected: (file ? [file] : WEIGHTS).join(" or "), got: "none" });
}

function beside(file: string | undefined, name: string): string {
  return (file ?? "").slice(0, (file ?? "").lastIndexOf("/") + 1) + name;
}

function openByContent(weights: ByteSource, path: string, config: ByteSource | undefined): Checkpoint {
  const { kind, description } = identifyFile(weights.bytes(0, Math.min(IDENTIFY_BYTES, weights.size)), weights.name);
  if (kind === "gguf") return loadGguf(weights);
  if (kind === "llm.c") return loadLlmc(weights);
  if (kind === "pytorch") return loadTorch({ path, weights, config });
  if (kind === "safetensors" && config) return loadHuggingFace({ path, config, weights });
  const expected = "a .safetensors, .gguf, llm.c .bin or PyTorch file";
  throw new CheckpointError({ op: `fetching ${path}: ${weights.name}`, expected, got: description });
}

/** In the file, beside it, or GPT-2's if it has as many tokens as the model. */
async function tokenizerOf(folder: RemoteFolder, checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  const own = await checkpoint.loadTokenizer?.();
  if (own !== undefined || checkpoint.format === "gguf") return own ?? defaultTokenizer(checkpoint.config);
  const { file } = folder.place;
  const vocabulary = await readTokenizerFolder(async (name) => {
    const text = await folder.text(beside(file, name));
    return text === undefined ? undefined : { name: beside(file, name), text };
  });
  return vocabulary ? new Tokenizer(vocabulary) : defaultTokenizer(checkpoint.config);
}
