import type { ServerResponse } from "node:http";
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
import { sendJson } from "./http.js";
import { gauge } from "./metrics.js";
import { type JsonSchema, object, type Parsed, type Schema } from "./schema.js";
import type { Caller, Service } from "./service.js";
import { classify, detokenize, embeddings, score, tokenize, tokenizerInfo } from "./texts.js";

/** An endpoint. The router, validation and the OpenAPI document all follow the one table. */
export interface Route {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly summary: string;
  readonly body?: JsonSchema;
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

function get(path: string, summary: string, answer: (service: Service) => unknown): Route {
  return {
    method: "GET",
    path,
    summary,
    handle: async (service, _, __, response) => sendJson(response, 200, answer(service)),
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

export const ROUTES: readonly Route[] = [
  post("/v1/completions", "Continue prompts, or score them with echo", completionFields, completions),
  post("/v1/chat/completions", "The assistant's next message", chatFields, chatCompletions),
  post("/v1/responses", "A response, not stored", responseFields, responses),
  post("/v1/embeddings", "A vector for each text", embeddingFields, embeddings),
  post("/v1/score", "The similarity of texts, or how likely one is after another", scoreFields, score),
  post("/v1/classify", "The label of each text, by a model fine-tuned for it", classifyFields, classify),
  post("/tokenize", "The token ids of a text", tokenizeFields, async (service, body) => tokenize(service, body)),
  post("/detokenize", "The text of token ids", detokenizeFields, async (service, body) => detokenize(service, body)),
  get("/tokenizer_info", "Special tokens and sizes", tokenizerInfo),
  get("/v1/models", "The model and its adapters", models),
  get("/slots", "What the slots of the cache are doing", slots),
];

/** GET /v1/models/{id}. */
export function modelNamed(service: Service, id: string) {
  service.adapterOf(id);
  return modelCard(service, id);
}

/** GET /metrics. */
export function metricsText(service: Service): string {
  const { running, waiting, waitingTokens, slots, steps } = service.model.generation().scheduler.status;
  return (
    service.metrics.text() +
    gauge("gpt2_sequences_running", "Sequences being computed.", running) +
    gauge("gpt2_sequences_waiting", "Sequences waiting.", waiting) +
    gauge("gpt2_waiting_tokens", "Prompt tokens of waiting sequences.", waitingTokens) +
    gauge("gpt2_slots", "Slots of the cache.", slots) +
    gauge("gpt2_steps", "Scheduler steps since the start.", steps) +
    gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage().rss)
  );
}

/** The OpenAPI document of the routes. */
export function openApi(service: Service, version: string) {
  const error = { $ref: "#/components/schemas/Error" };
  const content = (schema: JsonSchema) => ({ content: { "application/json": { schema } } });
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, path, summary, body } of ROUTES) {
    paths[path] ??= {};
    paths[path][method.toLowerCase()] = {
      summary,
      ...(body && { requestBody: { required: true, ...content(body) } }),
      responses: {
        200: { description: "The answer", ...content({ type: "object" }) },
        default: { description: "An error", ...content(error) },
      },
    };
  }
  const text = { type: "string", nullable: true };
  const details = { message: { type: "string" }, type: { type: "string" }, param: text, code: text };
  return {
    openapi: "3.0.3",
    info: { title: `gpt2 serve: ${service.name}`, version },
    paths,
    components: {
      schemas: { Error: { type: "object", properties: { error: { type: "object", properties: details } } } },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
    security: [{ key: [] }],
  };
}
