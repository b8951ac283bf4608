import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { listInputs } from "../../src/data/inputs.js";
import { readLines } from "../../src/data/read-lines.js";
import type { GPT2 } from "../../src/gpt2.js";
import type { LabelledText } from "../../src/misuse/classifier/split-texts.js";
import { readDocuments } from "../../src/misuse/detect/documents.js";
import { passagesOf, spread } from "../../src/misuse/detect/passages.js";
import type { SamplingOptions } from "../../src/pretrained/sampling-options.js";

/** Human texts, and a machine's, of one kind. */
export interface Texts {
  readonly domain: string;
  readonly generator: string;
  readonly human: readonly string[];
  readonly machine: readonly string[];
}

/** Tokens of a passage, and of its beginning that the model continues. */
const [PASSAGE, PROMPT] = [230, 30];
/** Sampling of the model's own texts. */
const SAMPLERS = {
  "temperature 1": { temperature: 1, topK: 0, topP: 1 },
  "top-k 40": { temperature: 1, topK: 40, topP: 1 },
  "top-p 0.9": { temperature: 1, topK: 0, topP: 0.9 },
  "temperature 0.7": { temperature: 0.7, topK: 0, topP: 1 },
} as const;
const PLAIN = { minP: 0, repetitionPenalty: 1 };
const BATCH = 16;

/** Pairs of files NAME.jsonl of `{ "human", "machine" }` for each domain and generator, such as squad_gpt2-xl. */
export async function pairSets(folder: string, most: number): Promise<Texts[]> {
  const files = readdirSync(folder).filter((file) => /^[^_]+_.*\.jsonl/.test(file));
  const sets: Texts[] = [];
  for (const file of files) {
    const [domain, generator] = basename(file)
      .replace(/\.jsonl.*/, "")
      .split("_") as [string, string];
    const pairs: { human: string; machine: string }[] = [];
    for await (const { record } of readLines(listInputs([join(folder, file)]).files)) {
      pairs.push(record as unknown as { human: string; machine: string });
    }
    const chosen = spread(pairs, most);
    sets.push({ domain, generator, human: chosen.map((p) => p.human), machine: chosen.map((p) => p.machine) });
  }
  return sets;
}

/** Held-out passages, and what the model makes of their beginnings, kept in `work`. */
export async function ownSets(model: GPT2, files: readonly string[], most: number, work: string): Promise<Texts[]> {
  const tokenizer = model.tokenizer!;
  const documents = await readDocuments(files);
  const passages = documents.flatMap((document) => [...passagesOf(document, tokenizer, PASSAGE)]);
  const chosen = spread(
    passages.filter(({ length }) => length === PASSAGE),
    most,
  ); // the same length as the model's
  const human = chosen.map((ids) => tokenizer.decode(ids));
  const sets: Texts[] = [];
  for (const [generator, sampling] of Object.entries(SAMPLERS)) {
    const file = join(work, `${generator.replaceAll(" ", "-")}-${chosen.length}.json`);
    if (!existsSync(file)) await writeFile(file, JSON.stringify(await writeOwn(model, chosen, sampling)));
    sets.push({ domain: "books", generator, human, machine: JSON.parse(readFileSync(file, "utf8")) as string[] });
  }
  return sets;
}

async function writeOwn(
  model: GPT2,
  chosen: readonly (readonly number[])[],
  sampling: SamplingOptions,
): Promise<string[]> {
  console.error(`writing ${chosen.length} texts, ${JSON.stringify(sampling)}`);
  const machine: string[] = [];
  for (let start = 0; start < chosen.length; start += BATCH) {
    const prompts = chosen.slice(start, start + BATCH).map((ids) => ids.slice(0, PROMPT));
    const options = { ...PLAIN, ...sampling, maxNewTokens: PASSAGE - PROMPT, stopAtEndOfText: false };
    const written = await Promise.all(prompts.map((ids, i) => model.complete(ids, { ...options, seed: start + i })));
    machine.push(...written.map(({ tokens }, i) => model.tokenizer!.decode([...prompts[i]!, ...tokens])));
  }
  return machine;
}

/** Of the texts of a generator six in ten to train on, one to choose by, the last three to test. */
export function partsOf(sets: readonly Texts[], generator: string) {
  const part = (from: number, to: number): LabelledText[] =>
    sets
      .filter((set) => set.generator === generator)
      .flatMap(({ human, machine }) =>
        [human, machine].flatMap((texts, i) => {
          const slice = texts.slice(Math.floor(from * texts.length), Math.floor(to * texts.length));
          return slice.map((text) => ({ text, machine: i === 1 }));
        }),
      );
  return { train: part(0, 0.6), validation: part(0.6, 0.7), test: part(0.7, 1) };
}
