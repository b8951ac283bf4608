/** The name of a model that is not a local file: a preset, a model on the hub, an address. */
export type ModelName =
  | {
      readonly kind: "hub";
      /** owner/name */
      readonly id: string;
      /** A branch, tag or commit. */
      readonly revision: string;
      /** One file of the repository instead of the model at its top. */
      readonly file?: string;
      /** Other names under which Python may have cached it. */
      readonly aliases: readonly string[];
    }
  | { readonly kind: "url"; readonly url: URL };

export type HubName = Extract<ModelName, { kind: "hub" }>;

/** Short names and the hub's names for them. Python caches a model under the name by which it was requested. */
export const HUB_PRESETS: Readonly<Record<string, string>> = {
  gpt2: "openai-community/gpt2",
  "gpt2-medium": "openai-community/gpt2-medium",
  "gpt2-large": "openai-community/gpt2-large",
  "gpt2-xl": "openai-community/gpt2-xl",
  distilgpt2: "distilbert/distilgpt2",
};

export const DEFAULT_REVISION = "main";
/** The public hub, whatever endpoint is in use: people paste its addresses. */
const HUB_HOSTS = ["huggingface.co", "www.huggingface.co", "hf.co"];

/**
 * Reads `gpt2`, `owner/name`, `owner/name/file.gguf`, each with `@revision` or not, and http(s) addresses; the address of
 * a page or file on the hub stands for the model to which it belongs.
 *
 * @returns undefined for anything else.
 */
export function parseModelName(text: string, endpoint: string): ModelName | undefined {
  if (/^https?:\/\//i.test(text)) return URL.canParse(text) ? parseUrl(new URL(text), endpoint) : undefined;
  const [, name = "", revision = DEFAULT_REVISION] = /^([^@]+)(?:@(.+))?$/s.exec(text) ?? [];
  if (!isRevision(revision)) return undefined;
  const preset = Object.hasOwn(HUB_PRESETS, name) ? HUB_PRESETS[name] : undefined;
  if (preset !== undefined) return { kind: "hub", id: preset, revision, aliases: [name] };
  const [owner = "", repository = "", ...path] = name.split("/");
  return hubName(owner, repository, revision, path);
}

function hubName(owner: string, name: string, revision: string, path: readonly string[]): HubName | undefined {
  const id = `${owner}/${name}`;
  const file = path.join("/");
  if (!isRepositoryId(id) || !isRevision(revision) || (path.length > 0 && !isFilePath(file))) return undefined;
  // A mistyped path to a file is not worth a request to the hub.
  if (path.length === 0 && /\.(bin|gguf|safetensors|pt|json)$/.test(name)) return undefined;
  const aliases = Object.keys(HUB_PRESETS).filter((short) => HUB_PRESETS[short] === id);
  return { kind: "hub", id, revision, ...(path.length > 0 && { file }), aliases };
}

function parseUrl(url: URL, endpoint: string): ModelName | undefined {
  const ofHub = url.origin === new URL(endpoint).origin || HUB_HOSTS.includes(url.hostname);
  const base = url.origin === new URL(endpoint).origin ? new URL(endpoint).pathname.replace(/\/$/, "") : "";
  if (ofHub && url.pathname.startsWith(`${base}/`)) {
    const parts = url.pathname
      .slice(base.length + 1)
      .replace(/\/$/, "")
      .split("/")
      .map(decode);
    const [owner = "", name = "", verb, revision = DEFAULT_REVISION, ...path] = parts;
    const page = verb === undefined || ["tree", "blob", "resolve", "raw"].includes(verb);
    const named = page ? hubName(owner, name, revision, path) : undefined;
    if (named) return named;
  }
  return { kind: "url", url };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** huggingface_hub's `validate_repo_id`. */
function isRepositoryId(id: string): boolean {
  return /^(?=.{1,96}$)\w(?:[\w.-]*\w)?\/\w(?:[\w.-]*\w)?$/.test(id) && !/--|\.\.|\.git$/.test(id);
}

/** Git's rules for names, as far as they matter for a path on disk. */
export function isRevision(text: string): boolean {
  return /^[\w][\w./+-]*$/.test(text) && !/\.\.|\/\/|\/\.|\/$/.test(text);
}

/** Whether this is a relative path that stays inside its folder, on any system. */
export function isFilePath(path: string): boolean {
  return (
    path.length > 0 && path.split("/").every((part) => /^[^\\:*?"<>|\p{Cc}]+$/u.test(part) && !/^\.\.?$/.test(part))
  );
}
