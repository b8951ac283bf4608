/**
 * Encoding and decoding speed beside the npm packages tiktoken and gpt-tokenizer, interleaved in one process:
 *
 *     npm install --prefix bench/peers
 *     npx tsc -p . && node dist/bench/tokenizer.js [TEXT-FILE[.gz]] [ROUNDS]
 *
 * The text is new to the programs: "encode" is its second half after the first, "encode, empty" the whole with an empty
 * cache of words (ours and gpt-tokenizer's; tiktoken keeps none). One thread each. Speeds are in processor time,
 * medians over the rounds after some to warm up the JITs, with the best in parentheses; ratios are medians of each
 * round's own ratio. "ready" is wall time, so it needs a quiet machine.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { gpt2Tokenizer } from "../src/tokenizer/gpt2.js";
import { packageFile } from "../src/util/package-root.js";

interface Tiktoken {
  encode_ordinary(text: string): Uint32Array;
  decode(ids: Uint32Array): Uint8Array;
}

interface GptTokenizer {
  encode(text: string, options: { disallowedSpecial: Set<string> }): number[];
  decode(ids: Iterable<number>): string;
  clearMergeCache(): void;
}

/** A way to encode and decode. */
interface Contender {
  readonly name: string;
  /** Empties the cache of words. */
  forget(): void;
  encode(text: string): ArrayLike<number>;
  decode(ids: ArrayLike<number>): string;
  decodeBytes?(ids: ArrayLike<number>): Uint8Array;
}

/** Text to encode before measuring, so that the JITs have finished. */
const WARM_UP_BYTES = 1e7;
const KINDS = ["encode", "encode, empty", "decode to bytes", "decode to text", "decode and read"] as const;
type Times = Record<(typeof KINDS)[number], number>;

const peers = createRequire(packageFile("bench/peers/package.json"));
const readyScripts: Record<string, string> = {
  "gpt2-ts": `const { gpt2Tokenizer } = await import(${JSON.stringify(moduleUrl("../src/tokenizer/gpt2.js"))});
    (await gpt2Tokenizer()).encode("Hello world");`,
  tiktoken: `const { get_encoding } = await import(${JSON.stringify(pathToFileURL(peers.resolve("tiktoken")).href)});
    get_encoding("gpt2").encode_ordinary("Hello world");`,
  "gpt-tokenizer": `const { encode } = await import(${JSON.stringify(gptTokenizerUrl())});
    encode("Hello world");`,
};

await main();

async function main(): Promise<void> {
  const [path = packageFile("test/fixtures/tokenizer/wind-in-the-willows.txt.gz"), rounds = "15"] =
    process.argv.slice(2);
  const raw = readFileSync(path);
  const text = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString();
  const bytes = Buffer.byteLength(text);
  const contenders = await makeContenders();
  const reference = Array.from(contenders[0]!.encode(text));
  for (const contender of contenders) check(contender, text, reference);

  // Cut at the end of a line, where a word certainly ends.
  const cut = text.lastIndexOf("\n", text.length / 2);
  const halves = [text.slice(0, cut), text.slice(cut)] as const;
  const warmUp = Math.ceil(WARM_UP_BYTES / bytes);
  const measured: Times[][] = [];
  for (let round = 0; round < Number(rounds) + warmUp; round++) {
    measured.push(contenders.map((contender) => measure(contender, text, halves)));
  }
  const tokens = reference.length.toLocaleString("en");
  console.log(`${path}: ${(bytes / 1e6).toFixed(2)} MB, ${tokens} tokens, ${rounds} rounds, Node ${process.version}`);
  const inUse = Buffer.byteLength(halves[1]);
  const names = contenders.map(({ name }) => name);
  const rows = KINDS.map((kind) => [
    `${kind}, MB/s`,
    speeds(measured.slice(warmUp), kind, kind === "encode" ? inUse : bytes, names),
  ]);
  rows.push(["ready, ms", Object.fromEntries(names.map((name) => [name, readyTime(name).toFixed(0)]))]);
  console.table(Object.fromEntries(rows));
}

function speeds(rounds: readonly Times[][], kind: keyof Times, size: number, names: readonly string[]) {
  const cells: Record<string, string> = {};
  names.forEach((name, i) => {
    const times = rounds.map((round) => round[i]![kind]);
    if (times.some(Number.isNaN)) return;
    const rate = (ms: number): string => (size / 1e3 / ms).toFixed(1);
    cells[name] = `${rate(median(times))} (${rate(Math.min(...times))})`;
    if (i > 0) cells[`× ${name}`] = median(rounds.map((round) => round[i]![kind] / round[0]![kind])).toFixed(1);
  });
  return cells;
}

/** Milliseconds of each kind; NaN for kinds that the contender lacks. */
function measure(contender: Contender, text: string, [first, second]: readonly [string, string]): Times {
  let ids: ArrayLike<number> = [];
  contender.forget();
  const whole = timed(() => {
    ids = contender.encode(text);
  });
  contender.forget();
  contender.encode(first);
  const half = timed(() => contender.encode(second));
  return {
    encode: half,
    "encode, empty": whole,
    "decode to bytes": contender.decodeBytes === undefined ? Number.NaN : timed(() => contender.decodeBytes!(ids)),
    "decode to text": timed(() => contender.decode(ids)),
    // V8 flattens a concatenated string only when it is read.
    "decode and read": timed(() => contender.decode(ids).charCodeAt(text.length >> 1)),
  };
}

/** Processor time, which other processes do not affect; it includes V8's own helper threads. */
function timed(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e3;
}

async function makeContenders(): Promise<Contender[]> {
  const tokenizer = await gpt2Tokenizer();
  const { get_encoding } = peers("tiktoken") as { get_encoding(name: string): Tiktoken };
  const tiktoken = get_encoding("gpt2");
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const gpt = (await import(gptTokenizerUrl())) as GptTokenizer;
  return [
    {
      name: "gpt2-ts",
      forget: () => tokenizer.clearCache(),
      encode: (text) => tokenizer.encode(text),
      decode: (ids) => tokenizer.decode(ids),
      decodeBytes: (ids) => tokenizer.decodeBytes(ids),
    },
    {
      name: "tiktoken",
      forget: () => {},
      encode: (text) => tiktoken.encode_ordinary(text),
      decode: (ids) => utf8.decode(tiktoken.decode(ids as Uint32Array)),
      decodeBytes: (ids) => tiktoken.decode(ids as Uint32Array),
    },
    {
      name: "gpt-tokenizer",
      forget: () => gpt.clearMergeCache(),
      encode: (text) => gpt.encode(text, { disallowedSpecial: new Set() }),
      decode: (ids) => gpt.decode(ids as number[]),
    },
  ];
}

function check({ name, encode, decode }: Contender, text: string, expected: readonly number[]): void {
  const ids = Array.from(encode(text));
  const wrong = ids.findIndex((id, i) => id !== expected[i]);
  if (wrong >= 0 || ids.length !== expected.length) console.warn(`${name}: other ids from token ${wrong}`);
  if (decode(encode(text)) !== text) console.warn(`${name}: decoding does not give back the text`);
}

/** Milliseconds from the start of the import to the first ids, in a new process: median of 5. */
function readyTime(name: string): number {
  const script = `const start = performance.now(); ${readyScripts[name]}
    console.log(performance.now() - start);`;
  const run = (): number =>
    Number(execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }));
  return median(Array.from({ length: 5 }, run));
}

function moduleUrl(path: string): string {
  return new URL(path, import.meta.url).href;
}

function gptTokenizerUrl(): string {
  return pathToFileURL(packageFile("bench/peers/node_modules/gpt-tokenizer/esm/encoding/r50k_base.js")).href;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
