/** Models that are not local: the hub and its cache, and addresses. Node only. */
export type { DownloadEvent } from "./events.js";
export type { FetchedFile, FetchedModel } from "./fetch-model.js";
export { HUB_PRESETS } from "./model-name.js";
export type { HubOptions } from "./settings.js";
