import { mkdir, readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DataError } from "../../errors.js";
import { downloadFile } from "../../hub/download-file.js";
import type { DownloadEvent } from "../../hub/events.js";
import { type HubOptions, hubSettings, urlCacheDir } from "../../hub/settings.js";
import { readError } from "../../util/file-errors.js";
import { withFileLock } from "../../util/file-lock.js";
import { checkOptionNames } from "../../util/nearest.js";
import { PUBLISHED, type PublishedFile } from "./published.js";
import { type DataSource, sha256 } from "./source.js";

export interface FetchedSourceOptions extends Pick<HubOptions, "offline"> {
  /** Default: `data-sets` in the package's cache folder. */
  readonly cacheDir?: string | undefined;
  /** Default: {@link PUBLISHED}. */
  readonly published?: Readonly<Record<string, PublishedFile>> | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
}

/**
 * Data sets that are downloaded when first needed and cached, each file under its checksum; a file with another checksum
 * is never used.
 *
 * @throws {DownloadError} from `read`: a file cannot be downloaded, or has changed.
 */
export function fetchedSource(options: FetchedSourceOptions = {}): DataSource {
  checkOptionNames("data sets", options, {
    offline: true,
    cacheDir: true,
    published: true,
    signal: true,
    onDownload: true,
  });
  const { published = PUBLISHED, cacheDir = join(dirname(urlCacheDir()), "data-sets"), offline, signal } = options;
  const settings = hubSettings({ offline });
  const context = { settings, signal, onEvent: options.onDownload ?? (() => {}) };
  return {
    description: settings.offline ? "the cache" : "downloads",
    list: async () => [],
    read: async (path) => {
      const known = Object.hasOwn(published, path) ? published[path]! : undefined;
      if (!known) return undefined;
      const name = basename(path);
      const folder = join(cacheDir, known.sha256);
      const target = join(folder, name);
      const cached = await checked(target, known.sha256);
      if (cached || settings.offline) return cached;
      await mkdir(folder, { recursive: true });
      const remote = { what: path, name, url: new URL(known.url), headers: {}, checksum: checksumOf(known) };
      return withFileLock(join(folder, ".lock"), { signal }, async (exclusive) => {
        // Another process may have fetched it while this one waited for the lock.
        const now = await checked(target, known.sha256);
        if (now) return now;
        await downloadFile(remote, { path: target, stem: `.${name}`, exclusive }, context);
        return readFile(target);
      });
    },
  };
}

const checksumOf = ({ sha256: hex }: PublishedFile) => ({ kind: "sha256", hex }) as const;

/** A cached file, if it exists and has its checksum. */
async function checked(path: string, want: string): Promise<Uint8Array | undefined> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw cause;
  });
  return bytes && (await sha256(bytes)) === want ? bytes : undefined;
}

/** Nothing exists at the path, or a folder instead of a file. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "EISDIR"]);

/** Data sets in a folder, each in a subfolder with the layout of its publisher: docs/evaluation.md lists them. */
export function folderSource(folder: string): DataSource {
  const absentAs =
    <T>(absent: T, path: string) =>
    (cause: NodeJS.ErrnoException): T => {
      if (ABSENT.has(cause.code ?? "")) return absent;
      throw readError(cause, `reading ${path}`, "a readable file", DataError);
    };
  return {
    description: folder,
    read: (path) => readFile(resolve(folder, path)).catch(absentAs(undefined, path)),
    list: async (path) => (await readdir(resolve(folder, path)).catch(absentAs<string[]>([], path))).sort(),
  };
}
