/** Hugging Face transformers' results for small seeded GPT-Neos: test/fixtures/gpt-neo, by make_gpt_neo_fixture.py. */
import { readFileSync } from "node:fs";
import type { ModelConfig } from "../../src/architectures/config.js";
import { GPT_NEO_HUGGING_FACE } from "../../src/architectures/gpt-neo/formats/huggingface.js";
import { tensorTable } from "../../src/architectures/registry.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { JsonObject } from "../../src/checkpoint/strict-json.js";
import { packageFile } from "../../src/util/package-root.js";
import { seededTokens } from "./seeded-weights.js";

export const GPT_NEO_FIXTURES = packageFile("test/fixtures/gpt-neo");

export interface GPTNeoCase {
  readonly name: string;
  readonly config: ModelConfig;
  /** config.json. */
  readonly json: JsonObject;
  readonly batch: number;
  readonly length: number;
  /** Ids [B, T]. */
  readonly inputs: readonly number[];
  readonly targets: readonly number[];
  readonly loss: number;
  /** [B, T, V] */
  readonly logits: Float32Array;
  /** Of the mean loss, by name. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** Greedy decoding by full forward passes; `margins` holds each chosen logit's lead over the next. */
  readonly greedy: {
    readonly prompt: readonly number[];
    readonly ids: readonly number[];
    readonly margins: readonly number[];
  };
}

interface Cases {
  readonly seed: number;
  readonly tokensLabel: number;
  readonly cases: readonly (Pick<GPTNeoCase, "name" | "batch" | "length" | "loss" | "greedy"> & {
    readonly config: JsonObject;
  })[];
}

const { seed, tokensLabel, cases } = JSON.parse(readFileSync(`${GPT_NEO_FIXTURES}/cases.json`, "utf8")) as Cases;
const values = new Float32Array(new Uint8Array(readFileSync(`${GPT_NEO_FIXTURES}/values.bin`)).buffer);

/** The seed of `seededTensors(config, seed)`. */
export const GPT_NEO_SEED = seed;

let at = 0;
const next = (count: number): Float32Array => values.subarray(at, (at += count));

export const GPT_NEO_CASES: readonly GPTNeoCase[] = cases.map(({ config: json, ...rest }) => {
  const { batch: B, length: T } = rest;
  const config = GPT_NEO_HUGGING_FACE.readConfig(json, "config.json");
  const ids = seededTokens(config, seed, tokensLabel, B * (T + 1));
  const rows = (from: number): number[] =>
    Array.from({ length: B }, (_, b) => [...ids.subarray(b * (T + 1) + from, b * (T + 1) + from + T)]).flat();
  const logits = next(B * T * config.vocabSize);
  const gradients = new Map(tensorTable(config).map(({ name, shape }) => [name, next(numel(shape))]));
  return { ...rest, config, json, inputs: rows(0), targets: rows(1), logits, gradients };
});

if (at !== values.length) throw new Error(`values.bin has ${values.length} values, not ${at}`);
