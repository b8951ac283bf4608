import { isHere } from "../checkpoint/file-source.js";
import { CheckpointError, DownloadError, UsageError } from "../errors.js";
import type { FetchContext, FetchedModel } from "../hub/fetch-model.js";
import { DEFAULT_REVISION, HUB_PRESETS, isRevision, type ModelName, parseModelName } from "../hub/model-name.js";
import { hubSettings } from "../hub/settings.js";
import { checkOptionNames } from "../util/nearest.js";
import { recover } from "../util/workspace.js";
import { LOCATE_OPTIONS, type LocateOptions } from "./locate-options.js";

const EXPECTED = `a file or folder, ${Object.keys(HUB_PRESETS).join(", ")}, a model of the hub (owner/name), or an address (https://…)`;

/**
 * Resolves a name to a path: an existing file or folder (which takes precedence over a model of the same name on the hub), a
 * preset, a model of the hub with or without `@revision` or one of its files, or an address. Fetches what is not on this
 * machine.
 *
 * @throws {CheckpointError} it is none of these.
 * @throws {DownloadError} it cannot be fetched. The message lists everything that was tried.
 */
export async function locateModel(text: string, options: LocateOptions = {}): Promise<FetchedModel> {
  checkOptionNames("locating a model", options, {
    ...LOCATE_OPTIONS,
    checkConfig: true,
  });
  return findModel(text, options);
}

/** {@link locateModel} without a check for unknown options. */
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
    // Most models are on this machine: the client is loaded on demand, which keeps starts quick.
    if (revised.kind === "hub") return await (await import("../hub/fetch-model.js")).fetchModel(revised, context);
    return await (await import("../hub/fetch-url.js")).fetchUrl(revised.url, context);
  } catch (error) {
    throw error instanceof DownloadError ? namingTried(error, text, revised) : error;
  }
}

/** @throws {UsageError} the model has no revisions, two are given, or the revision's name is not valid. */
function withRevision(name: ModelName | undefined, revision: string | undefined): ModelName | undefined {
  if (revision === undefined) return name;
  if (name?.kind === "hub" && name.revision === DEFAULT_REVISION && isRevision(revision)) return { ...name, revision };
  if (name?.kind === "hub" && name.revision === revision) return name;
  const expected = name?.kind === "hub" ? "one branch, tag or commit" : "a model of the hub to go with it";
  throw new UsageError({ op: "revision", expected, got: revision });
}

/** Names the path in the error as well as the hub: the path may be mistyped. */
function namingTried(error: DownloadError, text: string, name: ModelName): DownloadError {
  const ambiguous = name.kind === "hub" && name.aliases.length === 0 && !/^https?:/i.test(text);
  if (!ambiguous || !["not-found", "unauthorized", "unreachable", "offline"].includes(error.reason)) return error;
  const { reason, status, retryAfter, details } = error;
  const got = `no file or folder ${text} here, and from the hub ${details.got}`;
  return new DownloadError({ ...details, got, reason, status, retryAfter, cause: error });
}
