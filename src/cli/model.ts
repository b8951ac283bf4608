import { existsSync } from "node:fs";
import { architectureOf } from "../architectures/registry.js";
import type { BackendChoice } from "../backend/choose.js";
import type { BERT } from "../bert.js";
import type { CacheType, WeightType } from "../dtype/dtype.js";
import type { GPT2 } from "../gpt2.js";
import type { DownloadEvent } from "../hub/node.js";
import type { Checkpoint } from "../pretrained/index.js";
import type { LocateOptions } from "../pretrained/locate-options.js";
import type { Precision } from "../program/precision.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { formatBytes, formatDuration, type Progress, progress } from "../util/progress.js";
import { note } from "./output.js";

/** Models, adapters and tokenizers by the names in flags. */

export interface ModelFlags {
  readonly model?: string;
  readonly adapter?: string;
  readonly offline?: true;
  readonly dtype?: WeightType;
  readonly compute?: Precision;
  readonly kv?: CacheType;
  readonly backend?: BackendChoice;
  readonly threads?: number;
}

/** Loads the model of the flags, and reports if it runs on a slower backend. */
export async function loadModel(flags: ModelFlags, signal: AbortSignal): Promise<GPT2> {
  const { GPT2 } = await import("../gpt2.js");
  const { model, adapter, dtype, compute, kv, backend, threads, offline } = flags;
  const loaded = await withDownloads(async (onDownload) => {
    // Reported below, once there is a model: an error should stand alone.
    const onFallback = (): void => {};
    const options = { dtype, compute, kv, backend, threads, offline, signal, onDownload, onFallback };
    return GPT2.load(model, { ...options, ...(adapter && (await adapterOption(adapter, options))) });
  });
  noteFallback(loaded);
  noteSlowBf16(loaded, compute);
  return loaded;
}

/** Loads the model of `--draft`, on the same machine options as the other. */
export async function loadDraft(
  name: string,
  flags: Omit<ModelFlags, "model" | "adapter">,
  signal: AbortSignal,
): Promise<GPT2> {
  const { backend, threads, offline } = flags;
  return loadModel(
    { model: name, ...(backend && { backend }), ...(threads && { threads }), ...(offline && { offline }) },
    signal,
  );
}

export type EncoderFlags = Omit<ModelFlags, "model"> & { readonly model: string };

/** Loads the BERT of the flags. */
export async function loadEncoder(flags: EncoderFlags, signal: AbortSignal): Promise<BERT> {
  const { BERT } = await import("../bert.js");
  const { model, adapter: merge, dtype, compute, backend, threads, offline } = flags;
  const loaded = await withDownloads((onDownload) =>
    BERT.load(model, { merge, dtype, compute, backend, threads, offline, signal, onDownload, onFallback: () => {} }),
  );
  noteFallback(loaded);
  noteSlowBf16(loaded, compute);
  return loaded;
}

/** Whether the model of the flags reads whole texts, like a BERT. Reads only headers. */
export async function isEncoder({ model, offline }: ModelFlags, signal: AbortSignal): Promise<boolean> {
  if (model === undefined) return false;
  const checkpoint = await openNamedModel(model, { offline, signal });
  try {
    return architectureOf(checkpoint.config).attention === "bidirectional";
  } finally {
    checkpoint.close();
  }
}

/** Loads a classifier: a GPT-2, or a BERT. */
export async function loadClassifier(
  flags: ModelFlags & { readonly model: string },
  signal: AbortSignal,
): Promise<GPT2 | BERT> {
  return (await isEncoder(flags, signal)) ? loadEncoder(flags, signal) : loadModel(flags, signal);
}

function noteFallback({ fallback, backend }: Pick<GPT2, "fallback" | "backend">): void {
  if (fallback) note(`running on ${backend.description}, slower, because: ${fallback.message}`);
}

function noteSlowBf16({ backend }: Pick<GPT2, "backend">, compute: Precision | undefined): void {
  if (compute !== "bf16" || backend.capabilities.fastBf16) return;
  note(`products in bf16 are no faster than in f32 on ${backend.description}`);
}

/** Imported on demand: most calls have no adapter. */
async function adapterOption(adapter: string, options: LocateOptions) {
  const { withAdapter } = await import("../pretrained/load-adapters.js");
  return withAdapter(adapter, options);
}

export interface FetchFlags {
  readonly offline?: true | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The path of a model or adapter, fetched if necessary. */
export async function fetchedPath(name: string, options: FetchFlags): Promise<string> {
  if (existsSync(name)) return name;
  const { fetchGpt2 } = await import("../pretrained/load.js");
  return (await withDownloads((onDownload) => fetchGpt2(name, { ...options, onDownload }))).path;
}

/** Opens a model without loading it. */
export async function openNamedModel(name: string | undefined, options: FetchFlags): Promise<Checkpoint> {
  const { openModel } = await import("../pretrained/load.js");
  return withDownloads((onDownload) => openModel(name, { ...options, onDownload }));
}

/**
 * The tokenizer of that name: `gpt2`, a tokenizer's file or folder, or a model with one, such as a GGUF file.
 *
 * @throws {TokenizerError} there is none.
 */
export async function loadNamedTokenizer(name: string): Promise<Tokenizer> {
  if (name === "gpt2") return (await import("../tokenizer/gpt2.js")).gpt2Tokenizer();
  if (!name.endsWith(".gguf")) return (await import("../tokenizer/files.js")).loadTokenizer(name);
  const checkpoint = await openNamedModel(name, {});
  try {
    const { tokenizerOf } = await import("../pretrained/tokenizer.js");
    const tokenizer = await tokenizerOf(checkpoint);
    if (tokenizer) return tokenizer;
  } finally {
    checkpoint.close();
  }
  const { TokenizerError } = await import("../errors.js");
  throw new TokenizerError({
    op: `reading a tokenizer from ${name}`,
    expected: "a model with a tokenizer",
    got: "none",
  });
}

/** Runs `work` with a progress line for its downloads, and removes the line however `work` ends. */
export async function withDownloads<T>(
  work: (onDownload: DownloadLine["onDownload"]) => Promise<T>,
  mode?: "auto" | "plain",
): Promise<T> {
  const line = downloadLine(mode);
  try {
    return await work(line.onDownload);
  } finally {
    line.end();
  }
}

/** Shows downloads on standard error: on a terminal, a progress line for each file; elsewhere, only waits and notices. */
export interface DownloadLine {
  readonly onDownload: (event: DownloadEvent) => void;
  /** Removes the line. Call it however the work ends. */
  end(): void;
}

/** @param mode of the progress line: `plain` also where there is no terminal */
export function downloadLine(mode: "auto" | "plain" = "auto"): DownloadLine {
  let line: Progress | undefined;
  const end = (message?: string): void => {
    line?.done(message);
    line = undefined;
  };
  const onDownload = (event: DownloadEvent): void => {
    if (event.type === "file") {
      end();
      line = progress({ label: event.file, total: event.size, unit: "B", start: event.resumedFrom, mode });
    } else if (event.type === "bytes") line?.update(event.received);
    // A log needs a line for each file; on a terminal it was visible.
    else if (event.type === "done") end(mode === "plain" ? `${event.file}  ${formatBytes(event.size)}` : undefined);
    else {
      line?.clear();
      note(noteOf(event));
    }
  };
  return { onDownload, end: () => end() };
}

function noteOf(event: Extract<DownloadEvent, { type: "wait" | "notice" }>): string {
  if (event.type === "notice") return event.message;
  if (event.seconds === undefined) return `${event.file}: waiting, ${event.message}`;
  const when = event.seconds < 1 ? "at once" : `in ${formatDuration(event.seconds)}`;
  return `${event.file}: ${event.message}; trying again ${when}`;
}
