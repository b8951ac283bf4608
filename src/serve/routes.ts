import type { ServerResponse } from "node:http";
import { packageVersion } from "../util/package-version.js";
import { chatCompletions, responses } from "./chat.js";
import { completions } from "./completions.js";
import {
  chatFields,
  classifyFields,
  completionFields,
  detokenizeFields,
  embeddingFields,
  responseFields,
  scoreFields,
  tokenizeFields,
} from "./fields.js";
import { send, sendJson } from "./http.js";
import { gauge } from "./metrics.js";
import { openApi } from "./openapi.js";
import { sendPage } from "./page.js";
import { type JsonSchema, object, type Parsed, type Schema } from "./schema.js";
import type { Caller, Service } from "./service.js";
import { classify, detokenize, embeddings, score, tokenize, tokenizerInfo } from "./texts.js";

/** An endpoint. The router, validation and the OpenAPI document all follow the one table. */
export interface Route {
  readonly method: "GET" | "POST";
  /** `{model}` stands for a name. */
  readonly path: string;
  readonly summary: string;
  readonly body?: JsonSchema;
  /** The content type of an answer that is not JSON. */
  readonly type?: string;
  /** Whether it needs no key. */
  readonly open?: true;
  /** Whether its texts wait in the scheduler's queue: when that is full, a request is refused before it is read. */
  readonly waits?: true;
  /** Returns the answer, or writes it itself. */
  handle(service: Service, body: unknown, caller: Caller, response: ServerResponse): Promise<void>;
}

type Fields = Readonly<Record<string, Schema<unknown>>>;

function post<F extends Fields>(
  path: string,
  summary: string,
  fields: F,
  handle: (service: Service, body: Parsed<F>, caller: Caller, response: ServerResponse) => unknown,
): Route {
  const schema = object(fields);
  return {
    method: "POST",
    path,
    summary,
    body: schema.schema,
    handle: async (service, body, caller, response) => {
      const answer = await handle(service, schema.parse(body, ""), caller, response);
      if (answer !== undefined) sendJson(response, 200, answer);
    },
  };
}

const generating = (route: Route): Route => ({ ...route, waits: true });

function get(path: string, summary: string, answer: (service: Service, caller: Caller) => unknown): Route {
  return {
    method: "GET",
    path,
    summary,
    handle: async (service, _, caller, response) => sendJson(response, 200, answer(service, caller)),
  };
}

const modelCard = (service: Service, id: string) => ({
  id,
  object: "model",
  created: service.created,
  owned_by: "gpt2-ts",
  root: service.name,
  parent: id === service.name ? null : service.name,
  max_model_len: service.model.config.nCtx,
});

const models = (service: Service) => ({
  object: "list",
  data: [service.name, ...service.model.adapters].map((id) => modelCard(service, id)),
});

/** The state of each slot of the cache, without any text. */
const slots = (service: Service) => service.model.generation().scheduler.slots;

/** Before the name of a model. */
const NAMED = "/v1/models/";
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export const ROUTES: readonly Route[] = [
  generating(post("/v1/completions", "Continue prompts, or score them with echo", completionFields, completions)),
  generating(post("/v1/chat/completions", "The assistant's next message", chatFields, chatCompletions)),
  generating(post("/v1/responses", "A response, not stored", responseFields, responses)),
  post("/v1/embeddings", "A vector for each text", embeddingFields, embeddings),
  post("/v1/score", "The similarity of texts, or how likely one is after another", scoreFields, score),
  post("/v1/classify", "The label of each text, by a model fine-tuned for it", classifyFields, classify),
  post("/tokenize", "The token ids of a text", tokenizeFields, async (service, body) => tokenize(service, body)),
  post("/detokenize", "The text of token ids", detokenizeFields, async (service, body) => detokenize(service, body)),
  get("/tokenizer_info", "Special tokens and sizes", tokenizerInfo),
  get("/v1/models", "The model and its adapters", models),
  get(`${NAMED}{model}`, "One of them", (service, { path }) => modelNamed(service, decoded(path.slice(NAMED.length)))),
  get("/slots", "What the slots of the cache are doing", slots),
  { ...get("/health", "Whether the process lives", () => ({ status: "ok" })), open: true },
  {
    ...get("/ready", "Whether it takes requests", () => {}),
    handle: async ({ draining }, _, __, response) =>
      sendJson(response, draining ? 503 : 200, { status: draining ? "shutting down" : "ready" }),
  },
  {
    ...get("/metrics", "Counters and histograms, for Prometheus", () => {}),
    type: METRICS_TYPE,
    handle: async (service, _, __, response) => send(response, 200, METRICS_TYPE, metricsText(service)),
  },
  get("/version", "This package's version", () => ({ version: packageVersion() })),
  get("/openapi.json", "This document", ({ name }) => openApi(ROUTES, `gpt2 serve: ${name}`, packageVersion())),
  {
    ...get("/", "The page", () => {}),
    type: "text/html",
    // The page asks for the key itself.
    open: true,
    handle: async (_, __, ___, response) => sendPage(response),
  },
];

/** The endpoint of a path. */
export function routeOf(path: string): Route | undefined {
  const exact = ROUTES.find((route) => route.path === path);
  return exact ?? (path.startsWith(NAMED) ? ROUTES.find((route) => route.path.startsWith(NAMED)) : undefined);
}

function modelNamed(service: Service, id: string) {
  service.adapterOf(id);
  return modelCard(service, id);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

function metricsText(service: Service): string {
  const { running, waiting, waitingTokens, slots, steps } = service.model.generation().scheduler.status;
  return (
    service.metrics.text() +
    gauge("gpt2_sequences_running", "Sequences being computed.", running) +
    gauge("gpt2_sequences_waiting", "Sequences waiting.", waiting) +
    gauge("gpt2_waiting_tokens", "Prompt tokens of waiting sequences.", waitingTokens) +
    gauge("gpt2_requests_reading", "Requests over whole texts that wait or are computed.", service.reading) +
    gauge("gpt2_slots", "Slots of the cache.", slots) +
    gauge("gpt2_steps", "Scheduler steps since the start.", steps) +
    gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage().rss)
  );
}
