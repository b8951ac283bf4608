import { SAMPLER_STEPS } from "../generate/sampling/options.js";
import {
  anyOf,
  boolean,
  described,
  integer,
  json,
  list,
  number,
  object,
  oneOf,
  optional,
  record,
  refused,
  string,
  withDefault,
} from "./schema.js";

/** The fields of requests, with bounds for every number, text and list. Validation and the OpenAPI document both follow this table. */

const MOST_TEXT = 2 ** 20;
const MOST_IDS = 2 ** 16;
export const MOST_CHOICES = 128;
export const MOST_TOP_LOGPROBS = 20;
const tokenId = integer(0, 2 ** 31 - 1);
const text = string(MOST_TEXT);
const ids = list(tokenId, MOST_IDS, 1);
const stopText = string(256, { least: 1 });

const stop = optional(anyOf(stopText, list(stopText, 64)));
const model = optional(string(256, { about: "a model of /v1/models; the base model by default" }));
const user = optional(string(1024, { about: "ignored" }));

const schemaText = json("a JSON Schema, or its text");
const schema = optional(json("a JSON Schema"));
const expression = optional(string(100_000, { least: 1 }));
const grammar = optional(string(1_000_000, { least: 1, about: "GBNF" }));
const choice = optional(list(string(MOST_TEXT, { least: 1 }), 10_000, 1));

/** Constrained output: OpenAI's field, vLLM's, and vLLM's older ones. At most one constraint. */
export const constraintFields = {
  response_format: optional(
    object({
      type: oneOf(["text", "json_object", "json_schema"]),
      json_schema: optional(object({ name: optional(string(256)), schema, strict: optional(boolean()) })),
      schema,
    }),
  ),
  structured_outputs: optional(
    object({
      json: optional(schemaText),
      json_object: withDefault(boolean(), false),
      regex: expression,
      choice,
      grammar,
      disable_any_whitespace: withDefault(boolean("JSON without white space"), false),
      whitespace_pattern: refused("white space of any pattern"),
      structural_tag: refused("structural tags"),
    }),
  ),
  guided_json: optional(schemaText),
  guided_regex: expression,
  guided_choice: choice,
  guided_grammar: grammar,
};

export const samplingFields = {
  ...constraintFields,
  temperature: withDefault(number(0, 100), 1),
  top_p: withDefault(number(0, 1), 1),
  top_k: withDefault(integer(-1, 2 ** 31 - 1, "0 or -1: all"), 0),
  min_p: withDefault(number(0, 1), 0),
  typical_p: withDefault(number(0, 1), 1),
  top_n_sigma: withDefault(number(-1, 1000), 0),
  presence_penalty: withDefault(number(-2, 2), 0),
  frequency_penalty: withDefault(number(-2, 2), 0),
  repetition_penalty: withDefault(number(0.01, 100), 1),
  logit_bias: optional(record(/^\d{1,7}$/, number(-100, 100), 1024)),
  bad_words_ids: optional(list(list(tokenId, 64, 1), 256)),
  allowed_token_ids: optional(list(tokenId, MOST_IDS, 1)),
  min_tokens: withDefault(integer(0, MOST_IDS), 0),
  stop_token_ids: optional(list(tokenId, 256)),
  ignore_eos: withDefault(boolean(), false),
  dry_multiplier: withDefault(number(0, 100), 0),
  dry_base: withDefault(number(1, 100), 1.75),
  dry_allowed_length: withDefault(integer(1, 1024), 2),
  xtc_probability: withDefault(number(0, 1), 0),
  xtc_threshold: withDefault(number(0, 1), 0.1),
  dynatemp_range: withDefault(number(0, 100), 0),
  dynatemp_exponent: withDefault(number(0.01, 100), 1),
  mirostat_tau: withDefault(number(0, 100, "mirostat 2; 0: off"), 0),
  mirostat_eta: withDefault(number(0, 1), 0.1),
  sampler_order: optional(list(oneOf(SAMPLER_STEPS), SAMPLER_STEPS.length)),
  draft_tokens: withDefault(integer(0, 16, "most tokens that the served draft model proposes at once; 0: none"), 4),
  prompt_lookup: withDefault(integer(0, 64, "most tokens to draft by prompt lookup"), 0),
  seed: optional(integer(-(2 ** 53 - 1), 2 ** 53 - 1)),
  stop,
  n: withDefault(integer(1, MOST_CHOICES), 1),
  stream: withDefault(boolean(), false),
  stream_options: optional(object({ include_usage: withDefault(boolean(), false) })),
  priority: withDefault(integer(-1000, 1000, "requests of higher priority start first"), 0),
  cache_salt: withDefault(
    string(256, { about: "requests share cached prompts only with requests of the same salt" }),
    "",
  ),
  truncate_prompt: withDefault(boolean("use only the end of a prompt that is too long"), false),
  return_token_ids: withDefault(boolean(), false),
};

export const completionFields = {
  model,
  prompt: withDefault(anyOf(text, anyOf(ids, list(text, 256, 1)), list(ids, 256, 1)), ""),
  suffix: refused("GPT-2 cannot fill in the middle", ""),
  max_tokens: withDefault(integer(0, MOST_IDS), 16),
  best_of: optional(integer(1, MOST_CHOICES, "texts to choose the n likeliest from; of a beam search its beams")),
  use_beam_search: withDefault(boolean("the n likeliest texts, without sampling"), false),
  length_penalty: withDefault(
    number(-100, 100, "of a beam search: power of the length that divides log-probabilities"),
    1,
  ),
  early_stopping: withDefault(anyOf(boolean(), oneOf(["never"])), false),
  beam_groups: withDefault(integer(1, MOST_CHOICES, "of a beam search: groups that avoid each other's tokens"), 1),
  diversity_penalty: withDefault(number(0, 1000), 0),
  echo: withDefault(boolean(), false),
  logprobs: optional(integer(0, MOST_TOP_LOGPROBS)),
  user,
  ...samplingFields,
};

const content = anyOf(text, list(object({ type: oneOf(["text", "input_text", "output_text"]), text }), 64));
const message = object({ role: oneOf(["system", "developer", "user", "assistant"]), content });

export const chatFields = {
  model,
  messages: list(message, 1024, 1),
  max_tokens: optional(integer(1, MOST_IDS)),
  max_completion_tokens: optional(integer(1, MOST_IDS)),
  logprobs: withDefault(boolean(), false),
  top_logprobs: withDefault(integer(0, MOST_TOP_LOGPROBS), 0),
  reply_token_ids: optional(
    described(list(tokenId, MOST_IDS), "ids that the reply begins with: it goes on after them"),
  ),
  tools: refused("tools", []),
  tool_choice: refused("tools", "none", "auto"),
  functions: refused("functions", []),
  user,
  ...samplingFields,
};

export const responseFields = {
  model,
  input: anyOf(text, list(message, 1024, 1)),
  instructions: optional(text),
  max_output_tokens: optional(integer(1, MOST_IDS)),
  temperature: samplingFields.temperature,
  top_p: samplingFields.top_p,
  stream: samplingFields.stream,
  seed: samplingFields.seed,
  store: withDefault(boolean("nothing is stored"), false),
  previous_response_id: refused("responses are not stored"),
  tools: refused("tools", []),
  text: optional(object({ format: constraintFields.response_format })),
  user,
};

const inputs = anyOf(text, anyOf(ids, list(text, 2048, 1)), list(ids, 2048, 1));

export const embeddingFields = {
  model,
  input: inputs,
  encoding_format: withDefault(oneOf(["float", "base64"]), "float"),
  dimensions: refused("the model's vectors have one length"),
  truncate_prompt: withDefault(boolean(), false),
  user,
};

export const classifyFields = { model, input: inputs, user };

export const scoreFields = {
  model,
  text_1: anyOf(text, list(text, 256, 1)),
  text_2: anyOf(text, list(text, 256, 1)),
  kind: withDefault(
    oneOf(["similarity", "logprob"], "cosine of the texts' embeddings, or log-probability of text_2 after text_1"),
    "similarity",
  ),
};

export const tokenizeFields = {
  model,
  prompt: optional(text),
  content: optional(text),
  messages: optional(list(message, 1024, 1)),
  add_special_tokens: withDefault(boolean(), false),
  return_token_strs: withDefault(boolean(), false),
};

export const detokenizeFields = { model, tokens: list(tokenId, MOST_IDS) };
