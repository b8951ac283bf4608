/** Shared by the tests of the hub: a small repository, and a cache for each test. */
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { DownloadError, type DownloadFailure } from "../../src/errors.js";
import type { DownloadEvent } from "../../src/hub/events.js";
import { type FetchContext, type FetchedModel, fetchModel } from "../../src/hub/fetch-model.js";
import { type HubName, parseModelName } from "../../src/hub/model-name.js";
import { type HubSettings, hubSettings } from "../../src/hub/settings.js";
import { MODEL_LAYOUT } from "../../src/pretrained/needed-files.js";
import type { HubRepository, HubServer } from "../helpers/hub-server.js";

export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
export const LATER_COMMIT = "89abcdef0123456789abcdef0123456789abcdef";

/** Bytes that differ everywhere, so that a wrong position shows. */
export function content(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Math.imul(i + seed, 2654435761) >>> 24);
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);

export const WEIGHTS = content(300_000);

/** A repository like the hub's: a model, and the other files found in such repositories. */
export const REPOSITORY: HubRepository = {
  id: "owner/model",
  commit: COMMIT,
  refs: ["v1.0", "refs/pr/1"],
  files: {
    ".gitattributes": text("*.safetensors filter=lfs\n"),
    "README.md": text("# A model\n"),
    "config.json": text('{"model_type":"gpt2"}'),
    "generation_config.json": text("{}"),
    "tokenizer.json": text('{"version":"1.0"}'),
    "vocab.json": text("{}"),
    "merges.txt": text("#version: 0.2\n"),
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": content(1000),
    "tf_model.h5": content(1000),
    "onnx/model.onnx": content(1000),
  },
};

/** The files that a model needs. */
export const NEEDED = [
  "config.json",
  "generation_config.json",
  "merges.txt",
  "model.safetensors",
  "tokenizer.json",
  "vocab.json",
];

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "gpt2-hub-"));
  folders.push(folder);
  return folder;
}

export interface Fetching {
  readonly cacheDir: string;
  readonly settings: HubSettings;
  readonly events: DownloadEvent[];
  /** Fetches by name, as if typed. */
  fetch(name?: string, more?: Partial<FetchContext>): Promise<FetchedModel>;
}

/** A separate cache for a server. Retries come quickly. */
export function fetching(server: Pick<HubServer, "endpoint">, changes: Partial<HubSettings> = {}): Fetching {
  const cacheDir = changes.cacheDir ?? temporaryFolder();
  const settings = {
    ...hubSettings({ endpoint: server.endpoint, cacheDir, token: false }, {}),
    retryDelay: 5,
    dataTimeout: 500,
    ...changes,
  };
  const events: DownloadEvent[] = [];
  const fetch = (name = "owner/model", more: Partial<FetchContext> = {}): Promise<FetchedModel> => {
    const parsed = parseModelName(name, settings.endpoint);
    if (parsed?.kind !== "hub") throw new Error(`${name} is no name of a model`);
    return fetchModel(parsed as HubName, {
      layout: MODEL_LAYOUT,
      settings,
      onEvent: (event) => events.push(event),
      ...more,
    });
  };
  return { cacheDir, settings, events, fetch };
}

/** A check for `assert.rejects`. */
export function failsWith(reason: DownloadFailure, ...patterns: RegExp[]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof DownloadError)) throw error;
    const missing = patterns.filter((pattern) => !pattern.test(error.message));
    if (error.reason === reason && missing.length === 0) return true;
    throw new Error(`${error.reason}: ${error.message}\nwhere ${reason}, ${missing} was expected`);
  };
}

/** Every file and link below a folder, as `path`, or `path -> target`, in order. */
export function listing(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true, encoding: "utf8" })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      const name = path.slice(folder.length + 1);
      return entry.isSymbolicLink() ? `${name} -> ${readlinkSync(path)}` : name;
    })
    .sort();
}

/** Content of a fetched file. */
export function fileOf({ path }: FetchedModel, name: string): Uint8Array {
  return new Uint8Array(readFileSync(join(path, name)));
}
