/**
 * A real HTTP server on loopback that behaves like huggingface.co: the API, `resolve` with its headers and redirects,
 * and a second server, of another origin, as the CDN. Tests make it fail in all the ways in which networks fail.
 */
import { createHash } from "node:crypto";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { deliver, type Fault, type Reply } from "./faulty-http.js";

export interface HubRepository {
  /** owner/name */
  readonly id: string;
  /** 40 hexadecimal digits. */
  readonly commit: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Other revisions that lead to the same commit: tags, branches. */
  readonly refs?: readonly string[];
  /** Files kept in LFS, and therefore served by the CDN; by default the weights. */
  readonly lfs?: RegExp;
  /** Callers without this token are told that the repository does not exist. */
  readonly token?: string;
  /** Everyone can see the repository, but nobody may have its files. */
  readonly gated?: boolean;
  /** Earlier names of the repository, which redirect. */
  readonly formerly?: readonly string[];
}

export interface SeenRequest {
  readonly where: "api" | "resolve" | "cdn";
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export class HubServer {
  readonly requests: SeenRequest[] = [];
  /** Asked about every request. */
  fault: (request: SeenRequest) => Fault | undefined = () => undefined;
  readonly #repositories: HubRepository[];
  readonly #hub: Server;
  readonly #cdn: Server;

  private constructor(repositories: readonly HubRepository[]) {
    this.#repositories = [...repositories];
    this.#hub = createServer((request, response) => void this.#serveHub(request, response));
    this.#cdn = createServer((request, response) => void this.#serveCdn(request, response));
  }

  static async start(...repositories: readonly HubRepository[]): Promise<HubServer> {
    const server = new HubServer(repositories);
    for (const each of [server.#hub, server.#cdn]) {
      await new Promise<void>((resolve) => each.listen(0, "127.0.0.1", resolve));
    }
    return server;
  }

  get endpoint(): string {
    return originOf(this.#hub);
  }

  get cdn(): string {
    return originOf(this.#cdn);
  }

  /** Replaces the repository with the same id. */
  publish(repository: HubRepository): void {
    const at = this.#repositories.findIndex(({ id }) => id === repository.id);
    if (at >= 0) this.#repositories.splice(at, 1);
    this.#repositories.push(repository);
  }

  /** Requests of one kind: `count("cdn")`, `count("resolve", "HEAD")`. */
  count(where: SeenRequest["where"], method?: string): number {
    return this.requests.filter((seen) => seen.where === where && (method ?? seen.method) === seen.method).length;
  }

  /** Forgets requests and faults. */
  reset(): void {
    this.requests.length = 0;
    this.fault = () => undefined;
  }

  async close(): Promise<void> {
    for (const each of [this.#hub, this.#cdn]) {
      each.closeAllConnections();
      await new Promise((resolve) => each.close(resolve));
    }
  }

  async #serveHub(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isApi = request.url!.startsWith("/api/") && !request.url!.startsWith("/api/resolve-cache/");
    const fault = this.#see(request, isApi ? "api" : "resolve");
    await deliver(this.#hubReply(request, await text(request)), fault, request, response);
  }

  async #serveCdn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const fault = this.#see(request, "cdn");
    await deliver(this.#cdnReply(request), fault, request, response);
  }

  #see({ method = "", url = "", headers }: IncomingMessage, where: SeenRequest["where"]): Fault {
    const seen = { where, method, url, headers };
    this.requests.push(seen);
    return this.fault(seen) ?? {};
  }

  #hubReply(request: IncomingMessage, posted: string): Reply {
    const { pathname } = new URL(request.url!, this.endpoint);
    if (/%(?![0-9a-f]{2})/i.test(pathname)) return refusal(400, "BadRequest", "Bad Request");
    const path = decodeURIComponent(pathname);
    const { id = "", verb = "revision", revision = "main", file = "" } = parsePath(path);
    const renamed = this.#repositories.find(({ formerly }) => formerly?.includes(id));
    if (renamed) return redirect(307, request.url!.replace(id, renamed.id));
    const repository = this.#repositories.find((each) => each.id === id);
    if (!repository || !mayRead(repository, request)) return refusal(401, "RepoNotFound", "Repository not found");
    const { commit, refs = [] } = repository;
    if (![commit, "main", ...refs].includes(revision))
      return refusal(404, "RevisionNotFound", `Invalid rev id: ${revision}`);
    if (verb === "revision") return json(describe(repository));
    if (verb === "tree") return json(tree(repository));
    if (verb === "paths-info") return json(pathsInfo(repository, posted));
    return this.#fileReply(repository, file, verb);
  }

  #fileReply(repository: HubRepository, file: string, verb: string): Reply {
    const { id, commit, gated, files, lfs = /\.(safetensors|bin|gguf|pt)$/ } = repository;
    const headers = { "X-Repo-Commit": commit };
    if (gated) return refusal(403, "GatedRepo", `Access to model ${id} is restricted`, headers);
    const content = files[file];
    if (content === undefined) return refusal(404, "EntryNotFound", "Entry not found", headers);
    if (lfs.test(file)) {
      const linked = { "X-Linked-Etag": `"${sha256(content)}"`, "X-Linked-Size": String(content.length) };
      return redirect(302, `${this.cdn}/repos/${id}/${file}?X-Amz-Signature=0123`, { ...headers, ...linked });
    }
    // Small files are answered by a cache under another path of the same host.
    if (verb === "resolve") return redirect(307, `/api/resolve-cache/models/${id}/${commit}/${file}`, headers);
    const etag = { ETag: `"${gitBlobSha1(content)}"`, "Content-Type": "text/plain; charset=utf-8" };
    return { headers: { ...headers, ...etag }, body: content, ranges: true };
  }

  #cdnReply({ url = "" }: IncomingMessage): Reply {
    const [, id, file = ""] = /^\/repos\/([^/]+\/[^/]+)\/([^?]+)\?X-Amz-Signature=0123$/.exec(url) ?? [];
    const content = this.#repositories.find((each) => each.id === id)?.files[decodeURIComponent(file)];
    if (content === undefined) return { status: 403, body: "<Error><Code>AccessDenied</Code></Error>" };
    const headers = { ETag: '"an-etag-of-the-storage"', "Content-Type": "application/octet-stream" };
    return { headers, body: content, ranges: true };
  }
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const PATHS = [
  /^\/api\/(?<verb>resolve-cache)\/models\/(?<id>[^/]+\/[^/]+)\/(?<revision>[^/]+)\/(?<file>.+)$/,
  /^\/api\/models\/(?<id>.+?)(?:\/(?<verb>revision|tree|paths-info)\/(?<revision>.+?))?$/,
  /^\/(?<id>[^/]+(?:\/[^/]+)?)\/(?<verb>resolve)\/(?<revision>[^/]+)\/(?<file>.+)$/,
];

function parsePath(path: string): Partial<Record<"id" | "verb" | "revision" | "file", string>> {
  for (const pattern of PATHS) {
    const groups = pattern.exec(path)?.groups;
    if (groups) return groups;
  }
  return {};
}

export const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** git's hash of a file's content. */
export function gitBlobSha1(bytes: Uint8Array): string {
  return createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
}

function mayRead({ token }: HubRepository, { headers }: IncomingMessage): boolean {
  return token === undefined || headers.authorization === `Bearer ${token}`;
}

function tree({ files, lfs = /\.(safetensors|bin|gguf|pt)$/ }: HubRepository) {
  return Object.entries(files).map(([path, content]) => ({
    type: "file",
    path,
    size: content.length,
    oid: gitBlobSha1(content),
    ...(lfs.test(path) && { lfs: { oid: sha256(content), size: content.length, pointerSize: 135 } }),
  }));
}

function pathsInfo(repository: HubRepository, posted: string) {
  const { paths = [] } = JSON.parse(posted || "{}") as { paths?: string[] };
  const lastCommit = { id: repository.commit, title: "x", date: "2024-01-01T00:00:00.000Z" };
  const entries = tree(repository).filter(({ path }) => paths.includes(path));
  return entries.map((entry) => ({ ...entry, lastCommit }));
}

function describe({ id, commit, files, gated = false }: HubRepository) {
  const siblings = Object.keys(files).map((rfilename) => ({ rfilename }));
  return { _id: "0", id, modelId: id, sha: commit, private: false, gated, disabled: false, tags: [], siblings };
}

function json(value: unknown): Reply {
  return { headers: { "Content-Type": "application/json; charset=utf-8" }, body: JSON.stringify(value) };
}

function redirect(status: number, location: string, headers: Reply["headers"] = {}): Reply {
  return { status, headers: { ...headers, Location: location }, body: `Redirecting to ${location}` };
}

function refusal(status: number, code: string, message: string, headers: Reply["headers"] = {}): Reply {
  const reply = json({ error: message });
  return {
    ...reply,
    status,
    headers: { ...headers, ...reply.headers, "X-Error-Code": code, "X-Error-Message": message },
  };
}
