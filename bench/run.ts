/**
 * `npm run bench`: this package beside other programs and the machine's own limits. See bench/README.md.
 *
 *     npm run bench -- [limits] [GROUP …] [CASE …] [--peers NAMES] [--repeats N] [--threads N] [--write-docs] …
 */
import { readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { relative } from "node:path";
import { grouped } from "./cases.js";
import { type LimitRow, MachineLimits } from "./limits.js";
import { describeMachine, thisMachine } from "./machine.js";
import { HELP, type Options, readOptions } from "./options.js";
import { caseTable, limitTable, replaceSection } from "./report.js";
import { Suite, type SuiteResult, suites } from "./suite.js";
import { mergeRows, type SummaryRow, summaryRow, summaryTable } from "./summary.js";
import { stopAllOnExit } from "./worker-process.js";

/** Average number of running processes over the last minute. */
const QUIET_LOAD = 0.5;

/** Share of the number of threads. */
const GOOD_SCALING = 0.85;

/** The part of --json's output that --with reads. */
interface Written {
  readonly summary: readonly SummaryRow[];
}

const log = (line: string) => process.stderr.write(`${line}\n`);

async function compileLimits(threads: number): Promise<MachineLimits | undefined> {
  try {
    return await MachineLimits.compile(threads);
  } catch (error) {
    log(`the machine's limits are not measured, for want of a C compiler: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
}

/** A machine that is busy all the time has no better moment to compare with; these figures reveal it. */
async function aboutQuiet(load: number, gauge: MachineLimits | undefined): Promise<string> {
  const before = `, load ${load.toFixed(1)} before`;
  if (load > QUIET_LOAD) log(`the load is ${load.toFixed(1)}: something else is running`);
  if (!gauge || gauge.threads === 1) return before;
  const scaling = await gauge.scaling();
  const text = `${gauge.threads} threads multiply ${scaling.toFixed(2)} times as fast as one`;
  if (scaling < GOOD_SCALING * gauge.threads) log(`${text}: they share processors, or something else is running`);
  return `${before}, ${text}`;
}

/** Prints a section, and writes it into the document. */
function publish(name: string, body: string, { doc }: Options): void {
  console.log(`\n${body}\n`);
  if (doc === undefined) return;
  writeFileSync(doc, replaceSection(readFileSync(doc, "utf8"), name, body));
  log(`${name}: written to ${relative(process.cwd(), doc)}`);
}

/**
 * Measures the groups one after another and publishes each when it is complete; `onGroup` is called with all results so
 * far.
 */
async function measureAll(
  gauge: MachineLimits | undefined,
  options: Options,
  caption: string,
  onGroup: (done: readonly SuiteResult[]) => void,
): Promise<SuiteResult[]> {
  for (const kind of new Set(options.cases.map((c) => c.limit.kind))) {
    // Later samples are compared with the best of these.
    if (gauge && (await gauge.missing(kind)) === undefined) await gauge.sample(kind);
  }
  const done: SuiteResult[] = [];
  for (const [group, cases] of grouped(options.cases, (c) => c.group)) {
    const ofGroup: SuiteResult[] = [];
    for (const suite of suites(cases)) ofGroup.push(await new Suite(suite, gauge, options, log).run());
    const tables = ofGroup.map(({ results, entrants, notes }) => caseTable(results, entrants, notes));
    publish(group, [caption, ...tables].join("\n\n"), options);
    done.push(...ofGroup);
    onGroup(done);
  }
  return done;
}

async function main(): Promise<void> {
  const options = await readOptions();
  if (!options) return console.log(HELP);
  stopAllOnExit();
  const earlier = options.earlier === undefined ? undefined : (readJson(options.earlier) as Written);
  const load = loadavg()[0]!; // compiling the limits is load too
  const gauge = options.gauge ? await compileLimits(options.threads) : undefined;
  const machine = thisMachine(gauge?.instructionSets ?? []);
  const { command, json } = options;
  const caption = `${describeMachine(machine)}${await aboutQuiet(load, gauge)}; \`${command}\``;
  let limits: LimitRow[] = [];
  if (options.limits && gauge) {
    limits = await gauge.table();
    publish("limits", `${caption}\n\n${limitTable(limits)}`, options);
  }
  /** Written after each group, so that an interrupted run keeps its measurements. */
  const save = (done: readonly SuiteResult[]): void => {
    const rows = done.flatMap(({ results, entrants }) =>
      results.flatMap((result) => summaryRow(result, entrants, machine.date) ?? []),
    );
    const summary = mergeRows(earlier?.summary ?? [], rows);
    if (done.length > 0) publish("summary", `${caption}\n\n${summaryTable(summary)}`, options);
    if (json === undefined) return;
    writeFileSync(json, `${JSON.stringify({ machine, command, limits, summary, suites: done.map(plain) }, null, 1)}\n`);
    log(`everything so far: ${json}`);
  };
  if (options.cases.length === 0) save([]);
  const done = await measureAll(gauge, options, caption, save);
  await gauge?.close();
  if (done.some(({ oursFailed }) => oursFailed)) process.exitCode = 1;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** The tasks are left out, because their prompts are long. */
function plain({ results, ...suite }: SuiteResult) {
  return {
    ...suite,
    results: results.map(({ case: { name, title, unit, limit }, limit: measured, ...result }) => {
      return { name, title, unit, ...limit, limit: measured, ...result };
    }),
  };
}

try {
  if (process.argv[2] === "serve") await import("./serve.js");
  else if (process.argv[2] === "encode") await import("./encode.js");
  else await main();
} catch (error) {
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 1;
}
