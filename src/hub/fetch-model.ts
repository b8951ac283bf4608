import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DownloadError } from "../errors.js";
import { withFileLock } from "../util/file-lock.js";
import {
  type CachedRepository,
  cachedRepository,
  fileSize,
  isCommit,
  isFile,
  linkToBlob,
  readRef,
  snapshotFiles,
  snapshotFolder,
  writeRef,
} from "./cache.js";
import { type DownloadContext, downloadFile, fileSystem } from "./download-file.js";
import type { FileSelection, ModelLayout } from "./model-layout.js";
import type { HubName } from "./model-name.js";
import { type RepositoryState, repositoryFile, repositoryState } from "./repository.js";

/** A model that is now on this machine. */
export interface FetchedModel {
  /** The folder or file to open. */
  readonly path: string;
  /** The commit, for models on the hub. */
  readonly commit?: string | undefined;
  readonly files: readonly FetchedFile[];
}

export interface FetchedFile {
  readonly name: string;
  readonly path: string;
  readonly size: number;
  /** Whether it had to be downloaded. */
  readonly fetched: boolean;
}

export interface FetchContext extends DownloadContext {
  /** Selects the files that make up a model. */
  readonly layout: ModelLayout;
  /** Called with the path of config.json before weights are fetched; throws to refuse the model. */
  readonly checkConfig?: ((path: string) => void | Promise<void>) | undefined;
}

/** Failures after which a cached copy is used. */
export const CACHE_WILL_DO: readonly DownloadError["reason"][] = ["unreachable", "server", "rate-limited"];

/**
 * Makes a model on the hub available: from the cache if it has the hub's current version, else by a download.
 *
 * @throws {DownloadError} with any of its reasons.
 */
export async function fetchModel(name: HubName, context: FetchContext): Promise<FetchedModel> {
  const cached = await cachedModel(name, context);
  if (context.settings.offline) {
    if (cached) return cached;
    throw notCached(name, context.settings.cacheDir);
  }
  // A commit never changes. (A copy without a tokenizer may be Python's, which fetches the tokenizer separately.)
  const hasTokenizer = cached?.files.some(({ name }) => /(^|\/)(tokenizer|vocab)\.json$/.test(name));
  if (cached && hasTokenizer && isCommit(name.revision)) return cached;
  const state = await askOrUse(name, cached, context);
  return state === undefined ? cached! : fetchState(name, state, context);
}

/** The hub's response; undefined if there is none and the cached copy is used. */
async function askOrUse(
  name: HubName,
  cached: FetchedModel | undefined,
  context: FetchContext,
): Promise<RepositoryState | undefined> {
  try {
    return await repositoryState(name, context, cached ? 1 : 5);
  } catch (error) {
    if (!cached || !(error instanceof DownloadError) || !CACHE_WILL_DO.includes(error.reason)) throw error;
    const got = error.details.got ?? error.message;
    const message = `${name.id}: using the cached copy, because of ${got} from ${context.settings.endpoint}`;
    context.onEvent({ type: "notice", message });
    return undefined;
  }
}

async function fetchState(name: HubName, state: RepositoryState, context: FetchContext): Promise<FetchedModel> {
  const { commit } = state;
  const { layout } = context;
  const needed = layout.select(state.files, name.file);
  if (typeof needed === "string") throw noModel(name, needed);
  const { cacheDir } = context.settings;
  for (const id of name.aliases) {
    const there = await modelInSnapshot(layout, cachedRepository(cacheDir, id), commit, name.file);
    if (there && needed.small.every((file) => there.files.some(({ name }) => name === file))) return there;
  }
  const repository = cachedRepository(cacheDir, name.id);
  const path = snapshotFolder(repository, commit);
  await fileSystem(path, () => makeFolders(repository, path));
  const fetch = (file: string): Promise<FetchedFile> => fetchFile(name, repository, commit, file, context);
  const files: FetchedFile[] = [];
  if (needed.config !== undefined) {
    const config = await fetch(needed.config);
    await context.checkConfig?.(config.path);
    files.push(config);
  }
  for (const file of needed.small) files.push(await fetch(file));
  for (const file of await weightFiles(layout, name, needed, path)) files.push(await fetch(file));
  // Last, so that the revision never refers to an incomplete model.
  await fileSystem(path, () => writeRef(repository, name.revision, commit));
  return { path: join(path, needed.open), commit, files };
}

async function makeFolders({ folder }: CachedRepository, snapshot: string): Promise<void> {
  await mkdir(snapshot, { recursive: true });
  await mkdir(join(folder, "blobs"), { recursive: true });
}

async function weightFiles(
  layout: ModelLayout,
  name: HubName,
  { weights, index }: FileSelection,
  snapshot: string,
): Promise<readonly string[]> {
  if (index === undefined) return weights;
  const shards = layout.shardsOf(index, await readFile(join(snapshot, index), "utf8"));
  if (shards === undefined) throw noModel(name, `${index}, which names no shards`);
  return shards;
}

/** Fetches one file into the cache. If several programs need it, one fetches it and the others wait. */
async function fetchFile(
  name: HubName,
  repository: CachedRepository,
  commit: string,
  file: string,
  context: FetchContext,
): Promise<FetchedFile> {
  const pointer = join(snapshotFolder(repository, commit), ...file.split("/"));
  const there = await fileSize(pointer);
  if (there !== undefined) return { name: file, path: pointer, size: there, fetched: false };
  const remote = await repositoryFile(name, commit, file, context);
  const blob = join(repository.folder, "blobs", remote.etag);
  const onWait = (): void => context.onEvent({ type: "wait", file, message: "another program is fetching it" });
  const lock = join(repository.locks, `${remote.etag}.lock`);
  return withFileLock(lock, { signal: context.signal, onWait }, async (exclusive) => {
    const size = await fileSize(blob);
    const fetched = size === undefined || (remote.size !== undefined && size !== remote.size);
    if (fetched) await downloadFile(remote, { path: blob, stem: remote.etag, exclusive }, context);
    if (!(await isFile(pointer))) await fileSystem(pointer, () => linkToBlob(pointer, blob));
    return { name: file, path: pointer, size: (await fileSize(pointer)) ?? 0, fetched };
  });
}

/** The cached files of a name, if they are a whole model. */
async function cachedModel(name: HubName, { layout, settings }: FetchContext): Promise<FetchedModel | undefined> {
  for (const id of [name.id, ...name.aliases]) {
    const repository = cachedRepository(settings.cacheDir, id);
    const commit = await readRef(repository, name.revision);
    const found = commit === undefined ? undefined : await modelInSnapshot(layout, repository, commit, name.file);
    if (found) return found;
  }
  return undefined;
}

/** A snapshot, if it has all the files that a model needs. */
async function modelInSnapshot(
  layout: ModelLayout,
  repository: CachedRepository,
  commit: string,
  wanted: string | undefined,
): Promise<FetchedModel | undefined> {
  const folder = snapshotFolder(repository, commit);
  const names = await snapshotFiles(folder);
  const needed = layout.select(names, wanted);
  if (typeof needed === "string") return undefined;
  const { config, small, index } = needed;
  const json = index && (await readFile(join(folder, index), "utf8").catch(() => ""));
  const weights = index && json !== undefined ? layout.shardsOf(index, json) : needed.weights;
  if (!weights?.every((name) => names.includes(name))) return undefined;
  const wholeList = [...(config === undefined ? [] : [config]), ...small, ...weights];
  const files = wholeList.map(async (name) => {
    const path = join(folder, ...name.split("/"));
    return { name, path, size: (await fileSize(path)) ?? 0, fetched: false };
  });
  return { path: join(folder, needed.open), commit, files: await Promise.all(files) };
}

function noModel({ id, file, revision }: HubName, got: string): DownloadError {
  const op = `fetching ${id}${revision === "main" ? "" : `@${revision}`}`;
  const expected = file === undefined ? "a model's files" : `the file ${file}`;
  const hint = got.startsWith("several") ? `Name one of them: ${id}/FILE.gguf` : "Is it the repository of a GPT-2?";
  return new DownloadError({ op, expected, got, hint, reason: "not-found" });
}

function notCached({ id, revision }: HubName, cacheDir: string): DownloadError {
  const { folder } = cachedRepository(cacheDir, id);
  return new DownloadError({
    op: `loading ${id}${revision === "main" ? "" : `@${revision}`} without a network`,
    expected: "the whole model in the cache",
    got: `an incomplete copy in ${folder}`,
    hint: "Fetch it first: gpt2 pull, without --offline and HF_HUB_OFFLINE",
    reason: "offline",
  });
}
