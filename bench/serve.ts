/**
 * `npm run bench -- serve`: servers under load, over loopback, in vLLM's metrics: `gpt2 serve`, and in some cases the
 * same batch in process and llama.cpp's own server. bench/README.md has more.
 */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { gpt2Config } from "../src/architectures/gpt2/config.js";
import { packageFile } from "../src/util/package-root.js";
import { RandomStream } from "../src/util/random.js";
import { builtLlamaServer, modelFile, ownFile } from "./install.js";
import { MachineLimits } from "./limits.js";
import { type Load, type LoadRequest, type LoadSummary, runLoad, send, summarize } from "./load-client.js";
import { describeMachine, thisMachine } from "./machine.js";
import { SEED } from "./options.js";
import type { Setup, WeightType } from "./protocol.js";
import { replaceSection } from "./report.js";
import { CASES, CHAT, many, OUTPUT, PROMPT, QUESTIONS, type ServeCase } from "./serve-cases.js";
import { type RunningTarget, type ServerOptions, startLlama, startOwn } from "./servers.js";

const HELP = `npm run bench -- serve [options]
  --model FILE       model to serve (default: GPT-2 124M of seeded weights)
  --type TYPE        their storage dtype (default q8_0)
  --threads N        of every server (all processors)
  --slots N          texts computed side by side (32)
  --cases A,B        ${CASES.map(({ name }) => name).join(", ")} (all)
  --seconds N        of each case with arrivals (20)
  --overload N       seconds of the last (600)
  --peers NAMES      llama.cpp, or none (llama.cpp)
  --url URL          measure a server that runs already, and nothing else
  --name NAME        its model's name
  --json FILE        write everything measured; --with FILE keeps an earlier run's other cases
  --write-docs       replace the table of docs/performance.md
  --cache DIR        for programs and model files`;

const run = promisify(execFile);
const log = (line: string): boolean => process.stderr.write(`${line}\n`);
const random = new RandomStream(2);

interface Row extends LoadSummary {
  readonly case: string;
  readonly server: string;
}

const { values: flags } = parseArgs({
  args: process.argv.slice(3),
  options: {
    model: { type: "string" },
    type: { type: "string", default: "q8_0" },
    threads: { type: "string", default: `${availableParallelism()}` },
    slots: { type: "string", default: "32" },
    cases: { type: "string", default: CASES.map(({ name }) => name).join(",") },
    seconds: { type: "string", default: "20" },
    overload: { type: "string", default: "600" },
    peers: { type: "string", default: "llama.cpp" },
    url: { type: "string" },
    name: { type: "string", default: "bench" },
    json: { type: "string" },
    with: { type: "string" },
    "write-docs": { type: "boolean" },
    cache: { type: "string", default: process.env.GPT2_BENCH_CACHE || join(tmpdir(), "gpt2-ts-bench") },
    help: { type: "boolean" },
  },
});

/** A load on a server; answers are compared with the known ones. */
async function measure(target: RunningTarget, load: Load, limits = CHAT, known?: Map<string, string>) {
  const one = (request: LoadRequest) => send(target.url, target.model, request);
  const before = target.memory();
  const { timings, seconds } = await runLoad(load, one, () => random.uniform());
  const summary = summarize(timings.slice(load.skip ?? 0), seconds, limits);
  const wrong = known ? timings.filter((t) => t.ok && known.get(t.prompt) !== t.text).length : undefined;
  return { ...summary, ...(wrong !== undefined && { wrong }), memory: [before, target.memory()] as const };
}

/** Files, programs and servers of a run. */
async function prepare(): Promise<{ own: string; llama?: { program: string; file: string } }> {
  const { model, cache } = flags;
  if (model !== undefined) return { own: model };
  const type = flags.type as WeightType;
  const adamw = { learningRate: 0, beta1: 0, beta2: 0, epsilon: 0, weightDecay: 0, maxNorm: 0 };
  const base = {
    config: gpt2Config("gpt2"),
    seed: SEED,
    type,
    threads: Number(flags.threads),
    kind: "generate",
    adamw,
  };
  const setup = base as unknown as Setup;
  const own = await ownFile(setup, cache);
  if (flags.peers === "none") return { own };
  const program = await builtLlamaServer(cache);
  return { own, llama: { program, file: await modelFile("make_gguf.py", ".gguf")(setup, cache) } };
}

async function inProcess(options: ServerOptions, { requests, concurrency }: Load): Promise<number> {
  const script = fileURLToPath(new URL("./serve-in-process.js", import.meta.url));
  const { stdout } = await run(process.execPath, [script, JSON.stringify({ ...options, requests, concurrency })]);
  return Number(stdout);
}

async function main(): Promise<void> {
  if (flags.help) return console.log(HELP);
  const wanted = flags.cases.split(",");
  const wrong = wanted.find((name) => !CASES.some((c) => c.name === name));
  if (wrong !== undefined) throw new Error(`no case ${wrong}\n${HELP}`);
  const cases = CASES.filter(({ name }) => wanted.includes(name));
  const load = loadavg()[0]!;
  const rows: Row[] = [];
  if (flags.url !== undefined) {
    const url = { name: "server", url: flags.url, model: flags.name, memory: () => undefined, stop: async () => {} };
    await measureCases(cases, rows, async () => url);
  } else {
    const { own, llama } = await prepare();
    const options = { file: own, threads: Number(flags.threads), slots: Number(flags.slots), queue: 512 };
    await measureCases(
      cases,
      rows,
      (queue) => startOwn({ ...options, queue }),
      async (each, given) => {
        rows.push(plainRow(each.name, "in process", await inProcess(options, given)));
        if (!llama) return;
        const peer = await startLlama(llama.program, { ...options, file: llama.file });
        try {
          await measure(peer, { requests: many(4, PROMPT, 8), concurrency: 2 });
          rows.push({ case: each.name, server: peer.name, ...(await measure(peer, given)) });
        } finally {
          await peer.stop();
        }
      },
    );
  }
  await report(rows, load);
}

/** Runs the cases one after the other; each queue size needs its own server. */
async function measureCases(
  cases: readonly ServeCase[],
  rows: Row[],
  start: (queue: number) => Promise<RunningTarget>,
  compare?: (each: ServeCase, load: Load) => Promise<void>,
): Promise<void> {
  for (const queue of new Set(cases.map((c) => c.queue ?? 512))) {
    const target = await start(queue);
    try {
      await measure(target, { requests: many(4, PROMPT, 8), concurrency: 2 });
      const capacity = (
        await measure(target, { requests: many(96, PROMPT), concurrency: 32 - 16 * Number(queue < 32) })
      ).requestsPerSecond;
      log(`capacity: ${capacity.toFixed(1)} requests/s of ${PROMPT} + ${OUTPUT} tokens`);
      for (const each of cases.filter((c) => (c.queue ?? 512) === queue)) {
        const load = each.load(capacity, Number(each.name === "overload" ? flags.overload : flags.seconds));
        const known = load.requests.some((request) => request.known) ? await answers(target) : undefined;
        const row = { case: each.name, server: target.name, ...(await measure(target, load, each.limits, known)) };
        rows.push(row);
        log(rowText(row));
        if (each.compared) await compare?.(each, load);
      }
    } finally {
      await target.stop();
    }
  }
}

/** The answer to each question when it is sent alone. */
async function answers(target: RunningTarget): Promise<Map<string, string>> {
  const known = new Map<string, string>();
  for (const question of QUESTIONS) {
    const { prompt, text } = await send(target.url, target.model, { ...question, salt: "alone" });
    known.set(prompt, text);
  }
  return known;
}

/** Figures without times. */
function plainRow(name: string, server: string, throughput: number): Row {
  const none = { median: Number.NaN, p99: Number.NaN };
  const times = { firstToken: none, between: none, perToken: none, refusals: none };
  return {
    case: name,
    server,
    requests: 0,
    failed: 0,
    refused: 0,
    throughput,
    requestsPerSecond: 0,
    goodput: 0,
    ...times,
  };
}

async function report(measured: readonly Row[], load: number): Promise<void> {
  const earlier =
    flags.with === undefined ? [] : (JSON.parse(readFileSync(flags.with, "utf8")) as { rows: Row[] }).rows;
  const again = new Set(measured.map((row) => row.case));
  const order = CASES.map(({ name }) => name);
  const rows = [...earlier.filter((row) => !again.has(row.case)), ...measured].sort(
    (a, b) => order.indexOf(a.case) - order.indexOf(b.case),
  );
  const limits = await MachineLimits.compile(Number(flags.threads)).catch(() => undefined);
  const machine = describeMachine(thisMachine(limits?.instructionSets ?? []));
  await limits?.close();
  // Files and folders are the reader's own.
  const options = (["type", "threads", "slots", "cases", "seconds", "overload", "peers"] as const).filter((name) =>
    process.argv.includes(`--${name}`),
  );
  const words = options.map((name) => ` --${name} ${flags[name]}`).join("");
  const command = `npm run bench -- serve${words}`;
  const caption = `${machine}, load ${load.toFixed(1)} before; \`${command}\``;
  const body = [caption, [HEAD, ...rows.map(rowText)].join("\n"), explanations(rows)].join("\n\n");
  console.log(body);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify({ machine, command, rows }, null, 1)}\n`);
  if (!flags["write-docs"]) return;
  const doc = packageFile("docs/performance.md");
  writeFileSync(doc, replaceSection(readFileSync(doc, "utf8"), "serve", body));
}

const explanations = (rows: readonly Row[]): string =>
  CASES.filter(({ name }) => rows.some((row) => row.case === name))
    .map(({ name, about, limits = CHAT }) => {
      return `- \`${name}\`: ${about}; goodput counts first tokens within ${limits.firstToken} ms and gaps of at most ${limits.between} ms`;
    })
    .join("\n");

const HEAD = `| load | server | requests | refused, failed, wrong | tokens/s | requests/s | goodput | first token ms, median | p99 | between tokens ms, median | p99 | refusal ms, median | p99 | MiB before, after |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|`;

function rowText(row: Row): string {
  const ms = (x: number): string => (Number.isNaN(x) ? "-" : x.toFixed(1));
  const plain = row.requests === 0;
  const counts = plain ? ["-", "-"] : [row.requests, `${row.refused}, ${row.failed}, ${row.wrong ?? "-"}`];
  const rates = [
    row.throughput.toFixed(0),
    ...(plain ? ["-", "-"] : [row.requestsPerSecond, row.goodput].map((x) => x.toFixed(1))),
  ];
  const refusals = row.refused > 0 ? [row.refusals.median, row.refusals.p99].map(ms) : ["-", "-"];
  const times = [row.firstToken.median, row.firstToken.p99, row.between.median, row.between.p99].map(ms);
  const memory =
    row.memory?.map((bytes) => (bytes === undefined ? "-" : (bytes / 2 ** 20).toFixed(0))).join(", ") ?? "-";
  return `| ${[row.case, row.server, ...counts, ...rates, ...times, ...refusals, memory].join(" | ")} |`;
}

await main();
