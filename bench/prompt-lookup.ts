/**
 * The gain of prompt lookup decoding on texts that repeat themselves and on texts that don't: the time of a model that
 * would write exactly the given text, with and without drafts. So the weights don't matter, only their shape and dtype, and
 * the texts are real ones. Both ways run alternately; figures are medians.
 *
 *     node dist/bench/prompt-lookup.js --model FILE [--draft 7] [--repeats 5]
 *
 * FILE is a model with GPT-2's vocabulary, such as those with random weights that `npm run bench` leaves in its
 * --cache.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { Engine } from "../src/generate/engine.js";
import { largest } from "../src/generate/largest.js";
import { PromptLookup } from "../src/generate/prompt-lookup.js";
import { loadModel } from "../src/pretrained/load.js";
import { gpt2Tokenizer } from "../src/tokenizer/index.js";
import { packageFile } from "../src/util/package-root.js";
import { median } from "./statistics.js";

const PROMPT = 256;
const WRITTEN = 512;

interface Text {
  readonly title: string;
  readonly prompt: readonly number[];
  readonly written: readonly number[];
}

interface Outcome {
  readonly seconds: number;
  readonly runs: number;
}

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    draft: { type: "string", default: "7" },
    repeats: { type: "string", default: "5" },
  },
});
if (!values.model) throw new Error("usage: node dist/bench/prompt-lookup.js --model FILE [--draft 7] [--repeats 5]");

const { backend, config, weights } = await loadModel(values.model);
const engine = new Engine(backend, config, weights);
const dtype = weights.get("h.0.mlp.c_fc.weight")!.dtype;
console.log(`${backend.description}, ${config.nLayer} x ${config.nEmbd}, ${dtype}, drafts of up to ${values.draft}\n`);
console.log("| text | tokens a run | tokens/s without | with | gain |\n|---|---|---|---|---|");
for (const text of await texts()) {
  const times: [Outcome[], Outcome[]] = [[], []];
  for (let i = 0; i <= Number(values.repeats); i++) {
    for (const [way, draft] of [0, Number(values.draft)].entries()) {
      const outcome = await write(text, draft);
      if (i > 0) times[way]!.push(outcome); // the first run warms up
    }
  }
  const [without, using] = times.map((outcomes) => WRITTEN / median(outcomes.map(({ seconds }) => seconds)));
  const gain = median(times[0].map(({ seconds }, i) => seconds / times[1][i]!.seconds));
  const each = (WRITTEN / times[1][0]!.runs).toFixed(2);
  console.log(`| ${text.title} | ${each} | ${without!.toFixed(0)} | ${using!.toFixed(0)} | ${gain.toFixed(2)}x |`);
}

/** The texts, each a prompt and its continuation. */
async function texts(): Promise<Text[]> {
  const tokenizer = await gpt2Tokenizer();
  const book = gunzipSync(readFileSync(packageFile("test/fixtures/tokenizer/wind-in-the-willows.txt.gz"))).toString();
  const part = (title: string, text: string): Text => {
    const ids = Array.from(tokenizer.encode(text));
    return { title, prompt: ids.slice(0, PROMPT), written: ids.slice(PROMPT, PROMPT + WRITTEN) };
  };
  const passage = Array.from(tokenizer.encode(book.slice(20_000))).slice(0, PROMPT);
  const copied = Array.from(tokenizer.encode(withTypos(tokenizer.decode(passage))));
  return [
    part("a story (*The Wind in the Willows*)", book.slice(10_000)),
    part("source code (`src/generate/engine.ts`)", readFileSync(packageFile("src/generate/engine.ts"), "utf8")),
    part("JSON (`package-lock.json`)", readFileSync(packageFile("package-lock.json"), "utf8")),
    {
      title: "a passage written out twice, a typing error in every 20th word",
      prompt: copied,
      written: twice(passage),
    },
  ];
}

function twice(passage: readonly number[]): number[] {
  return [...passage, ...passage].slice(0, WRITTEN);
}

/** Every 20th word lacks its second letter. */
function withTypos(text: string): string {
  let words = 0;
  return text.replace(/\S+/g, (word) => (++words % 20 ? word : word.slice(0, 1) + word.slice(2)));
}

/** Writes the text like a model that finds each of its tokens the likeliest. */
async function write({ prompt, written }: Text, longestDraft: number): Promise<Outcome> {
  const sequence = engine.sequence();
  const best = new Int32Array(1);
  const lookup = new PromptLookup(config.vocabSize, longestDraft);
  for (const token of prompt) lookup.push(token);
  await engine.extend([{ sequence, tokens: prompt }], () => {});
  const start = performance.now();
  let last = prompt.at(-1)!;
  sequence.truncate(sequence.length - 1);
  let runs = 0;
  for (let at = 0; at < written.length; runs++) {
    const draft = lookup.draft(written.length - at - 1);
    const tokens = [last, ...draft];
    await engine.extend([{ sequence, tokens, logits: tokens.length }], (logits) => largest(logits, 1, best));
    let accepted = 0;
    while (accepted < draft.length && draft[accepted] === written[at + accepted]) accepted++;
    if (draft.length > 0) {
      lookup.learn(accepted);
      sequence.truncate(sequence.length - (draft.length - accepted));
    }
    for (const token of written.slice(at, at + accepted + 1)) lookup.push(token);
    at += accepted + 1;
    last = written[at - 1]!;
  }
  sequence.release();
  return { seconds: (performance.now() - start) / 1000, runs };
}
