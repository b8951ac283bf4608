import { type ClientRequest, request } from "node:http";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import type { SchedulerOptions } from "../../src/generate/scheduler.js";
import { GPT2 } from "../../src/gpt2.js";
import { type RunningServer, type ServeOptions, serve } from "../../src/serve/server.js";
import { byteTokenizer, seededWeights } from "../generate/models.js";

/** A model of random weights over bytes that has room for texts. */
export const CONFIG = gpt2Config({ vocabSize: 257, nCtx: 96, nEmbd: 24, nHead: 3, nLayer: 2 });

export async function servedModel(scheduling?: SchedulerOptions, on?: Backend, config = CONFIG): Promise<GPT2> {
  const backend = on ?? (await referenceBackend());
  const parts = { backend, config, weights: seededWeights(backend, config, 1), tokenizer: byteTokenizer() };
  return new GPT2(parts, scheduling);
}

export interface Served {
  readonly server: RunningServer;
  readonly model: GPT2;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what tests look into
  readonly json: any;
}

export async function served(
  options: Partial<ServeOptions> = {},
  scheduling?: SchedulerOptions,
  on?: Backend,
): Promise<Served> {
  const model = await servedModel(scheduling, on);
  const server = await serve(model, { name: "tiny", port: 0, ...options });
  const call = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(server.url + path, init);
    const text = await response.text();
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      json = undefined;
    }
    return { status: response.status, headers: response.headers, text, json };
  };
  return {
    server,
    model,
    post: (path, body, headers = {}) =>
      call(path, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    get: (path, headers = {}) => call(path, { headers }),
    close: async () => {
      await server.close(2000);
      await model.dispose();
    },
  };
}

/** The data of server-sent events. */
// biome-ignore lint/suspicious/noExplicitAny: what tests look into
export const eventsOf = (text: string): any[] =>
  text
    .split("\n\n")
    .flatMap((event) => event.split("\n").filter((line) => line.startsWith("data: ")))
    .map((line) => (line === "data: [DONE]" ? "[DONE]" : JSON.parse(line.slice(6))));

/** A request by Node's own client, which lets a test set any header and disconnect at any time. */
export function rawRequest(url: string, headers: Record<string, string>, body: string): ClientRequest {
  const sent = request(url, { method: "POST", headers: { "content-type": "application/json", ...headers } });
  sent.on("error", () => {});
  sent.end(body);
  return sent;
}
