/**
 * `npm run bench`: this package beside other people's programs and the machine's own limits. See bench/README.md.
 *
 *     npm run bench -- [limits] [train] [prefill] [decode] [CASE …] [--peers NAMES] [--repeats N] [--threads N] …
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { type GPT2Config, gpt2Config, isPreset } from "../src/model/config.js";
import { packageFile } from "../src/util/package-root.js";
import { checkTask, disagreement, expectedOf } from "./agreement.js";
import { allCases, type Case, chooseCases, grouped } from "./cases.js";
import { type Contender, canDo, chooseContenders, takesPart } from "./contenders.js";
import { type LimitRow, MachineLimits } from "./limits.js";
import { describeMachine, thisMachine } from "./machine.js";
import { type CaseResult, measureCase } from "./measure.js";
import type { Result, Setup } from "./protocol.js";
import { caseTable, type Entrant, limitTable, replaceSection } from "./report.js";
import { stopAllOnExit, WorkerProcess } from "./worker-process.js";

/** The one of test/fixtures/gpt2-124m, whose results are known. */
const SEED = 20190214;
const ADAMW = { lr: 3e-4, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, maxNorm: 1 };

/** Running processes, on average over the last minute. */
const QUIET_LOAD = 0.5;

/** Of the number of threads. */
const GOOD_SCALING = 0.85;

/** For trying the benchmark itself. */
const TINY: Partial<GPT2Config> = { nLayer: 2, nEmbd: 64, nHead: 2 };

const HELP = `npm run bench -- [limits] [train] [prefill] [decode] [CASE ...]   all by default

  --peers NAMES   default, none, all, or names separated by commas
  --repeats N     quiet rounds of every case (5)
  --retries N     disturbed rounds to do again at most (as many as --repeats)
  --threads N     of every contender (all processors)
  --model NAME    gpt2, gpt2-medium, ... or tiny (gpt2)
  --json FILE     write everything measured
  --doc FILE      the document whose tables are replaced (docs/performance.md; nothing for other models than gpt2)
  --no-doc        replace nothing
  --cache DIR     for model files of peers, 0.5 GB (GPT2_BENCH_CACHE, else in the system's temporary folder)`;

type Options = NonNullable<ReturnType<typeof readOptions>>;

const DEFAULTS: Readonly<Record<string, string>> = {
  peers: "default",
  repeats: "5",
  threads: String(availableParallelism()),
  model: "gpt2",
};

function readOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      peers: { type: "string", default: DEFAULTS.peers! },
      repeats: { type: "string", default: DEFAULTS.repeats! },
      retries: { type: "string" },
      threads: { type: "string", default: DEFAULTS.threads! },
      model: { type: "string", default: DEFAULTS.model! },
      json: { type: "string" },
      doc: { type: "string" },
      "no-doc": { type: "boolean", default: false },
      cache: { type: "string", default: process.env.GPT2_BENCH_CACHE || join(tmpdir(), "gpt2-ts-bench") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { model, cache, json } = values;
  if (model !== "tiny" && !isPreset(model)) throw new Error(`no model ${model}; there are gpt2, gpt2-medium, …, tiny`);
  const config = model === "tiny" ? gpt2Config(TINY) : gpt2Config(model);
  const defaultDoc = model === "gpt2" ? packageFile("docs/performance.md") : undefined;
  const names = positionals.length > 0 ? positionals : ["limits", "train", "prefill", "decode"];
  const caseNames = names.filter((name) => name !== "limits");
  return {
    command: commandLine(positionals, values),
    limits: names.includes("limits"),
    cases: chooseCases(allCases(config, SEED), caseNames, canDo),
    contenders: chooseContenders(values.peers.split(",")),
    repeats: positive("repeats", values.repeats),
    retries: positive("retries", values.retries ?? values.repeats, 0),
    threads: positive("threads", values.threads),
    config,
    cache,
    json,
    doc: values["no-doc"] ? undefined : (values.doc ?? defaultDoc),
  };
}

/** What to type to have the same again; files and folders are the reader's own. */
function commandLine(positionals: readonly string[], values: Readonly<Record<string, unknown>>): string {
  const options = ["peers", "repeats", "retries", "threads", "model"]
    .filter((name) => values[name] !== undefined && values[name] !== DEFAULTS[name])
    .flatMap((name) => [`--${name}`, String(values[name])]);
  const words = [...positionals, ...options].map((word) => (word.includes(" ") ? `"${word}"` : word));
  return ["npm run bench", ...(words.length > 0 ? ["--", ...words] : [])].join(" ");
}

function positive(name: string, text: string, least = 1): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name}: expected an integer of at least ${least}, got ${text}`);
}

const log = (line: string) => process.stderr.write(`${line}\n`);

/** What one set of processes measured. */
interface SuiteResult {
  readonly results: readonly CaseResult[];
  readonly entrants: readonly Entrant[];
  /** Who did not take part, and why. */
  readonly notes: readonly string[];
}

/** Cases that the same processes can do: all of one type that generate, each that trains (for its memory). */
function suites(cases: readonly Case[]): Case[][] {
  const key = (c: Case) => (c.task.kind === "train" ? c.name : `${c.group} ${c.type} ${c.runtime}`);
  return [...grouped(cases, key).values()];
}

async function runSuite(
  cases: readonly Case[],
  gauge: MachineLimits | undefined,
  options: Options,
): Promise<SuiteResult> {
  const [first] = cases as [Case];
  const notes: string[] = [];
  const running: { contender: Contender; worker: WorkerProcess }[] = [];
  try {
    for (const contender of options.contenders.filter((c) => takesPart(c, first))) {
      const worker = await startContender(contender, first, options).catch((error: Error) => {
        if (contender.ours) throw error;
        notes.push(`${contender.name} took no part: ${gist(error.message)}`);
        log(`${contender.name} takes no part: ${error.message}`);
      });
      if (worker) running.push({ contender, worker });
    }
    notes.push(...(await dropThoseWhoDisagree(running, first, options)));
    const runners = running.map(({ contender: { name }, worker }) => ({
      name,
      request: (task: Case["task"]) => worker.request(task),
    }));
    const results: CaseResult[] = [];
    for (const c of cases) {
      const { repeats, retries } = options;
      // Trainers have done two steps of the very same task in the check.
      const warmUp = c.task.kind !== "train";
      const gaugeOfCase = (await gauge?.has(c.limit.kind)) ? gauge : undefined;
      results.push(await measureCase(c, runners, { repeats, retries, warmUp, gauge: gaugeOfCase, log }));
    }
    const entrants = running.map(({ contender: { name, ours = false }, worker: { description, peakBytes } }) => ({
      name,
      ours,
      description,
      peakBytes,
    }));
    return { results, entrants, notes };
  } finally {
    for (const { worker } of running) worker.stop();
  }
}

/** The line that says most in what a program printed when it died. */
function gist(text: string): string {
  const lines = text.split("\n");
  return lines.findLast((line) => /^\S*Error\b/.test(line)) ?? lines.at(-1)!;
}

/** @throws {Error} it is not installed, with what to do; or it failed, with what it printed. */
async function startContender(contender: Contender, { type }: Case, options: Options): Promise<WorkerProcess> {
  const missing = await contender.missing();
  if (missing !== undefined) throw new Error(missing);
  const { config, threads, cache } = options;
  const setup: Setup = { config, seed: SEED, type, threads, adamw: ADAMW };
  log(`starting ${contender.name}`);
  const file = await contender.prepare?.(setup, cache);
  const worker = await WorkerProcess.start(contender.command(file === undefined ? setup : { ...setup, file }));
  log(`  ${worker.description}`);
  return worker;
}

/** Stops the peers that compute something else, or nothing, and tells. @throws {Error} ours does. */
async function dropThoseWhoDisagree(
  running: { contender: Contender; worker: WorkerProcess }[],
  c: Case,
  { config }: Options,
): Promise<string[]> {
  const task = checkTask(config, SEED, c.task);
  const notes: string[] = [];
  let expected = expectedOf(config, SEED, c.task);
  let ours: Result | undefined;
  const drop = (entry: (typeof running)[number], why: string) => {
    notes.push(`${entry.contender.name} was left out because ${why}`);
    log(notes.at(-1)!);
    entry.worker.stop();
    running.splice(running.indexOf(entry), 1);
  };
  for (const entry of [...running]) {
    const { contender, worker } = entry;
    try {
      const result = await worker.request(task);
      expected ??= result;
      const wrong = disagreement(result, expected, c.type) ?? (ours && disagreement(result, ours, c.type));
      if (wrong !== undefined && contender.ours) throw new Error(`${contender.name} computes something else: ${wrong}`);
      if (wrong !== undefined) drop(entry, `it computes something else: ${wrong}`);
      if (contender.ours) ours ??= result;
    } catch (error) {
      if (contender.ours) throw error;
      drop(entry, `it failed: ${gist((error as Error).message)}`);
    }
  }
  return notes;
}

async function compileLimits(threads: number): Promise<MachineLimits | undefined> {
  try {
    return await MachineLimits.compile(threads);
  } catch (error) {
    log(`the machine's limits are not measured, for want of a C compiler: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
}

/** A machine that is busy all the time has no better moment to be held against; these tell it, too. */
async function aboutQuiet(load: number, gauge: MachineLimits | undefined): Promise<string> {
  const before = `, load ${load.toFixed(1)} before`;
  if (load > QUIET_LOAD) log(`the load is ${load.toFixed(1)}: something else is running`);
  if (!gauge || gauge.threads === 1) return before;
  const scaling = await gauge.scaling();
  const text = `${gauge.threads} threads multiply ${scaling.toFixed(2)} times as fast as one`;
  if (scaling < GOOD_SCALING * gauge.threads) log(`${text}: they share processors, or something else is running`);
  return `${before}, ${text}`;
}

/** Prints a section, and puts it into the document. */
function publish(name: string, body: string, { doc }: Options): void {
  console.log(`\n${body}\n`);
  if (doc === undefined) return;
  writeFileSync(doc, replaceSection(readFileSync(doc, "utf8"), name, body));
  log(`${name}: written to ${relative(process.cwd(), doc)}`);
}

async function main(): Promise<void> {
  const options = readOptions();
  if (!options) return console.log(HELP);
  stopAllOnExit();
  const load = loadavg()[0]!; // compiling the limits is load, too
  const gauge = await compileLimits(options.threads);
  const machine = thisMachine(gauge?.instructionSets ?? []);
  const { command } = options;
  const caption = `${describeMachine(machine)}${await aboutQuiet(load, gauge)}; \`${command}\``;
  let limits: LimitRow[] = [];
  if (options.limits && gauge) {
    limits = await gauge.table();
    publish("limits", `${caption}\n\n${limitTable(limits)}`, options);
  }
  for (const kind of new Set(options.cases.map((c) => c.limit.kind))) {
    // The best of these is what later samples are held against.
    if (await gauge?.has(kind)) await gauge?.sample(kind);
  }
  const done: SuiteResult[] = [];
  for (const [group, cases] of grouped(options.cases, (c) => c.group)) {
    const ofGroup: SuiteResult[] = [];
    for (const suite of suites(cases)) ofGroup.push(await runSuite(suite, gauge, options));
    const tables = ofGroup.map(({ results, entrants, notes }) => caseTable(results, entrants, notes));
    publish(group, [caption, ...tables].join("\n\n"), options);
    done.push(...ofGroup);
  }
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify({ machine, command, limits, suites: done.map(plain) }, null, 1)}\n`);
    log(`everything: ${options.json}`);
  }
}

/** Without the tasks, whose prompts are long. */
function plain({ results, ...suite }: SuiteResult) {
  return {
    ...suite,
    results: results.map(({ case: { name, title, limit }, ...result }) => ({ name, title, ...limit, ...result })),
  };
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
