import type { ModelConfig } from "../src/architectures/config.js";
import { formatPercent as percent } from "../src/cli/output.js";
import type { DatasetInfo } from "../src/data/dataset-info.js";
import type { SamplingOptions } from "../src/pretrained/sampling-options.js";
import type { TrainEvent } from "../src/train/events.js";

/** The output of scripts/story-quality.ts. */
export interface StoryQuality extends Written {
  /** Held-out documents of each file that were scored. */
  readonly documents: number;
  readonly bitsPerByte: Readonly<Record<string, number>>;
  /** The same measures of the stories' own text in place of the continuations. */
  readonly own: Written;
}

interface Written {
  readonly namesKept: number;
  /** Shares of distinct n-grams of 1, 2 and 3 words. */
  readonly distinct: readonly number[];
  /** Shares of repeated n-grams of 2, 3 and 4 words. */
  readonly repeated: readonly number[];
  readonly rare: number;
}

/** One stage of training: its data, and how much of it was used. */
export interface Stage {
  readonly documents: number;
  readonly bytes: number;
  readonly tokens: number;
  readonly hours: number;
}

/** A stage's figures, from its data set and its events. */
export function stageOf({ splits: { train } }: DatasetInfo, events: readonly TrainEvent[]): Stage {
  const steps = events.filter((e) => e.type === "step");
  const { documents, bytes } = train;
  const hours = steps.reduce((sum, e) => sum + e.seconds, 0) / 3600;
  return { documents, bytes, tokens: steps.at(-1)?.tokens ?? 0, hours };
}

export interface ModelCardFacts {
  readonly config: ModelConfig;
  readonly parameters: number;
  /** Size of the weights' file. */
  readonly bytes: number;
  /** The four stages: books and textbooks, their plain part, stories beside both, modern stories. */
  readonly stages: readonly Stage[];
  readonly recipes: readonly (readonly string[])[];
  /** The steps at which each training ended, for the first time and after it was continued. */
  readonly steps: readonly (readonly string[])[];
  readonly shape: readonly string[];
  readonly sampling: SamplingOptions;
  /** Before the training on stories, and after. */
  readonly measured: { readonly before: StoryQuality; readonly after: StoryQuality };
  /** How this run differed from the recipe. */
  readonly note: string;
  /** The quality of the texts in stories.md, and who judged it. */
  readonly reading: string;
}

const count = (n: number): string => n.toLocaleString("en");

/** The card of the default model: everything in it is measured or read from the run. */
export function modelCard(facts: ModelCardFacts): string {
  const { config: c, stages } = facts;
  const [books, plain, stories, finish] = stages as [Stage, Stage, Stage, Stage];
  const total = (of: "tokens" | "hours") => stages.reduce((sum, stage) => sum + stage[of], 0);
  const [recipe, plainRecipe, storyRecipe, finishRecipe] = facts.recipes.map((flags) => flags.join(" "));
  const [[first, ...later], [plainSteps], [storySteps], [finishSteps]] = facts.steps as [
    string[],
    string[],
    string[],
    string[],
  ];
  return `# The default model

A small GPT-2, trained with this project's own trainer, so that \`gpt2 "…"\` works without a network. It is a demonstration, trained for a short time, and writes short stories in plain modern English.

| | |
|---|---|
| shape | ${c.nLayer} layers, width ${c.nEmbd}, ${c.nHead} heads, context ${c.nCtx} |
| vocabulary | ${count(c.vocabSize)}, byte-level BPE, trained on the books |
| parameters | ${count(facts.parameters)} |
| file | model.safetensors, f16, ${(facts.bytes / 1e6).toFixed(1)} MB, Hugging Face layout |
| training | ${count(total("tokens"))} tokens, the last ${count(stories.tokens + finish.tokens)} of them mostly stories; ${total("hours").toFixed(1)} hours on one or two CPU cores |

Training and validation loss on the [books](loss.svg) and on the [stories](loss-stories.svg).

## Data and licence

1. Openly licensed English: ${count(books.bytes)} bytes in ${count(books.documents)} documents. Books of Standard Ebooks (text in the public domain in the United States; their own contributions CC0 1.0) and textbooks of OpenStax (CC BY 4.0 and CC BY 3.0).
2. The plainest ${count(plain.bytes)} bytes of that text, once more (\`scripts/plain-text.ts\`).
3. Stories and simple texts, ${count(stories.bytes)} bytes in ${count(stories.documents)} documents, of which ${count(stories.tokens)} tokens were read (\`scripts/story-text.ts\`): the openings of 10,803 short stories by gpt-4o-mini, published by Rettberg and Wigers under MIT and CC0, 4,369 of them preceded by a summary; fables, fairy tales, picture books and recipes (public domain, CC BY, MIT, Apache-2.0); children's books and plain prose from the first text.
4. Finally, the stories and the modern simple texts alone, ${count(finish.bytes)} bytes in ${count(finish.documents)} documents, of which ${count(finish.tokens)} tokens were read.

Every source with its repository, commit, author and licence is listed in [SOURCES.md](SOURCES.md) and [SOURCES-stories.md](SOURCES-stories.md) (of which the files \`llama\` and \`sharealike-*\` were not used); these lists are the attribution that CC BY requires. Textbook content produced by OpenStax (Rice University) is licensed under Creative Commons Attribution licences; access for free at openstax.org. The text was stripped of markup and divided into documents.

The weights are released under the licence of this package (MIT).

## Recipe

\`\`\`
gpt2 tokenizer train train-*.txt.gz --vocab-size ${c.vocabSize} --out tokenizer
gpt2 data train-*.txt.gz --val valid.txt.gz --tokenizer tokenizer/tokenizer.json --out data
gpt2 train data --out run ${facts.shape.join(" ")} \\
  ${recipe} --steps ${first}
${later.map((steps) => `gpt2 train --out run --resume --steps ${steps}\n`).join("")}gpt2 data plain.txt --val valid.txt.gz --tokenizer tokenizer/tokenizer.json --out plain
gpt2 train plain --out plain-run --from run/model \\
  ${plainRecipe} --steps ${plainSteps}
# books: the mean of both models, in f16
gpt2 data stories.txt simple.txt plain.txt --val valid-stories.txt.gz valid-simple.txt.gz \\
  --tokenizer tokenizer/tokenizer.json --out story-data
gpt2 train story-data --out stories-run --from books \\
  ${storyRecipe} --steps ${storySteps}
gpt2 data stories.txt modern.txt --val valid-stories.txt.gz --tokenizer tokenizer/tokenizer.json --out finish-data
gpt2 train finish-data --out finish-run --from stories-run/model \\
  ${finishRecipe} --steps ${finishSteps}
# the model: 0.9 of these weights and 0.1 of those of books, in f16
\`\`\`

\`node dist/scripts/default-model.js --corpus CORPUS --stories STORIES --work WORK\` does all of this and writes this folder, including this card. The same seed on the same class of machine gives the same bits.${facts.note && ` ${facts.note}`}

## Measured

${measures(facts.measured)}

## Use and limits

Meant for trying the library, for tests and demonstrations, and as a starting point for fine-tuning. Do not use it for anything that relies on what it says: it makes up words and facts, loses the thread, and has read little but stories, older fiction, textbooks and government guides. It repeats its sources' views, many of them a century old, of peoples, women and men, and social classes; the stories by gpt-4o-mini are much alike, and their countries are mere backdrops. It was not tuned to refuse anything. It knows English only.

## What it writes

[stories.md](stories.md) has twenty texts without a prompt, twenty after a summary and ten continuations of other prompts. They were not selected: seeds 1, 2, 3, …, at most 200 tokens, with its own sampling (${samplingText(facts.sampling)}).${facts.reading && ` ${facts.reading}`}
`;
}

function measures({ before, after }: ModelCardFacts["measured"]): string {
  const bits = Object.keys(after.bitsPerByte).map((name) => {
    const values = [before, after].map(({ bitsPerByte }) => bitsPerByte[name]?.toFixed(4) ?? "");
    return `| bits per byte: ${name} | ${values.join(" | ")} | |`;
  });
  const rows: readonly (readonly [string, (of: Written) => number])[] = [
    ["names in a continuation that occur in the prompt", ({ namesKept }) => namesKept],
    ["distinct words, of all words", ({ distinct }) => distinct[0]!],
    ["distinct word triples, of all triples", ({ distinct }) => distinct[2]!],
    ["four-word sequences that occurred before", ({ repeated }) => repeated[2]!],
    ["words that occur fewer than three times in the stories read", ({ rare }) => rare],
  ];
  const table = rows.map(
    ([label, of]) => `| ${label} | ${[before, after, after.own].map((m) => percent(of(m))).join(" | ")} |`,
  );
  return `| | before the stories | this model | the stories themselves |
|---|---|---|---|
${[...bits, ...table].join("\n")}

Bits per byte over ${after.documents} documents of each held-out file, whole documents in windows of half the context; continuations, of 200 tokens, of the openings of 50 held-out stories (\`node dist/scripts/story-quality.js\`).`;
}

const samplingText = ({ temperature, minP, repetitionPenalty }: SamplingOptions): string =>
  `temperature ${temperature}, top-k 40, min-p ${minP}, repetition penalty ${repetitionPenalty}; generation_config.json`;
