/**
 * `npm run bench -- serve`: a server under load, over loopback, by vLLM's definitions.
 *
 *     npm run bench -- serve --model 124m-q8_0.gguf
 *     npm run bench -- serve --url http://127.0.0.1:8081 --name llama     another server, such as llama.cpp's
 *
 * For a comparison run both on a quiet machine, one after the other.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { RandomStream } from "../src/util/random.js";
import { type Limits, type Load, type LoadRequest, type LoadSummary, runLoad, send, summarise } from "./load-client.js";

const HELP = `npm run bench -- serve [options]
  --model NAME       model to serve (default: the package's own)
  --dtype TYPE       its storage dtype
  --threads N        threads that compute
  --url URL          measure a server that runs already
  --name NAME        its model's name
  --seconds N        time for each case with arrivals (default 20)
  --cases A,B        unloaded, at-8, at-32, at-80%, long-prompts, shared-prefix, overload (default: all)
  --json             print JSON`;

/** Of a chat: IETF's and vLLM's usual limits, in milliseconds. */
const LIMITS: Limits = { firstToken: 200, between: 50 };
const PROMPT = 128;
const OUTPUT = 64;
const LONG = 1000;

interface Target {
  readonly url: string;
  readonly model: string;
  stop(): Promise<void>;
}

/** Starts the server of this package in a process of its own. */
async function startOwn(flags: { model?: string; dtype?: string; threads?: string }): Promise<Target> {
  const args = ["dist/src/cli/main.js", "serve", "--port", "0", "--name", "bench", "--queue", "4096"];
  for (const name of ["model", "dtype", "threads"] as const) if (flags[name]) args.push(`--${name}`, flags[name]);
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface({ input: child.stderr });
  for await (const line of lines) {
    const url = / at (http:\S+)$/.exec(line)?.[1];
    if (url === undefined) process.stderr.write(`${line}\n`);
    else return { url, model: "bench", stop: () => stopChild(child) };
  }
  throw new Error("the server ended");
}

function stopChild(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGTERM");
  });
}

const random = new RandomStream(1);
/** Letters and spaces that any tokenizer of GPT-2 takes for about one token each. */
const WORDS =
  " the of and to in is you that it he was for on are as with his they at be this from have or by one had not".split(
    " ",
  );
const text = (tokens: number): string =>
  Array.from({ length: tokens }, () => ` ${WORDS[1 + random.below(WORDS.length - 1)]}`).join("");
const many = (count: number, prompt: number, output = OUTPUT): LoadRequest[] =>
  Array.from({ length: count }, () => ({ prompt: text(prompt), maxTokens: output }));

interface Case {
  readonly name: string;
  /** @param capacity requests a second that the server answers when it is full */
  load(capacity: number, seconds: number): Load;
}

const CASES: readonly Case[] = [
  { name: "unloaded", load: () => ({ requests: many(100, PROMPT, 8), concurrency: 1 }) },
  { name: "at-8", load: () => ({ requests: many(64, 16, 128), concurrency: 8 }) },
  { name: "at-32", load: () => ({ requests: many(128, 16, 128), concurrency: 32 }) },
  {
    name: "at-80%",
    load: (capacity, seconds) => {
      const rate = 0.8 * capacity;
      return { requests: many(Math.max(20, Math.round(rate * seconds)), PROMPT), rate, concurrency: 4096 };
    },
  },
  {
    name: "long-prompts",
    load: (_, seconds) => {
      const talking = many(4, 16, 40 * seconds);
      return { requests: [...talking, ...many(2 * seconds, LONG, 2)], concurrency: 5 };
    },
  },
  {
    name: "shared-prefix",
    load: () => {
      const prefix = text(512);
      return {
        requests: Array.from({ length: 40 }, () => ({ prompt: prefix + text(8), maxTokens: 2 })),
        concurrency: 1,
      };
    },
  },
  {
    name: "overload",
    load: (capacity, seconds) => {
      const rate = 4 * capacity;
      return { requests: many(Math.round(rate * seconds), PROMPT), rate, concurrency: 1e6 };
    },
  },
];

async function capacityOf(run: (load: Load) => Promise<LoadSummary>): Promise<number> {
  const { requestsPerSecond } = await run({ requests: many(96, PROMPT), concurrency: 32 });
  return requestsPerSecond;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      model: { type: "string" },
      dtype: { type: "string" },
      threads: { type: "string" },
      url: { type: "string" },
      name: { type: "string", default: "bench" },
      seconds: { type: "string", default: "20" },
      cases: { type: "string", default: CASES.map(({ name }) => name).join(",") },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) return console.log(HELP);
  const wanted = values.cases.split(",");
  const wrong = wanted.find((name) => !CASES.some((c) => c.name === name));
  if (wrong !== undefined) throw new Error(`no case ${wrong}\n${HELP}`);
  const target: Target = values.url
    ? { url: values.url, model: values.name, stop: async () => {} }
    : await startOwn(values);
  try {
    const run = async (load: Load): Promise<LoadSummary> => {
      const one = (request: LoadRequest) => send(target.url, target.model, request);
      const { timings, seconds } = await runLoad(load, one, () => random.uniform());
      return summarise(timings, seconds, LIMITS);
    };
    await run({ requests: many(4, PROMPT, 8), concurrency: 2 });
    const capacity = await capacityOf(run);
    if (!values.json)
      console.log(`capacity: ${capacity.toFixed(1)} requests/s of ${PROMPT} + ${OUTPUT} tokens\n${HEAD}`);
    const results: Record<string, LoadSummary> = {};
    for (const { name, load } of CASES.filter((c) => wanted.includes(c.name))) {
      results[name] = await run(load(capacity, Number(values.seconds)));
      if (!values.json) console.log(row(name, results[name]));
    }
    if (values.json) console.log(JSON.stringify({ capacity, results }, null, 2));
  } finally {
    await target.stop();
  }
}

const HEAD = `| load | requests | failed | tokens/s | requests/s | goodput | first token ms, median | p99 | between tokens ms, median | p99 | per token ms |
|---|---|---|---|---|---|---|---|---|---|---|`;

function row(name: string, s: LoadSummary): string {
  const ms = (x: number): string => x.toFixed(1);
  const counts = [s.requests, s.failed, s.throughput.toFixed(0), s.requestsPerSecond.toFixed(1), s.goodput.toFixed(1)];
  const times = [s.firstToken.median, s.firstToken.p99, s.between.median, s.between.p99, s.perToken.median].map(ms);
  return `| ${[name, ...counts, ...times].join(" | ")} |`;
}

await main();
