import { isHere } from "../checkpoint/file-source.js";
import { CheckpointError, DownloadError, UsageError } from "../errors.js";
import type { DownloadEvent } from "../hub/events.js";
import type { FetchContext, FetchedModel } from "../hub/fetch-model.js";
import { DEFAULT_REVISION, HUB_PRESETS, isRevision, type ModelName, parseModelName } from "../hub/model-name.js";
import { type HubOptions, hubSettings } from "../hub/settings.js";
import { checkOptionNames } from "../util/nearest.js";
import { recover } from "../util/workspace.js";

export interface LocateOptions extends HubOptions {
  /** A branch, tag or commit of a model of the hub; as `@revision` in its name. */
  readonly revision?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with each event of a download. */
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
  /** Called with config.json's path before weights are fetched; throws to refuse the model. */
  readonly checkConfig?: ((path: string) => void | Promise<void>) | undefined;
}

const EXPECTED = `a file or folder, ${Object.keys(HUB_PRESETS).join(", ")}, a model of the hub (owner/name), or an address (https://…)`;

/**
 * Resolves a name to a path: a file or folder that exists (it takes precedence over a model of the hub of the same name), a
 * preset, a model of the hub with or without `@revision` or one of its files, or an address. What is
 * not on this machine is fetched.
 *
 * @throws {CheckpointError} it is none of these.
 * @throws {DownloadError} it cannot be fetched; the message names all that was tried.
 */
export async function locateModel(text: string, options: LocateOptions = {}): Promise<FetchedModel> {
  checkOptionNames("locating a model", options, {
    endpoint: true,
    cacheDir: true,
    token: true,
    offline: true,
    revision: true,
    signal: true,
    onDownload: true,
    checkConfig: true,
  });
  return findModel(text, options);
}

/** {@link locateModel} with options among which there are those of other callers. */
export async function findModel(text: string, options: LocateOptions): Promise<FetchedModel> {
  const settings = hubSettings(options);
  if (!isHere(text)) await recover(text);
  const name = isHere(text) ? undefined : parseModelName(text, settings.endpoint);
  const revised = withRevision(name, options.revision);
  if (revised === undefined) {
    if (isHere(text)) return { path: text, files: [] };
    throw new CheckpointError({ op: `opening ${text}`, expected: EXPECTED, got: "no such file or folder" });
  }
  const { signal, checkConfig, onDownload = () => {} } = options;
  const { MODEL_LAYOUT: layout } = await import("./needed-files.js");
  const context: FetchContext = { settings, signal, checkConfig, layout, onEvent: onDownload };
  try {
    // Most models are on the machine: what fetches is loaded when needed, so that starting stays quick.
    if (revised.kind === "hub") return await (await import("../hub/fetch-model.js")).fetchModel(revised, context);
    return await (await import("../hub/fetch-url.js")).fetchUrl(revised.url, context);
  } catch (error) {
    throw error instanceof DownloadError ? namingTried(error, text, revised) : error;
  }
}

/** @throws {UsageError} a revision of something that has none, two of them, or one that is no revision's name. */
function withRevision(name: ModelName | undefined, revision: string | undefined): ModelName | undefined {
  if (revision === undefined) return name;
  if (name?.kind === "hub" && name.revision === DEFAULT_REVISION && isRevision(revision)) return { ...name, revision };
  if (name?.kind === "hub" && name.revision === revision) return name;
  const expected = name?.kind === "hub" ? "one branch, tag or commit" : "a model of the hub to go with it";
  throw new UsageError({ op: "revision", expected, got: revision });
}

/** The error for a mistyped path names the path, not the hub alone. */
function namingTried(error: DownloadError, text: string, name: ModelName): DownloadError {
  const ambiguous = name.kind === "hub" && name.aliases.length === 0 && !/^https?:/i.test(text);
  if (!ambiguous || !["not-found", "unauthorized", "unreachable", "offline"].includes(error.reason)) return error;
  const { reason, status, retryAfter, details } = error;
  const got = `no file or folder ${text} here, and from the hub ${details.got}`;
  return new DownloadError({ ...details, got, reason, status, retryAfter, cause: error });
}
