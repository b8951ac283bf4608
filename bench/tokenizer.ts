/**
 * Encoding and decoding speed beside the npm packages tiktoken and gpt-tokenizer, interleaved in one process:
 *
 *     npm install --prefix bench/peers
 *     npx tsc -p . && node dist/bench/tokenizer.js [TEXT-FILE[.gz]] [ROUNDS]
 *
 * Two ways to encode what was not seen before: "new" is the whole text with an empty cache of words (ours and
 * gpt-tokenizer's; tiktoken keeps none); "in use" is the second half of the text after the first. Decoding makes a
 * string. One thread each. Medians over the rounds, after some to warm up the JITs; best rounds in parentheses: on a busy
 * machine those say more.
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

/** A way to encode and decode; `prepare` runs before each timed encoding and is not timed. */
interface Contender {
  readonly name: string;
  prepare(): void;
  encode(text: string): ArrayLike<number>;
  decode(ids: ArrayLike<number>): string;
}

/** Text to run through before measuring, so that the JITs are done. */
const WARM_UP_BYTES = 8e6;
const NAMES = { new: "encode new", inUse: "encode in use", decode: "decode" } as const;
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

  const times = contenders.map(() => ({ new: [] as number[], inUse: [] as number[], decode: [] as number[] }));
  // Cut at a line's end, where a word ends for certain.
  const cut = text.lastIndexOf("\n", text.length / 2);
  const halves = [text.slice(0, cut), text.slice(cut)] as const;
  const warmUp = Math.ceil(WARM_UP_BYTES / bytes);
  for (let round = 0; round < Number(rounds) + warmUp; round++) {
    contenders.forEach((contender, i) => {
      const measured = measure(contender, text, halves);
      if (round < warmUp) return;
      times[i]!.new.push(measured.new);
      times[i]!.inUse.push(measured.inUse);
      times[i]!.decode.push(measured.decode);
    });
  }
  const tokens = reference.length.toLocaleString("en");
  console.log(`${path}: ${(bytes / 1e6).toFixed(2)} MB, ${tokens} tokens, ${rounds} rounds, Node ${process.version}`);
  const halfBytes = Buffer.byteLength(halves[1]);
  const column = (i: number, kind: "new" | "inUse" | "decode"): Record<string, string> => {
    const size = kind === "inUse" ? halfBytes : bytes;
    const rate = (ms: number): string => (size / 1e3 / ms).toFixed(1);
    const [ours, theirs] = [times[0]![kind], times[i]![kind]];
    const ratio = (of: (ms: readonly number[]) => number): string => (of(theirs) / of(ours)).toFixed(1);
    return {
      [`${NAMES[kind]}, MB/s`]: `${rate(median(theirs))} (${rate(Math.min(...theirs))})`,
      [`ours / it${kind === "new" ? "" : kind === "inUse" ? " " : "  "}`]:
        i === 0 ? "" : `${ratio(median)} (${ratio((ms) => Math.min(...ms))})`,
    };
  };
  console.table(
    Object.fromEntries(
      contenders.map(({ name }, i) => [
        name,
        {
          ...column(i, "new"),
          ...column(i, "inUse"),
          ...column(i, "decode"),
          "ready, ms": readyTime(name).toFixed(0),
        },
      ]),
    ),
  );
}

/** Milliseconds. */
function measure(contender: Contender, text: string, [first, second]: readonly [string, string]) {
  contender.prepare();
  const start = performance.now();
  const ids = contender.encode(text);
  const encoded = performance.now();
  const back = contender.decode(ids);
  // A string put together of many is only made when it is looked into.
  back.charCodeAt(back.length >> 1);
  const decoded = performance.now();
  contender.prepare();
  contender.encode(first);
  const half = performance.now();
  contender.encode(second);
  return { new: encoded - start, decode: decoded - encoded, inUse: performance.now() - half };
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
      prepare: () => tokenizer.clearCache(),
      encode: (text) => tokenizer.encode(text),
      decode: (ids) => tokenizer.decode(ids),
    },
    {
      name: "tiktoken",
      prepare: () => {},
      encode: (text) => tiktoken.encode_ordinary(text),
      decode: (ids) => utf8.decode(tiktoken.decode(ids as Uint32Array)),
    },
    {
      name: "gpt-tokenizer",
      prepare: () => gpt.clearMergeCache(),
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

/** Milliseconds from the start of the import to the first ids, in a process of its own: median of 5. */
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
