import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { GPT2_PRESETS, gpt2Config } from "../src/architectures/gpt2/config.js";
import { initialTensors } from "../src/architectures/init.js";
import { tensorTable } from "../src/architectures/registry.js";
import { chooseBackend } from "../src/backend/choose.js";
import { memorySource } from "../src/checkpoint/byte-source.js";
import { storedTensor } from "../src/checkpoint/stored-tensor.js";
import {
  WATERMARK_SCHEMES,
  type WatermarkOptions,
  type WatermarkScheme,
  watermarkSettings,
} from "../src/generate/watermark/options.js";
import { GPT2 } from "../src/gpt2.js";
import { type Evidence, evidenceTest } from "../src/misuse/watermark/evidence.js";
import type { SamplingOptions } from "../src/pretrained/sampling-options.js";
import { loadWeights } from "../src/pretrained/weights.js";
import { gpt2Tokenizer, type Tokenizer } from "../src/tokenizer/index.js";
import { RandomStream } from "../src/util/random.js";
import { distinct, perplexity, type Text, writeTexts } from "./watermark-figures/texts.js";
import { EDITS, edited, readWordNet, type Synonyms } from "./word-edits.js";

/**
 * Measures the figures of docs/watermark.md: how often marked texts are found, by length and after edits, how marks
 * change the texts, and how often human texts are mistaken for marked ones.
 *
 *     node dist/scripts/watermark-figures.js --human valid.txt.gz --human train.txt.gz --wordnet DIR [--out FILE]
 *         [--texts 60] [--random] [--plain] [--passages 10000]
 *
 * FILE is JSON for `gpt2 card --results`. Human texts are documents with a line <|endoftext|> between them; prompts
 * come from the first file. WordNet's folder has data.noun and so on (Debian: wordnet-base). --plain samples from the
 * model's unfiltered distribution instead of with its own defaults. With --texts 0 only human texts are tested. With
 * --random the model is a GPT-2 124M with random weights in q8_0, whose entropy is high.
 */
const { values: flags } = parseArgs({
  options: {
    human: { type: "string", multiple: true },
    wordnet: { type: "string" },
    texts: { type: "string", default: "60" },
    length: { type: "string", default: "400" },
    batch: { type: "string", default: "20" },
    passages: { type: "string", default: "10000" },
    plain: { type: "boolean", default: false },
    schemes: { type: "string" },
    random: { type: "boolean", default: false },
    out: { type: "string" },
  },
});
if (!flags.human) throw new Error("--human FILE: texts by people, for prompts and false positives");

const LENGTHS = [25, 50, 100, 200, 400].filter((length) => length <= Number(flags.length));
const RATES = [0.01, 0.001];
const SHARES = [0.1, 0.2, 0.3, 0.5];
/** Length of the texts that are edited. */
const EDITED = 200;
const PROMPT = 24;
/** Number of keys under which human texts are tested. */
const KEYS = 10;

async function randomModel(): Promise<GPT2> {
  const config = gpt2Config(GPT2_PRESETS.gpt2);
  const shapes = new Map(tensorTable(config).map(({ name, shape }) => [name, shape]));
  const { backend } = await chooseBackend();
  const tensors = Array.from(initialTensors(config, { seed: 1 }), ([name, values]) => {
    const source = memorySource(name, new Uint8Array(values.buffer));
    return storedTensor({ name, dtype: "f32", shape: shapes.get(name)!, storedAs: "out_in", source, offset: 0 });
  });
  const weights = await loadWeights(backend, config, tensors, { dtype: "q8_0" });
  return new GPT2({ backend, config, weights, tokenizer: await gpt2Tokenizer() });
}

/** A watermark of each scheme with its defaults, under one of several keys. */
const watermarkOf = (scheme: WatermarkScheme, number = 0): WatermarkOptions =>
  scheme === "hf-synthid"
    ? { scheme, keys: Array.from({ length: 30 }, (_, i) => new RandomStream(7 + number, i).below(2 ** 31)) }
    : ({ scheme, key: 15485863 + number } as WatermarkOptions);

const documents = flags.human.map((path) =>
  gunzipSync(readFileSync(path))
    .toString("utf8")
    .split(/^<\|endoftext\|>\n/m)
    .filter((text) => text.trim() !== ""),
);

/** Passages that start at a paragraph, alternating between documents. */
function passages(texts: readonly string[], count: number, characters: number): string[] {
  const found: string[] = [];
  for (let round = 0; found.length < count && round < 1000; round++) {
    for (const text of texts) {
      const start = text.indexOf("\n\n", round * characters);
      if (start < 0 || start + characters > text.length || found.length >= count) continue;
      found.push(text.slice(start + 2, start + 2 + characters));
    }
  }
  return found;
}

const share = (values: readonly boolean[]) => values.filter(Boolean).length / values.length;
const foundAt = (evidence: readonly Evidence[]) =>
  Object.fromEntries(RATES.map((rate) => [rate, share(evidence.map(({ logPValue }) => logPValue <= Math.log(rate)))]));

/**
 * The evidence of marked texts per token, in standard deviations of unmarked texts, as in
 * src/misuse/watermark/power.ts.
 */
function effect(
  scheme: WatermarkScheme,
  evidence: readonly Evidence[],
): { readonly mean: number; readonly deviation: number } {
  const z = evidence.map(({ scored, score }) => {
    if (scheme === "gumbel") return (score - scored) / Math.sqrt(scored);
    if (scheme === "dual-key-gumbel") return (score - scored) / Math.sqrt(0.82 * scored);
    if (scheme === "red-green" || scheme === "hf-kgw") return (score - 0.25 * scored) / Math.sqrt(0.1875 * scored);
    return (score - 0.5) * 2 * Math.sqrt(scored * (scheme === "synthid" ? 32 : 30));
  });
  const mean = z.reduce((sum, x) => sum + x, 0) / z.length;
  const deviation = Math.sqrt(z.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (z.length - 1));
  const root = evidence.reduce((sum, { scored }) => sum + Math.sqrt(scored), 0) / evidence.length;
  return { mean: mean / root, deviation };
}

async function measure(
  scheme: WatermarkScheme,
  { config, tokenizer }: GPT2,
  texts: readonly Text[],
  synonyms: Synonyms | undefined,
) {
  const test = await evidenceTest(watermarkSettings(watermarkOf(scheme)), config.vocabSize);
  const encode = (text: string) => Array.from(tokenizer!.encode(text));
  const textOf = (tokens: readonly number[], length: number) => tokenizer!.decode(tokens.slice(0, length));
  const byLength = LENGTHS.map((length) => {
    const evidence = texts.map(({ tokens }) => test(encode(textOf(tokens, length))));
    const ofIds = texts.map(({ tokens }) => test(tokens.slice(0, length)));
    return { length, text: foundAt(evidence), ids: foundAt(ofIds), effect: effect(scheme, evidence) };
  });
  const words = documents[0]![0]!.match(/[\p{L}’]+/gu)!;
  const afterEdits = EDITS.filter((edit) => edit !== "paraphrase" || synonyms).map((edit) => ({
    edit,
    shares: SHARES.map((amount) => {
      const results = texts.map(({ tokens }, i) =>
        edited(textOf(tokens, EDITED), edit, amount, new RandomStream(i, 3), {
          words,
          synonyms: synonyms ?? new Map(),
        }),
      );
      const changed = results.reduce((sum, result) => sum + result.changed, 0) / results.length;
      return { amount, changed, found: foundAt(results.map(({ text }) => test(encode(text)))) };
    }),
  }));
  return { byLength, afterEdits };
}

/**
 * Cuts each passage to one of the lengths, and tests it under one of several keys, because the words common to all
 * texts favour some keys.
 */
async function falsePositives(scheme: WatermarkScheme, { config, tokenizer }: GPT2, count: number) {
  const ids = human(tokenizer!, count);
  const evidence = LENGTHS.map((): Evidence[][] => Array.from({ length: KEYS }, () => []));
  for (let key = 0; key < KEYS; key++) {
    const test = await evidenceTest(watermarkSettings(watermarkOf(scheme, key)), config.vocabSize);
    for (const [i, tokens] of ids.entries()) {
      const j = Math.floor(i / KEYS) % LENGTHS.length;
      if (i % KEYS === key && tokens.length >= LENGTHS[j]!) evidence[j]![key]!.push(test(tokens.slice(0, LENGTHS[j])));
    }
  }
  const byLength = LENGTHS.map((length, j) => {
    const all = evidence[j]!.flat();
    return { length, passages: all.length, found: foundAt(all) };
  });
  const all = evidence.flat(2);
  const ofKeys = Array.from({ length: KEYS }, (_, key) => foundAt(evidence.flatMap((part) => part[key]!))[RATES[0]!]!);
  return { passages: all.length, found: foundAt(all), ofKeys: [Math.min(...ofKeys), Math.max(...ofKeys)], byLength };
}

let humanIds: number[][] | undefined;

/** Human passages, as tokens. */
function human(tokenizer: Tokenizer, count: number): number[][] {
  humanIds ??= passages(documents.flat(), count, 2500).map((text) => Array.from(tokenizer.encode(text)));
  return humanIds;
}

const model = flags.random ? await randomModel() : await GPT2.load();
const synonyms = flags.wordnet === undefined || flags.random ? undefined : readWordNet(flags.wordnet);
const sampling: SamplingOptions = flags.plain
  ? { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 }
  : model.sampling;
const prompts = passages(documents[0]!, Number(flags.texts), 600).map((text) =>
  Array.from(model.tokenizer!.encode(text)).slice(0, PROMPT),
);
const results: unknown[] = [];
const schemes = flags.schemes?.split(",") ?? ["none", ...WATERMARK_SCHEMES];
for (const scheme of schemes as ("none" | WatermarkScheme)[]) {
  const started = performance.now();
  const written = prompts.length > 0 ? await writtenFigures(scheme) : {};
  const unmarked =
    scheme === "none" || Number(flags.passages) === 0
      ? {}
      : { human: await falsePositives(scheme, model, Number(flags.passages)) };
  results.push({ scheme, texts: prompts.length, ...written, ...unmarked });
  console.log(JSON.stringify(results.at(-1)));
  console.error(`${scheme}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
  if (flags.out) writeFileSync(flags.out, `${JSON.stringify({ watermarks: results }, null, 1)}\n`);
}
await model.dispose();

/** The figures of texts that the model generates with a mark, or without one. */
async function writtenFigures(scheme: "none" | WatermarkScheme) {
  const watermark = scheme === "none" ? undefined : watermarkOf(scheme);
  const options = { ...sampling, maxNewTokens: Number(flags.length), watermark };
  const texts = await writeTexts(model, prompts, options, Number(flags.batch));
  const quality = { perplexity: perplexity(texts), distinct: [1, 2, 3, 4].map((n) => distinct(texts, n)) };
  return { sampling, quality, ...(scheme === "none" ? {} : await measure(scheme, model, texts, synonyms)) };
}
