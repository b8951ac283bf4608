import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { UsageError } from "../errors.js";
import { generateSettings } from "../generate/options.js";
import type { WatermarkOptions } from "../generate/watermark/options.js";
import type { GPT2 } from "../gpt2.js";
import { checkOptionNames, type OptionNames } from "../util/nearest.js";
import { printable } from "../util/printable.js";
import { ApiError } from "./api-error.js";
import { allowedHosts, Gate, isLoopback } from "./gate.js";
import { Bodies, sendError } from "./http.js";
import { type Route, routeOf } from "./routes.js";
import { apiErrorOf, type Caller, Service, type ServiceLimits } from "./service.js";

export interface ServeOptions extends Partial<ServiceLimits> {
  /** The model's name in the API. */
  readonly name: string;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly keys?: readonly string[] | undefined;
  /** Allow other machines to call without a key. */
  readonly open?: boolean | undefined;
  readonly allowHosts?: readonly string[] | undefined;
  readonly allowOrigins?: readonly string[] | undefined;
  /** Marks all texts that are generated; `verifyWatermark` with the same options finds the mark. */
  readonly watermark?: WatermarkOptions | undefined;
  /** A smaller model of the same vocabulary that drafts tokens. The caller disposes of it. */
  readonly draft?: GPT2 | undefined;
  /** Called after each request. */
  readonly onRequest?: ((line: RequestLine) => void) | undefined;
}

export interface RequestLine {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly milliseconds: number;
}

export interface RunningServer {
  readonly url: string;
  /** @internal For the command's status line. */
  readonly service: Service;
  /** Requests being answered. */
  readonly active: number;
  /** Refuses new requests, waits up to so many milliseconds for those being answered, then aborts them. */
  close(graceMs?: number): Promise<void>;
}

const OPTIONS: OptionNames<ServeOptions> = {
  name: true,
  host: true,
  port: true,
  keys: true,
  open: true,
  allowHosts: true,
  allowOrigins: true,
  draft: true,
  onRequest: true,
  queue: true,
  queueTokens: true,
  timeout: true,
  stall: true,
  watermark: true,
};
const DEFAULTS: ServiceLimits = { queue: 512, queueTokens: 2 ** 18, timeout: 600, stall: 30 };
const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
};

/** Serves a model over HTTP: OpenAI's API, and a page at `/`. The caller keeps the model, and disposes of it. */
export async function serve(model: GPT2, options: ServeOptions): Promise<RunningServer> {
  checkOptionNames("serving", options, OPTIONS);
  const {
    name,
    host = "127.0.0.1",
    port = 8080,
    keys = [],
    open = false,
    allowHosts = [],
    allowOrigins = [],
  } = options;
  if (!isLoopback(host) && keys.length === 0 && !open) {
    const hint = "Set a key (GPT2_API_KEY or --api-key-file), or use --open";
    throw new UsageError({
      op: `listening on ${host}`,
      expected: "an API key, because other machines can call",
      got: "none",
      hint,
    });
  }
  const short = keys.find((key) => key.length < 8);
  if (short !== undefined) {
    throw new UsageError({ op: "API key", expected: "at least 8 characters", got: String(short.length) });
  }
  if (!(Number.isInteger(port) && port >= 0 && port < 2 ** 16)) {
    throw new UsageError({ op: "port", expected: "a number from 0 to 65535", got: String(port) });
  }
  const { queue = DEFAULTS.queue, queueTokens = DEFAULTS.queueTokens } = options;
  const timeout = checkedSeconds("timeout", options.timeout ?? DEFAULTS.timeout);
  const stall = checkedSeconds("stall", options.stall ?? DEFAULTS.stall);
  // Refuses a draft model of another vocabulary.
  if (options.draft) await model.drafting(options.draft, undefined, generateSettings({}));
  const limits = { queue, queueTokens, timeout, stall };
  const service = new Service(model, name, limits, options.watermark, options.draft);
  const hosts = isLoopback(host) || allowHosts.length > 0 ? allowedHosts(host, allowHosts) : undefined;
  const gate = new Gate({ keys, hosts, origins: allowOrigins });
  const app = new App(service, gate, options.onRequest);
  const server = createServer(
    { maxHeaderSize: 16_384, requestTimeout: 60_000, headersTimeout: 20_000, keepAliveTimeout: 20_000 },
    (request, response) => void app.answer(request, response),
  );
  server.maxConnections = 4096;
  await listen(server, host, port);
  const address = server.address();
  const bound = typeof address === "object" && address ? address.port : port;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    service,
    get active() {
      return app.active;
    },
    close: (graceMs = 30_000) => app.close(server, Math.min(graceMs, 1000 * MOST_SECONDS)),
  };
}

/** Timers count milliseconds in 31 bits, and fire at once if there are more. */
const MOST_SECONDS = 2_147_483;

function checkedSeconds(op: string, seconds: number): number {
  if (seconds >= 0 && seconds <= MOST_SECONDS) return seconds;
  throw new UsageError({ op, expected: `seconds from 0 to ${MOST_SECONDS}`, got: String(seconds) });
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // Later errors, of connections that could not be accepted, end none of the others.
    server.on("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      const got = taken ? "one that is in use" : error.message;
      reject(new UsageError({ op: `listening on ${host}:${port}`, expected: "a free address", got, cause: error }));
    });
    server.listen(port, host, () => resolve());
  });
}

/** Answers requests. */
class App {
  readonly #service: Service;
  readonly #gate: Gate;
  readonly #onRequest: ((line: RequestLine) => void) | undefined;
  readonly #controllers = new Set<AbortController>();
  readonly #bodies = new Bodies();

  constructor(service: Service, gate: Gate, onRequest: ((line: RequestLine) => void) | undefined) {
    this.#service = service;
    this.#gate = gate;
    this.#onRequest = onRequest;
  }

  get active(): number {
    return this.#controllers.size;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const start = performance.now();
    const { timeout, stall } = this.#service.limits;
    const path = (request.url ?? "/").split("?")[0]!;
    const route = routeOf(path);
    const id = request.headers["x-request-id"];
    response.setHeader("x-request-id", isPlainId(id) ? id : this.#service.newId("req"));
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const controller = new AbortController();
    // A connection error means that the client left.
    request.on("error", () => controller.abort());
    response.on("error", () => controller.abort());
    response.on("close", () => {
      clearTimeout(timer);
      if (!response.writableFinished) controller.abort();
      this.#note(request, response, route, start);
    });
    // Once it is closing, an answer that nobody reads ends with its connection.
    response.on("prefinish", () => response.socket?.setTimeout(1000 * stall));
    this.#controllers.add(controller);
    const timer = setTimeout(() => {
      if (response.writableEnded) response.destroy();
      else controller.abort(new ApiError(504, "The request took too long", { code: "timeout" }));
    }, 1000 * timeout);
    try {
      await this.#dispatch(request, response, route, { path, signal: controller.signal, start });
    } catch (error) {
      this.#fail(response, error, controller.signal);
    } finally {
      this.#controllers.delete(controller);
      request.resume();
    }
  }

  async #dispatch(
    request: IncomingMessage,
    response: ServerResponse,
    route: Route | undefined,
    context: Omit<Caller, "key">,
  ): Promise<void> {
    // A program that watches the process may call it by any name.
    if (route?.path !== "/health") this.#gate.checkSource(request);
    for (const [name, value] of Object.entries(this.#gate.corsHeaders(request))) response.setHeader(name, value);
    const method = request.method === "HEAD" ? "GET" : request.method;
    if (method === "OPTIONS") return void response.writeHead(204).end();
    const key = route?.open ? "" : this.#gate.keyOf(request);
    if (!route) throw new ApiError(404, "There is no such endpoint", { code: "not_found" });
    if (route.method !== method) {
      response.setHeader("allow", route.method);
      throw new ApiError(405, `This endpoint takes ${route.method}`, { code: "method_not_allowed" });
    }
    if (route.body && !/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
      throw new ApiError(415, "The body has to be application/json", { code: "unsupported_media_type" });
    }
    if (route.waits) this.#service.admit(1, 0);
    const body = route.body ? await this.#bodies.readJson(request) : undefined;
    await route.handle(this.#service, body, { ...context, key }, response);
  }

  #fail(response: ServerResponse, error: unknown, signal: AbortSignal): void {
    if (response.destroyed || (signal.aborted && !(signal.reason instanceof ApiError))) {
      response.destroy();
      return;
    }
    const known = apiErrorOf(signal.aborted ? signal.reason : error);
    if (known.status === 500) console.error(printable(error instanceof Error ? String(error.stack) : String(error)));
    // A stream has sent its status already: the error becomes an event.
    if (response.headersSent) response.end(`data: ${JSON.stringify(known.body)}\n\n`);
    else sendError(response, known);
  }

  #note(
    { method = "", url = "/" }: IncomingMessage,
    { statusCode: status }: ServerResponse,
    route: Route | undefined,
    start: number,
  ): void {
    const milliseconds = performance.now() - start;
    const { requests, whole } = this.#service.metrics;
    requests.add(1, { path: route?.path ?? "other", status: String(status) });
    if (route?.body) whole.observe(milliseconds / 1000);
    this.#onRequest?.({ method, path: url.split("?")[0]!, status, milliseconds });
  }

  async close(server: Server, graceMs: number): Promise<void> {
    this.#service.draining = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const controller of this.#controllers) controller.abort(new ApiError(503, "The server is shutting down"));
      setTimeout(() => server.closeAllConnections(), 1000).unref();
    }, graceMs);
    while (this.#controllers.size > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    server.closeIdleConnections();
    await closed;
    clearTimeout(timer);
  }
}

const isPlainId = (id: unknown): id is string => typeof id === "string" && /^[\w.-]{1,128}$/.test(id);
