/**
 * Hugging Face transformers' results for small random BERTs: test/fixtures/bert, by
 * scripts/python/make_bert_fixture.py.
 */
import { readFileSync } from "node:fs";
import { packageFile } from "../../src/util/package-root.js";
import { readTensorsAt } from "./peft-fixtures.js";

export const BERT_FIXTURES = packageFile("test/fixtures/bert");
export const bertFolder = (name: string): string => `${BERT_FIXTURES}/${name}`;

interface Label {
  readonly label: string;
  readonly score: number;
}

interface Filled {
  readonly score: number;
  readonly token: number;
  readonly token_str: string;
  readonly sequence: string;
}

export interface BertExpected {
  readonly pairs: readonly (readonly [string, string])[];
  readonly pretraining: {
    readonly ids: readonly (readonly number[])[];
    readonly types: readonly (readonly number[])[];
    readonly lengths: readonly number[];
    readonly labels: readonly (readonly number[])[];
    readonly next: readonly number[];
    readonly loss: number;
    readonly losses: readonly number[];
  };
  readonly masks: {
    readonly one: { readonly text: string; readonly filled: readonly Filled[] };
    readonly targets: {
      readonly text: string;
      readonly targets: readonly string[];
      readonly filled: readonly Filled[];
    };
    readonly two: { readonly text: string; readonly filled: readonly (readonly Filled[])[] };
  };
  /** By minicons, of the model `masked`. */
  readonly likelihoods: {
    readonly texts: readonly string[];
    readonly original: readonly number[];
    readonly "word-l2r": readonly number[];
  };
  /** DistilBERTs. */
  readonly distilled: { readonly text: string; readonly filled: readonly Filled[]; readonly labels: readonly Label[] };
  readonly sequence: {
    readonly text: string;
    readonly labels: readonly Label[];
    readonly pair: readonly [string, string];
    readonly pairLabels: readonly Label[];
    readonly targets: readonly number[];
    readonly loss: number;
  };
  readonly tokens: {
    readonly text: string;
    readonly labelled: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
    readonly targets: readonly (readonly number[])[];
    readonly loss: number;
  };
  readonly spans: {
    readonly question: string;
    readonly context: string;
    readonly answers: readonly {
      readonly top_k: number;
      readonly max_answer: number;
      readonly max_length: number;
      readonly stride: number;
      readonly none: boolean;
      readonly answers: readonly { score: number; start: number; end: number; answer: string }[];
    }[];
    readonly starts: readonly number[];
    readonly ends: readonly number[];
    readonly loss: number;
  };
}

export const BERT_EXPECTED = JSON.parse(readFileSync(bertFolder("expected.json"), "utf8")) as BertExpected;
export const BERT_VALUES = readTensorsAt(bertFolder("values.safetensors"));
