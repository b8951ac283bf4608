import { RandomStream } from "../src/util/random.js";
import type { Limits, Load, LoadRequest } from "./load-client.js";

/** Numbers of prompt and output tokens of most requests. */
export const PROMPT = 128;
export const OUTPUT = 64;
const LONG = 1000;
const PREFIX = 512;

/** Usual limits of a chat, in milliseconds: IETF's draft and vLLM's. */
export const CHAT: Limits = { firstToken: 200, between: 50 };
/** Limits where requests queue up: an accepted request gets its first token within two seconds. */
const QUEUED: Limits = { firstToken: 2000, between: 50 };

const random = new RandomStream(1);
/** Words that are one token each in any tokenizer of GPT-2. */
const WORDS =
  " the of and to in is you that it he was for on are as with his they at be this from have or by one had not".split(
    " ",
  );
const text = (tokens: number): string =>
  Array.from({ length: tokens }, () => ` ${WORDS[1 + random.below(WORDS.length - 1)]}`).join("");
export const many = (count: number, prompt: number, output = OUTPUT): LoadRequest[] =>
  Array.from({ length: count }, () => ({ prompt: text(prompt), maxTokens: output }));

/** Requests that are repeated, and computed each time, so that answers can be compared. */
const QUESTIONS = many(16, PROMPT);
const repeated = (count: number): LoadRequest[] =>
  Array.from({ length: count }, (_, i) => ({ ...QUESTIONS[i % QUESTIONS.length]!, salt: `${i}`, known: true }));

export { QUESTIONS };

export interface ServeCase {
  readonly name: string;
  readonly about: string;
  /** Whether peers, and the same batch in process, are measured too. */
  readonly compared?: true;
  /** Number of texts that may wait; further requests are refused. */
  readonly queue?: number;
  readonly limits?: Limits;
  /** @param capacity requests per second that the saturated server answers */
  load(capacity: number, seconds: number): Load;
}

const arrivals = (rate: number, seconds: number, requests: (count: number) => LoadRequest[]): Load => {
  return { requests: requests(Math.max(20, Math.round(rate * seconds))), rate, concurrency: 1e6 };
};
const prompts = (count: number): LoadRequest[] => many(count, PROMPT);
const QUEUE = 16;

export const CASES: readonly ServeCase[] = [
  {
    name: "unloaded",
    about: `one at a time, ${PROMPT} + 8 tokens`,
    load: () => ({ requests: many(100, PROMPT, 8), concurrency: 1 }),
  },
  {
    name: "at-8",
    about: "8 at once, 16 + 128 tokens",
    compared: true,
    load: () => ({ requests: many(64, 16, 128), concurrency: 8 }),
  },
  {
    name: "at-32",
    about: "32 at once, 16 + 128 tokens",
    compared: true,
    load: () => ({ requests: many(128, 16, 128), concurrency: 32 }),
  },
  {
    name: "at-80%",
    about: `80% of the capacity, ${PROMPT} + ${OUTPUT} tokens`,
    load: (capacity, seconds) => arrivals(0.8 * capacity, seconds, prompts),
  },
  {
    name: "long-prompts",
    about: `4 texts that go on while prompts of ${LONG} arrive, one after the other`,
    load: (_, seconds) => {
      const talking = many(4, 16, 900);
      return { requests: [...talking, ...many(2 * seconds, LONG, 2)], concurrency: 5 };
    },
  },
  {
    name: "prefix-alone",
    about: `prompts of ${PREFIX + 8}, nothing shared`,
    load: () => ({ requests: many(20, PREFIX + 8, 2), concurrency: 1 }),
  },
  {
    name: "prefix-shared",
    about: `prompts of ${PREFIX + 8} that share ${PREFIX}, cached`,
    load: () => {
      const prefix = text(PREFIX);
      const requests = Array.from({ length: 41 }, () => ({ prompt: prefix + text(8), maxTokens: 2 }));
      return { requests, concurrency: 1, skip: 1 };
    },
  },
  {
    name: "at-100%",
    about: `the capacity, ${QUEUE} may wait`,
    queue: QUEUE,
    limits: QUEUED,
    load: (capacity, seconds) => arrivals(capacity, seconds, repeated),
  },
  {
    name: "overload",
    about: `4 times the capacity, ${QUEUE} may wait`,
    queue: QUEUE,
    limits: QUEUED,
    load: (capacity, seconds) => arrivals(4 * capacity, seconds, repeated),
  },
];
