import type { ModelConfig } from "../src/architectures/config.js";
import type { DatasetInfo } from "../src/data/dataset-info.js";
import type { SamplingOptions } from "../src/pretrained/sampling-options.js";
import type { TrainEvent } from "../src/train/events.js";

export interface ModelCardFacts {
  readonly config: ModelConfig;
  readonly parameters: number;
  /** Size of the weights' file. */
  readonly bytes: number;
  /** Of the whole corpus, and of its plain part. */
  readonly info: DatasetInfo;
  readonly plain: DatasetInfo;
  /** Of the training on everything, and of that on the plain part. */
  readonly events: readonly (readonly TrainEvent[])[];
  readonly samples: readonly string[];
  readonly sampling: SamplingOptions;
  readonly validation: { readonly loss: number; readonly bitsPerByte: number; readonly tokens: number };
  readonly shape: readonly string[];
  readonly recipes: readonly [readonly string[], readonly string[]];
  /** At which steps each training ended, the first time and when it was continued. */
  readonly steps: readonly [readonly string[], readonly string[]];
  /** How this run differed from the recipe. */
  readonly note: string;
}

const count = (n: number): string => n.toLocaleString("en");

/** The card of the default model: everything in it is measured or read from the run. */
export function modelCard(facts: ModelCardFacts): string {
  const { config: c, info, validation } = facts;
  const { train, val } = info.splits;
  const runs = facts.events.map((events) => events.filter((e) => e.type === "step"));
  const steps = runs.flat();
  const hours = steps.reduce((sum, e) => sum + e.seconds, 0) / 3600;
  const tokens = runs.reduce((sum, run) => sum + (run.at(-1)?.tokens ?? 0), 0);
  const [recipe, plainRecipe] = facts.recipes;
  const [[first, ...later], plainSteps] = facts.steps;
  return `# The default model

A small GPT-2 that this project's own trainer made, so that \`gpt2 "…"\` works with no network. It is a demonstration, trained for a short time: it writes paragraphs and dialogue in the manner of its books, grammatical for the most part, that hold together for a sentence or two and tell of nothing.

| | |
|---|---|
| shape | ${c.nLayer} layers, width ${c.nEmbd}, ${c.nHead} heads, context ${c.nCtx} |
| vocabulary | ${count(c.vocabSize)}, byte-level BPE trained on the same text |
| parameters | ${count(facts.parameters)} |
| file | model.safetensors, f16, ${(facts.bytes / 1e6).toFixed(1)} MB, Hugging Face layout |
| training | ${count(tokens)} tokens in ${count(steps.length)} steps, ${hours.toFixed(1)} hours on one or two CPU cores |
| held out | **${validation.bitsPerByte.toFixed(4)} bits per byte** (${validation.loss.toFixed(4)} nats per token) over ${count(validation.tokens)} tokens of whole books that are not in the training text, in windows of ${c.nCtx} |

![Training and validation loss](loss.svg)

## Data and licence

Openly licensed English: ${count(train.bytes)} bytes in ${count(train.documents)} documents for training, ${count(val?.bytes ?? 0)} bytes in ${count(val?.documents ?? 0)} documents held out. Books of Standard Ebooks (text in the public domain in the United States; their own contributions CC0 1.0) and textbooks of OpenStax (CC BY 4.0 and CC BY 3.0). Last it read the plainest ${count(facts.plain.splits.train.bytes)} bytes of that once more: textbooks, and those chapters of books of which most words are among the 1,500 most frequent (\`scripts/plain-text.ts\`). Every source with its repository, commit, author and licence is listed in [SOURCES.md](SOURCES.md); those are the credits that CC BY asks for.

Textbook content produced by OpenStax (Rice University) is licensed under Creative Commons Attribution licences; access for free at openstax.org. The text was stripped of markup and divided into documents.

The weights are released under the licence of this package (MIT).

## Recipe

\`\`\`
gpt2 tokenizer train train-*.txt.gz --vocab-size ${c.vocabSize} --out tokenizer
gpt2 data train-*.txt.gz --val valid.txt.gz --tokenizer tokenizer/tokenizer.json --out data
gpt2 train data --out run ${facts.shape.join(" ")} \\
  ${recipe.join(" ")} --steps ${first}
${later.map((steps) => `gpt2 train --out run --resume --steps ${steps}\n`).join("")}gpt2 data plain.txt --val valid.txt.gz --tokenizer tokenizer/tokenizer.json --out plain
gpt2 train plain --out plain-run --from run/model \\
  ${plainRecipe.join(" ")} --steps ${plainSteps[0]}
\`\`\`

The weights are the mean of those of the two runs, which on the held-out books is better than either.

\`node dist/scripts/default-model.js --corpus CORPUS --work WORK\` does all of it and writes this folder, card included. Same seed, same class of machine: same bits.${facts.note && ` ${facts.note}`}

## Use and limits

Meant for trying the library, for tests and demonstrations, and as a starting point for fine-tuning. Not for anything that relies on what it says: it makes up words and facts, loses the thread within a sentence or two, breaks into lists, and has read little but older fiction, textbooks and pages of public offices. It repeats the views of its sources, many of them a century old, about peoples, women and men, and classes. It was not tuned to refuse anything. English only.

## Ten samples

Not chosen: seeds 1 to 10, no prompt, 150 tokens at most, its own sampling (${samplingText(facts.sampling)}): \`gpt2 --seed N -n 150\`.

${facts.samples.map((text, i) => `**${i + 1}.**\n\n${quote(text)}\n`).join("\n")}`;
}

const samplingText = ({ temperature, minP, repetitionPenalty }: SamplingOptions): string =>
  `temperature ${temperature}, top-k 40, min-p ${minP}, repetition penalty ${repetitionPenalty}; generation_config.json`;

const quote = (text: string): string =>
  text
    .split("\n")
    .map((line) => `> ${line.replace(/([*_<>`#])/g, "\\$1")}`)
    .join("\n");
