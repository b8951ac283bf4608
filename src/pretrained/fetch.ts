import type { ComputeOptions } from "../architectures/decode-program.js";
import type { Backend } from "../backend/backend.js";
import type { ChosenBackend } from "../backend/choose.js";
import { memorySource } from "../checkpoint/byte-source.js";
import { readJsonSource } from "../checkpoint/strict-json.js";
import type { WeightType } from "../dtype/dtype.js";
import { CheckpointError } from "../errors.js";
import { fetchBytes } from "../hub/fetch-bytes.js";
import { parseModelName } from "../hub/model-name.js";
import { Tokenizer } from "../tokenizer/tokenizer.js";
import { readTokenizerFolder } from "../tokenizer/tokenizer-folder.js";
import { checkOptionNames } from "../util/nearest.js";
import type { Checkpoint } from "./checkpoint.js";
import { configFromHuggingFace } from "./formats/huggingface.js";
import { FORMATS } from "./formats.js";
import { openFile, openFolder } from "./identify.js";
import { type ModelFiles, memoryFiles } from "./model-files.js";
import { checkCompute, loadParts, type ModelParts, needGenerator, onBackend } from "./model-parts.js";
import { MODEL_LAYOUT } from "./needed-files.js";
import { defaultTokenizer, fitTokenizer } from "./tokenizer.js";

export interface FetchModelOptions extends ComputeOptions {
  /** Default: the choice of {@link chooseBackend}, in a page WebAssembly. */
  readonly backend?: Backend | undefined;
  /** Storage dtype of the weight matrices. Default: the file's. */
  readonly dtype?: WeightType | undefined;
  /** Replaces the tokenizer beside the model. */
  readonly tokenizer?: Tokenizer | undefined;
  /** Address of the Hugging Face hub. Default https://huggingface.co. */
  readonly endpoint?: string | undefined;
  /** Token for models that are not public. Sent to the endpoint only. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of bytes received of a file, and their total if the server sends it. */
  readonly onProgress?: ((file: string, received: number, total: number | undefined) => void) | undefined;
}

type RemoteOptions = Pick<FetchModelOptions, "endpoint" | "token" | "signal" | "onProgress">;

/** The parts of the model that {@link GPT2.fetch} loads. */
export async function fetchModelParts(name: string, options: FetchModelOptions = {}): Promise<ModelParts> {
  checkOptionNames("fetching a model", options, {
    backend: true,
    dtype: true,
    compute: true,
    kv: true,
    tokenizer: true,
    endpoint: true,
    token: true,
    signal: true,
    onProgress: true,
  });
  return onBackend(options.backend, (chosen) => fetchOn(chosen, name, options));
}

async function fetchOn(chosen: ChosenBackend, name: string, options: FetchModelOptions): Promise<ModelParts> {
  checkCompute(options);
  const { dtype, compute, kv, signal } = options;
  const { checkpoint, files } = await fetchCheckpoint(name, options, IN_A_PAGE);
  try {
    needGenerator(checkpoint);
    const given = options.tokenizer;
    const tokenizer = () => (given ? fitTokenizer(checkpoint, given) : tokenizerIn(files, checkpoint));
    return await loadParts(checkpoint, chosen, tokenizer, { dtype, compute, kv, signal });
  } finally {
    checkpoint.close();
  }
}

/**
 * A model's opened files, in memory.
 *
 * @param small names of the files beside the weights to fetch if they exist
 */
export async function fetchCheckpoint(
  name: string,
  options: RemoteOptions,
  small: ReadonlySet<string>,
): Promise<{ readonly checkpoint: Checkpoint; readonly files: ModelFiles }> {
  const remote = new RemoteFolder(placeOf(name, options), options);
  const files = await fetchFiles(remote, name, small);
  return { checkpoint: await (remote.file === undefined ? openFolder(files) : openFile(remote.file, files)), files };
}

/** All files that a model is made of, in memory; the configuration first, which says whether the others are wanted. */
async function fetchFiles(remote: RemoteFolder, path: string, wanted: ReadonlySet<string>): Promise<ModelFiles> {
  const { file } = remote;
  const found: Record<string, Uint8Array> = {};
  const take = async (name: string): Promise<Uint8Array | undefined> => {
    const bytes = await remote.find(name);
    if (bytes !== undefined) found[name] = bytes;
    return bytes;
  };
  const need = async (name: string): Promise<Uint8Array> => (await take(name)) ?? missing(remote, `a file ${name}`);
  const { config, small } = MODEL_LAYOUT.beside(file ?? WEIGHTS[0]!);
  if (config !== undefined) {
    const bytes = await (config.required ? need : take)(config.file);
    if (bytes) configFromHuggingFace(readJsonSource(memorySource(config.file, bytes)), config.file);
  }
  const main = file === undefined ? await firstOf(WEIGHTS, take) : file;
  if (main === undefined) return missing(remote, WEIGHTS.join(" or "));
  const weights = found[main] ?? (await need(main));
  if (MODEL_LAYOUT.beside(main).isIndex) {
    const shards = MODEL_LAYOUT.shardsOf(main, new TextDecoder().decode(weights));
    for (const shard of shards ?? []) await need(shard);
  }
  for (const name of small) if (wanted.has(name)) await take(name);
  return memoryFiles(path, found);
}

/** Names of weight files to look for in a folder, in order of preference. */
const WEIGHTS = FORMATS.filter(({ neededFiles }) => neededFiles?.config).flatMap(({ detect }) =>
  detect.inFolder.filter((name) => typeof name === "string"),
);

/** Files beside the weights that a page needs. */
const IN_A_PAGE = new Set([
  "tokenizer.json",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "generation_config.json",
]);

async function firstOf(
  names: readonly string[],
  take: (name: string) => Promise<unknown>,
): Promise<string | undefined> {
  for (const name of names) if ((await take(name)) !== undefined) return name;
  return undefined;
}

function missing({ base }: RemoteFolder, expected: string): never {
  throw new CheckpointError({ op: `fetching ${base.href}`, expected, got: "none (404)" });
}

/** The address of a model's folder, and the name of its file if the model's name is that of a file. */
interface Place {
  readonly base: URL;
  readonly file: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** @throws {CheckpointError} no name of a model. */
function placeOf(name: string, { endpoint = "https://huggingface.co", token }: RemoteOptions): Place {
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

/** Files in a folder of a server. */
class RemoteFolder {
  readonly base: URL;
  /** The file, if the model's name is that of a file. */
  readonly file: string | undefined;
  readonly #place: Place;
  readonly #options: RemoteOptions;

  constructor(place: Place, options: RemoteOptions) {
    this.base = new URL(folderOf(place), place.base);
    this.file = place.file?.slice(place.file.lastIndexOf("/") + 1);
    this.#place = place;
    this.#options = options;
  }

  /** Undefined if there is no such file. */
  async find(name: string): Promise<Uint8Array | undefined> {
    const { base, headers } = this.#place;
    const { signal, onProgress } = this.#options;
    // A query in the address belongs to that file only.
    const isOwn = name === this.file && base.pathname.endsWith(`/${encodeURIComponent(name)}`);
    const url = isOwn ? base : new URL(name.split("/").map(encodeURIComponent).join("/"), this.base);
    return fetchBytes(url, { headers, signal, onProgress: onProgress && ((...n) => onProgress(name, ...n)) });
  }
}

/** The folder of a file in a repository, relative to the repository. */
const folderOf = ({ file = "" }: Place): string =>
  file
    .slice(0, file.lastIndexOf("/") + 1)
    .split("/")
    .map(encodeURIComponent)
    .join("/");

/** The tokenizer in the file or beside it, else GPT-2's if it has as many tokens as the model. */
async function tokenizerIn(files: ModelFiles, checkpoint: Checkpoint): Promise<Tokenizer | undefined> {
  const found = (await checkpoint.loadTokenizer?.()) ?? (await tokenizerBeside(files, checkpoint));
  return found && fitTokenizer(checkpoint, found);
}

async function tokenizerBeside(files: ModelFiles, { config }: Checkpoint): Promise<Tokenizer | undefined> {
  const vocabulary = await readTokenizerFolder(async (name) => {
    const text = textOf(files, name);
    return text === undefined ? undefined : { name, text };
  });
  return vocabulary ? new Tokenizer(vocabulary) : defaultTokenizer(config);
}

function textOf(files: ModelFiles, name: string): string | undefined {
  if (!files.has(name)) return undefined;
  const source = files.open(name);
  return new TextDecoder().decode(source.bytes(0, source.size));
}
