/** Options of `npm run bench`. */
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type GPT2Config, gpt2Config, isPreset } from "../src/architectures/gpt2/config.js";
import { packageFile } from "../src/util/package-root.js";
import { commitBefore, otherCommit } from "./before.js";
import { allCases, type Case, chooseCases, GROUPS } from "./cases.js";
import { CONTENDERS, type Contender, canDo, chooseContenders } from "./contenders.js";

/** The model of test/fixtures/gpt2-124m, whose results are known. */
export const SEED = 20190214;

/** For trying the benchmark itself. */
const TINY: Partial<GPT2Config> = { nLayer: 2, nEmbd: 64, nHead: 2 };

/** The cases of `quick`: each kind of kernel, in about five minutes. */
const QUICK = [
  ...["train-4x256-f32", "train-4x256-bf16", "prefill-512-f32", "prefill-512-bf16", "prefill-512-q8_0"],
  ...["decode-512-f32", "decode-512-f16", "decode-512-q8_0", "decode-512-q4_0", "batch-8-f32", "batch-8-q8_0"],
];

export const HELP = `npm run bench -- [limits] [${GROUPS.join("] [")}] [CASE ...]   all by default
npm run bench -- quick [CASE ...]   in five minutes, this package beside its build of another commit

  --against REV   with quick: the other commit (HEAD where files are changed, else HEAD~1)
  --peers NAMES   default, none, all, or names separated by commas
  --repeats N     quiet rounds of every case (5)
  --retries N     disturbed runs retried at most, per contender and case (as many as --repeats)
  --threads N     of every contender (all processors)
  --model NAME    gpt2, gpt2-medium, ... or tiny (gpt2)
  --json FILE     write everything measured
  --with FILE     an earlier run's --json: its cases stay in the summary unless they are measured anew
  --write-docs    replace the tables of docs/performance.md, those of gpt2 only
  --doc FILE      of this document instead
  --cache DIR     for programs and model files of peers, several GB (GPT2_BENCH_CACHE, else in the system's temporary folder)

Cases: ${allCases(gpt2Config("gpt2"), SEED)
  .map(({ name }) => name)
  .join(", ")}

Peers: ${[...new Set(CONTENDERS.filter(({ ours }) => !ours).map(({ name }) => name))].join(", ")}`;

export interface Options {
  /** The command that repeats the run. */
  readonly command: string;
  readonly limits: boolean;
  readonly cases: readonly Case[];
  /** Whether the machine's limits are measured beside the cases. */
  readonly gauge: boolean;
  readonly contenders: readonly Contender[];
  readonly repeats: number;
  readonly retries: number;
  readonly threads: number;
  readonly config: GPT2Config;
  readonly cache: string;
  readonly json: string | undefined;
  readonly earlier: string | undefined;
  /** The document whose tables are replaced. */
  readonly doc: string | undefined;
}

const DEFAULTS = { peers: "default", repeats: "5", threads: String(availableParallelism()), model: "gpt2" } as const;

/** The options, or undefined if the call was for help. @throws {Error} an invalid option. */
export async function readOptions(): Promise<Options | undefined> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      peers: { type: "string", default: DEFAULTS.peers },
      repeats: { type: "string", default: DEFAULTS.repeats },
      retries: { type: "string" },
      threads: { type: "string", default: DEFAULTS.threads },
      model: { type: "string", default: DEFAULTS.model },
      against: { type: "string" },
      json: { type: "string" },
      with: { type: "string" },
      "write-docs": { type: "boolean", default: false },
      doc: { type: "string" },
      cache: { type: "string", default: process.env.GPT2_BENCH_CACHE || join(tmpdir(), "gpt2-ts-bench") },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { model, cache, json } = values;
  if (model !== "tiny" && !isPreset(model)) throw new Error(`no model ${model}; there are gpt2, gpt2-medium, …, tiny`);
  const config = model === "tiny" ? gpt2Config(TINY) : gpt2Config(model);
  if (values["write-docs"] && model !== "gpt2" && values.doc === undefined) {
    throw new Error(`--write-docs: the document is about gpt2, not ${model}; --doc names another`);
  }
  const quick = positionals[0] === "quick";
  if (values.against !== undefined && !quick) throw new Error("--against is an option of quick");
  const names = namesOf(positionals, quick);
  return {
    command: commandLine(positionals, values),
    limits: names.includes("limits"),
    cases: chooseCases(
      allCases(config, SEED),
      names.filter((name) => name !== "limits"),
      canDo,
    ),
    gauge: !quick,
    contenders: quick
      ? [...chooseContenders(["none"]), ...(await otherCommit(values.against ?? (await commitBefore())))]
      : chooseContenders(values.peers.split(",")),
    repeats: positive("repeats", values.repeats),
    retries: positive("retries", values.retries ?? values.repeats, 0),
    threads: positive("threads", values.threads),
    config,
    cache,
    json,
    earlier: values.with,
    doc: values["write-docs"] ? (values.doc ?? packageFile("docs/performance.md")) : undefined,
  };
}

function namesOf(positionals: readonly string[], quick: boolean): readonly string[] {
  if (quick) return positionals.length > 1 ? positionals.slice(1) : QUICK;
  return positionals.length > 0 ? positionals : ["limits", ...GROUPS];
}

/** Files and folders are relative to the caller's current folder. */
function commandLine(positionals: readonly string[], values: Readonly<Record<string, unknown>>): string {
  const defaults: Readonly<Record<string, string>> = DEFAULTS;
  const options = ["peers", "against", "repeats", "retries", "threads", "model"]
    .filter((name) => values[name] !== undefined && values[name] !== defaults[name])
    .flatMap((name) => [`--${name}`, String(values[name])]);
  const words = [...positionals, ...options].map((word) => (word.includes(" ") ? `"${word}"` : word));
  return ["npm run bench", ...(words.length > 0 ? ["--", ...words] : [])].join(" ");
}

function positive(name: string, text: string, least = 1): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least) return value;
  throw new Error(`--${name}: expected an integer of at least ${least}, got ${text}`);
}
