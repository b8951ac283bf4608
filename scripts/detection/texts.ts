import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { listInputs } from "../../src/data/inputs.js";
import { readLines } from "../../src/data/read-lines.js";
import { hashFiles } from "../../src/evaluate/report-file.js";
import { GPT2 } from "../../src/gpt2.js";
import type { LabelledText } from "../../src/misuse/classifier/split-texts.js";
import { readDocuments } from "../../src/misuse/detect/documents.js";
import { passagesOf, spread } from "../../src/misuse/detect/passages.js";
import type { SamplingOptions } from "../../src/pretrained/sampling-options.js";
import type { Tokenizer } from "../../src/tokenizer/tokenizer.js";
import { packageFile } from "../../src/util/package-root.js";

/** Human texts, and a machine's continuations of their beginnings, one for each. */
export interface Texts {
  readonly domain: string;
  /** The model that wrote the machine texts. */
  readonly generator: string;
  readonly sampling: string;
  readonly human: readonly string[];
  readonly machine: readonly string[];
}

/** Number of tokens of a passage, and of the beginning that a model continues. */
const [PASSAGE, PROMPT] = [230, 30];
const SAMPLERS = {
  "temperature 1": { temperature: 1, topK: 0, topP: 1 },
  "top-k 40": { temperature: 1, topK: 40, topP: 1 },
  "top-p 0.9": { temperature: 1, topK: 0, topP: 0.9 },
  "temperature 0.7": { temperature: 0.7, topK: 0, topP: 1 },
} as const;
const PLAIN = { minP: 0, repetitionPenalty: 1 };
const BATCH = 16;
/** The name of the model of this package among the generators. */
export const DEFAULT_MODEL = "default";

export interface TextSources {
  /** Folder of pairs. */
  readonly pairs: string;
  /** DOMAIN=FILE of human documents. */
  readonly human: readonly string[];
  /** NAME=FOLDER of models with the default model's tokenizer, which write besides the default model. */
  readonly generators: readonly string[];
  /** Maximum number of texts in each set. */
  readonly most: number;
  /** Folder where written texts are kept, by the hash of the weights. */
  readonly work: string;
}

/** All texts on which detectors are measured. */
export async function detectionSets({ pairs, human, generators, most, work }: TextSources): Promise<Texts[]> {
  const domains = human.map(named);
  const sets = await pairSets(pairs, most);
  for (const [name, folder] of [[DEFAULT_MODEL, packageFile("models/default")] as const, ...generators.map(named)]) {
    // All domains for the default model; only the last one for other models, which is enough to compare models.
    for (const [domain, file] of name === DEFAULT_MODEL ? domains : domains.slice(-1)) {
      sets.push(...(await writtenSets(name, folder, domain, file, most, work)));
    }
  }
  return sets;
}

/** The parts of NAME=PATH. */
export function named(option: string): readonly [name: string, path: string] {
  const at = option.indexOf("=");
  if (at < 1) throw new Error(`expected NAME=PATH, got ${option}`);
  return [option.slice(0, at), option.slice(at + 1)];
}

/** Pairs of files DOMAIN_GENERATOR.jsonl of `{ "human", "machine" }`, such as squad_gpt2-xl. */
async function pairSets(folder: string, most: number): Promise<Texts[]> {
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
    const [human, machine] = [chosen.map((pair) => pair.human), chosen.map((pair) => pair.machine)];
    sets.push({ domain, generator, sampling: "temperature 1", human, machine });
  }
  return sets;
}

/** Passages of human documents, and the model's continuations of their beginnings with each sampler. */
async function writtenSets(
  generator: string,
  folder: string,
  domain: string,
  file: string,
  most: number,
  work: string,
): Promise<Texts[]> {
  await mkdir(work, { recursive: true });
  const [weights] = await hashFiles([join(folder, "model.safetensors")]);
  await using model = await GPT2.load(folder);
  const passages = await passagesOfFile(file, model.tokenizer!, most);
  const human = passages.map((ids) => model.tokenizer!.decode(ids));
  const sets: Texts[] = [];
  for (const [sampling, options] of Object.entries(SAMPLERS)) {
    const name = [weights!.sha256.slice(0, 12), domain, sampling.replaceAll(" ", "-"), passages.length].join("_");
    const kept = join(work, `${name}.json`);
    if (!existsSync(kept)) {
      console.error(`${generator}: ${passages.length} texts, ${domain}, ${sampling}`);
      await writeFile(kept, JSON.stringify(await write(model, passages, options)));
    }
    const machine = JSON.parse(readFileSync(kept, "utf8")) as string[];
    sets.push({ domain, generator, sampling, human, machine });
  }
  return sets;
}

/** Passages of one length, spread over the documents. */
async function passagesOfFile(file: string, tokenizer: Tokenizer, most: number): Promise<number[][]> {
  const documents = await readDocuments([file]);
  const passages = documents.flatMap((document) => [...passagesOf(document, tokenizer, PASSAGE)]);
  return spread(
    passages.filter(({ length }) => length === PASSAGE),
    most,
  );
}

async function write(
  model: GPT2,
  passages: readonly (readonly number[])[],
  sampling: SamplingOptions,
): Promise<string[]> {
  const machine: string[] = [];
  for (let start = 0; start < passages.length; start += BATCH) {
    const prompts = passages.slice(start, start + BATCH).map((ids) => ids.slice(0, PROMPT));
    const options = { ...PLAIN, ...sampling, maxNewTokens: PASSAGE - PROMPT, stopAtEndOfText: false };
    const written = await Promise.all(prompts.map((ids, i) => model.complete(ids, { ...options, seed: start + i })));
    machine.push(...written.map(({ tokens }, i) => model.tokenizer!.decode([...prompts[i]!, ...tokens])));
  }
  return machine;
}

/** Human texts and as many of a generator, alternating between its samplers. */
function pairsOf(sets: readonly Texts[], generator: string): readonly (readonly [human: string, machine: string][])[] {
  const own = sets.filter((set) => set.generator === generator);
  return [...new Set(own.map(({ domain }) => domain))].map((domain) => {
    const bySampling = own.filter((set) => set.domain === domain);
    return bySampling[0]!.human.map((text, i) => [text, bySampling[i % bySampling.length]!.machine[i]!]);
  });
}

/** A generator's texts in three parts: six in ten for training, one for selection, three for testing. */
export function partsOf(sets: readonly Texts[], generator: string) {
  const domains = pairsOf(sets, generator);
  const part = (from: number, to: number): LabelledText[] =>
    domains.flatMap((pairs) => {
      const slice = pairs.slice(Math.floor(from * pairs.length), Math.floor(to * pairs.length));
      return [0, 1].flatMap((side) => slice.map((pair) => ({ text: pair[side]!, machine: side === 1 })));
    });
  return { train: part(0, 0.6), validation: part(0.6, 0.7), test: part(0.7, 1) };
}

/** The generators, each once. */
export const generatorsOf = (sets: readonly Texts[]): string[] => [...new Set(sets.map(({ generator }) => generator))];
