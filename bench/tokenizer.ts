/**
 * Encoding and decoding speed beside the npm packages tiktoken and gpt-tokenizer, interleaved in one process:
 *
 *     npm install --prefix bench/peers
 *     npx tsc -p . && node dist/bench/tokenizer.js [TEXT-FILE[.gz]] [ROUNDS]
 *
 * Every round encodes the text as one not seen before: our tokenizer and gpt-tokenizer start with an empty cache of
 * words (tiktoken has none). One thread each. Figures are medians over the rounds after two to warm up the JITs.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { gunzipSync } from "node:zlib";
import { gpt2Tokenizer } from "../src/tokenizer/gpt2.js";
import { Tokenizer } from "../src/tokenizer/tokenizer.js";
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

const WARM_UP = 2;
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
  const [path = packageFile("test/fixtures/tokenizer/wind-in-the-willows.txt.gz"), rounds = "15"] = process.argv.slice(2);
  const raw = readFileSync(path);
  const text = (raw[0] === 0x1f && raw[1] === 0x8b ? gunzipSync(raw) : raw).toString();
  const bytes = Buffer.byteLength(text);
  const contenders = await makeContenders();
  const reference = Array.from(contenders[0]!.encode(text));
  for (const contender of contenders) check(contender, text, reference);

  const times = contenders.map(() => ({ encode: [] as number[], decode: [] as number[] }));
  for (let round = 0; round < Number(rounds) + WARM_UP; round++) {
    contenders.forEach((contender, i) => {
      contender.prepare();
      const start = performance.now();
      const ids = contender.encode(text);
      const middle = performance.now();
      contender.decode(ids);
      const end = performance.now();
      if (round < WARM_UP) return;
      times[i]!.encode.push(middle - start);
      times[i]!.decode.push(end - middle);
    });
  }
  console.log(`${path}: ${(bytes / 1e6).toFixed(2)} MB, ${reference.length} tokens, ${rounds} rounds, Node ${process.version}`);
  const rate = (ms: number[]): number => bytes / 1e3 / median(ms);
  const ours = { encode: rate(times[0]!.encode), decode: rate(times[0]!.decode) };
  console.table(
    Object.fromEntries(
      contenders.map(({ name }, i) => [
        name,
        {
          "encode MB/s": rate(times[i]!.encode).toFixed(1),
          "ours is faster": `${(ours.encode / rate(times[i]!.encode)).toFixed(1)}×`,
          "decode MB/s": rate(times[i]!.decode).toFixed(1),
          "ours is faster ": `${(ours.decode / rate(times[i]!.decode)).toFixed(1)}×`,
          "ready in a new process, ms": readyTime(name).toFixed(0),
        },
      ]),
    ),
  );
}

async function makeContenders(): Promise<Contender[]> {
  const { vocabulary } = await gpt2Tokenizer();
  let tokenizer = new Tokenizer(vocabulary);
  const { get_encoding } = peers("tiktoken") as { get_encoding(name: string): Tiktoken };
  const tiktoken = get_encoding("gpt2");
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const gpt = (await import(gptTokenizerUrl())) as GptTokenizer;
  return [
    {
      name: "gpt2-ts",
      prepare: () => {
        tokenizer = new Tokenizer(vocabulary);
      },
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
