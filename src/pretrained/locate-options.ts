import type { DownloadEvent } from "../hub/events.js";
import type { HubOptions } from "../hub/settings.js";

/**
 * How models are found and fetched. These options have their own file, so that naming them does not load the hub's
 * client.
 */
export interface LocateOptions extends HubOptions {
  /** A branch, tag or commit of a model on the hub, like `@revision` in its name. */
  readonly revision?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called with each event of a download. */
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
  /** Called with the path of config.json before weights are fetched. It throws to refuse the model. */
  readonly checkConfig?: ((path: string) => void | Promise<void>) | undefined;
}

/** The names of these options, except `checkConfig`, for `checkOptionNames`. */
export const LOCATE_OPTIONS = {
  endpoint: true,
  cacheDir: true,
  token: true,
  offline: true,
  revision: true,
  signal: true,
  onDownload: true,
} as const;
