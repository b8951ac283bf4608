import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DownloadError } from "../errors.js";
import { writeFileAtomically } from "../util/atomic-write.js";
import { withFileLock } from "../util/file-lock.js";
import { fileSize } from "./cache.js";
import { downloadFile, fileSystem, type RemoteFile } from "./download-file.js";
import { CACHE_WILL_DO, type FetchContext, type FetchedFile, type FetchedModel } from "./fetch-model.js";
import { sendFollowing } from "./http.js";
import { shortHash } from "./partial-file.js";
import { responseError } from "./response-error.js";
import { urlCacheDir } from "./settings.js";

/**
 * Fetches a model from any address: one file, and the files beside it that belong to it (config.json and the tokenizer for
 * .safetensors, the shards for an index). Each folder of a server has its own folder in the cache; an ETag or date
 * tells whether the server has a newer version.
 *
 * @throws {DownloadError} with any of its reasons.
 */
export async function fetchUrl(url: URL, context: FetchContext, cacheDir = urlCacheDir()): Promise<FetchedModel> {
  const name = fileNameOf(url);
  const folder = join(cacheDir, `${url.hostname}-${shortHash(new URL(".", url).href.replace(/\?.*/, ""))}`);
  await fileSystem(folder, () => mkdir(folder, { recursive: true }));
  const reachable = await offlineIfMust(url, join(folder, name), context);
  const files: FetchedFile[] = [];
  const take = async (file: string, needed: boolean): Promise<FetchedFile | undefined> => {
    const address = file === name ? url : new URL(encodeURIComponent(file), url);
    const found = await fetchOne({ name: file, url: address, needed, folder }, reachable);
    if (found) files.push(found);
    return found;
  };
  const { config, small, isIndex } = context.layout.beside(name);
  if (config !== undefined) {
    const described = await take(config.file, config.required);
    if (described) await context.checkConfig?.(described.path);
  }
  for (const file of small) await take(file, false);
  const main = await take(name, true);
  if (isIndex) for (const shard of await shardNames(main!, url, context)) await take(shard, true);
  return { path: main!.path, files };
}

/** If the server does not respond, an earlier copy is used, and of the files that belong to it too. */
async function offlineIfMust(url: URL, path: string, context: FetchContext): Promise<FetchContext> {
  if (context.settings.offline || (await fileSize(path)) === undefined) return context;
  try {
    await askVersion(url, context);
    return context;
  } catch (error) {
    if (!(error instanceof DownloadError && CACHE_WILL_DO.includes(error.reason))) throw error;
    const message = `${withoutQuery(url)}: using the cached copy, because of ${error.details.got}`;
    context.onEvent({ type: "notice", message });
    return { ...context, settings: { ...context.settings, offline: true } };
  }
}

async function shardNames(index: FetchedFile, url: URL, { layout }: FetchContext): Promise<readonly string[]> {
  const shards = layout.shardsOf(index.name, await readFile(index.path, "utf8"));
  if (shards) return shards;
  throw failure(url, "an index of shards", "another JSON file");
}

/** @throws {DownloadError} the address does not end in a file name. */
function fileNameOf(url: URL): string {
  const encoded = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
  const name = decoded(encoded) ?? encoded;
  if (/^[\w-][\w.+ -]{0,199}$/.test(name)) return name;
  throw failure(
    url,
    "the address of a file (.gguf, .safetensors, .bin)",
    `an address that ends in ${JSON.stringify(name)}`,
  );
}

/** The decoded text; undefined if its percent signs are malformed. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function failure(url: URL, expected: string, got: string): DownloadError {
  return new DownloadError({ op: `fetching ${withoutQuery(url)}`, expected, got, reason: "unexpected" });
}

/** The address without its query, which may hold a signature that must not appear in messages. */
function withoutQuery(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** A server's description of a version of a file, kept beside it. */
interface Version {
  readonly etag?: string | undefined;
  readonly modified?: string | undefined;
  readonly size?: number | undefined;
}

interface Wanted {
  readonly name: string;
  readonly url: URL;
  readonly needed: boolean;
  readonly folder: string;
}

/** A missing file is a 404, a 403 from object stores, and a page from some servers. */
const MISSING: readonly DownloadError["reason"][] = ["not-found", "forbidden", "unexpected"];

/** @returns undefined if it is absent and optional. */
async function fetchOne(
  { name, url, needed, folder }: Wanted,
  context: FetchContext,
): Promise<FetchedFile | undefined> {
  const path = join(folder, name);
  const size = await fileSize(path);
  const cached = size === undefined ? undefined : { name, path, size, fetched: false };
  if (context.settings.offline) {
    if (cached || !needed) return cached;
    throw offline(url, folder);
  }
  const note = join(folder, `.${name}.version.json`);
  try {
    const version = await askVersion(url, context);
    if (cached && sameVersion(version, await readVersion(note), cached.size)) return cached;
    const lock = join(folder, `.${name}.lock`);
    const onWait = (): void => context.onEvent({ type: "wait", file: name, message: "another program is fetching it" });
    return await withFileLock(lock, { signal: context.signal, onWait }, async (exclusive) => {
      const now = await fileSize(path);
      // Another program may have fetched it while we waited.
      if (now !== undefined && sameVersion(version, await readVersion(note), now))
        return { name, path, size: now, fetched: false };
      const stem = `.${name}.${shortHash(JSON.stringify(version))}`;
      await downloadFile(remoteFile(name, url, version, context), { path, stem, exclusive }, context);
      await fileSystem(note, () => writeFileAtomically(note, JSON.stringify(version)));
      return { name, path, size: (await fileSize(path)) ?? 0, fetched: true };
    });
  } catch (error) {
    if (!needed && error instanceof DownloadError && MISSING.includes(error.reason)) return undefined;
    throw error;
  }
}

function offline(url: URL, folder: string): DownloadError {
  return new DownloadError({
    op: `loading ${withoutQuery(url)} without a network`,
    expected: "an earlier copy",
    got: `none in ${folder}`,
    hint: "Fetch it first: gpt2 pull, without --offline and HF_HUB_OFFLINE",
    reason: "offline",
  });
}

/** Asks for the version by HEAD. If a server refuses HEAD, nothing is known before the GET. */
async function askVersion(url: URL, context: FetchContext): Promise<Version> {
  const { settings, signal } = context;
  const headers = authorization(url, context);
  const response = await sendFollowing(url, { method: "HEAD", headers, timeout: settings.answerTimeout, signal });
  response.body.destroy();
  const { status } = response;
  if ([403, 405, 501].includes(status)) return {};
  if (status !== 200)
    throw await responseError(response, { what: withoutQuery(url), withToken: "Authorization" in headers });
  const { etag, "last-modified": modified, "content-length": length } = response.headers;
  return { etag, modified, size: length === undefined ? undefined : Number(length) };
}

async function readVersion(note: string): Promise<Version | undefined> {
  try {
    return JSON.parse(await readFile(note, "utf8")) as Version;
  } catch {
    return undefined;
  }
}

function sameVersion(now: Version, then: Version | undefined, size: number): boolean {
  if (then === undefined || (now.size !== undefined && now.size !== size)) return false;
  if (now.etag !== undefined) return now.etag === then.etag;
  return now.modified !== undefined && now.modified === then.modified;
}

function remoteFile(name: string, url: URL, { etag, size }: Version, context: FetchContext): RemoteFile {
  // A weak ETag may stay the same although the bytes differ.
  const validator = etag?.startsWith('"') ? etag : undefined;
  return { what: withoutQuery(url), name, url, headers: authorization(url, context), size, validator };
}

/** The token is sent to the hub only. */
function authorization(url: URL, { settings: { endpoint, token } }: FetchContext): Record<string, string> {
  return token !== undefined && url.origin === new URL(endpoint).origin ? { Authorization: `Bearer ${token}` } : {};
}
