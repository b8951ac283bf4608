import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync } from "node:zlib";
import { GPT2 } from "../src/gpt2.js";
import { distinct, namesKept, rareWords, repeated, wordCounts } from "./text-measures.js";

/**
 * Measures how well a model writes stories, and saves its texts for reading.
 *
 *     node dist/scripts/story-quality.js --stories DIR --out DIR [--model NAME] [--corpus DIR] [--test] [--documents 60]
 *
 * - bits per byte of held-out documents, each scored by itself, in windows of half the context: valid-stories and
 * valid-simple of DIR, with --corpus the held-out books of the older corpus, with --test also test-stories;
 * - continuations of 200 tokens of the openings of held-out stories, with the model's default sampling, seed 1, 2, …: the
 * share of names that occur in the prompt (compared with the story's own continuation), distinct and repeated n-grams,
 * words that occur fewer than three times in the training stories;
 * - stories.md: twenty stories without a prompt, twenty after a summary, and ten continuations of ordinary prompts.
 *
 * The measurements are written to quality.json.
 */
const CONTINUATION = 200;
const OPENINGS = 50;
/** Bytes of a story before the paragraph break at which it is continued. */
const OPENING_BYTES = 400;
const RARE = 3;

/** Ordinary prompts: news, a recipe, a letter, a dialogue, a question, and five that begin stories. */
const PROMPTS = [
  "LONDON — The government said on Tuesday that",
  "How to bake bread\n\nIngredients:\n\n",
  "Dear Aunt Mary,\n\nThank you so much for",
  "“Where have you been?” asked Tom.\n\n“",
  "Why is the sky blue?\n\n",
  "Once upon a time there was a little fox named Pip who",
  "It was a dark night, and",
  "Anna and her brother Ben found an old map in the attic.",
  "The old fisherman looked at the sea.",
  "On the first day of school, Maya",
];

const SUMMARIES = [
  "A shy dragon named Ember learns to sing and makes friends in the village.",
  "Two sisters, Lila and Rosa, get lost in the forest and find their way home with the help of an owl.",
  "A boy named Sam finds an old clock in his grandfather’s house that can stop time.",
  "A baker named Marta saves her small shop during a cold winter.",
  "A lonely robot in a museum becomes friends with a girl named Ada.",
  "Omar, a young fisherman, sails to an island to find a cure for his mother.",
  "A cat named Biscuit moves to a new house and learns not to be afraid.",
  "Nina plants a strange seed, and in the morning a tree touches the clouds.",
  "A brave mouse named Tilly travels to the mountain to bring back the spring.",
  "An old painter named Victor teaches a street boy to paint.",
  "Grandmother Elena tells her grandson Mateo the secret of the lighthouse.",
  "A prince who cannot laugh meets a clown named Jolly.",
  "Kofi builds a boat out of old doors and crosses the river.",
  "A teacher named Mrs. Lane takes her class to the stars in a school bus.",
  "A young musician named Aisha returns to her village to play at the festival.",
  "A snowman named Frost wants to see the summer.",
  "Two friends, Leo and Jack, quarrel over a kite and make up.",
  "A girl named Mei finds a letter in a bottle and answers it.",
  "A tired farmer named Ivan is helped at night by a small spirit.",
  "A bear named Bruno cannot fall asleep for the winter.",
];

const { values } = parseArgs({
  options: {
    stories: { type: "string" },
    corpus: { type: "string" },
    out: { type: "string" },
    model: { type: "string" },
    test: { type: "boolean", default: false },
    /** Documents of each held-out file that are scored. */
    documents: { type: "string", default: "60" },
  },
});
const { stories, corpus, out } = values;
if (!stories || !out) {
  console.error(
    "usage: node dist/scripts/story-quality.js --stories DIR --out DIR [--model NAME] [--corpus DIR] [--test]",
  );
  process.exit(2);
}

const model = await GPT2.load(values.model);
const heldOut = await documentsOf(join(stories, "valid-stories.txt.gz"));
const bitsPerByte = {
  "valid-stories": await score(heldOut),
  "valid-simple": await score(await documentsOf(join(stories, "valid-simple.txt.gz"))),
  ...(corpus && { "held-out books": await score(await documentsOf(join(corpus, "valid.txt.gz"))) }),
  ...(values.test && { "test-stories": await score(await documentsOf(join(stories, "test-stories.txt.gz"))) }),
};
console.log("bits per byte", bitsPerByte);
const continued = await continuations();
const report = { model: values.model ?? "default", documents: Number(values.documents), bitsPerByte, ...continued };
await mkdir(out, { recursive: true });
await writeFile(join(out, "quality.json"), `${JSON.stringify(report, null, 2)}\n`);
await writeFile(join(out, "stories.md"), await samples());
await model.dispose();

async function documentsOf(file: string): Promise<string[]> {
  const texts = gunzipSync(await readFile(file))
    .toString("utf8")
    .split("\n<|endoftext|>\n");
  texts.pop();
  return texts;
}

/** Bits per byte over the first documents. */
async function score(documents: readonly string[]): Promise<number> {
  let [bits, bytes] = [0, 0];
  for (const text of documents.slice(0, Number(values.documents))) {
    const scored = await model.score(text);
    bits -= scored.logprob / Math.LN2;
    bytes += scored.bytes!;
  }
  return bits / bytes;
}

/**
 * The first paragraphs of a story up to a number of bytes, and about as many characters after them as a continuation
 * has.
 */
function split(story: string): { opening: string; rest: string } {
  let end = story.indexOf("\n\n");
  while (end >= 0 && end < OPENING_BYTES) end = story.indexOf("\n\n", end + 2);
  return { opening: story.slice(0, end), rest: story.slice(end, end + 4 * CONTINUATION) };
}

async function continuations() {
  const written: string[] = [];
  const names = { kept: 0, all: 0, own: { kept: 0, all: 0 } };
  const add = (to: { kept: number; all: number }, { kept, all }: { kept: number; all: number }) => {
    to.kept += kept;
    to.all += all;
  };
  for (const [i, story] of heldOut.slice(0, OPENINGS).entries()) {
    const { opening, rest } = split(story);
    const { text } = await model.complete(opening, { maxNewTokens: CONTINUATION, seed: i + 1 });
    written.push(text);
    add(names, namesKept(opening, text));
    add(names.own, namesKept(opening, rest));
  }
  const training = ["stories", "stories-with-summaries", "simple"].map((name) => join(stories!, `${name}.txt.gz`));
  const counts = wordCounts((await Promise.all(training.map(documentsOf))).flat());
  const own = heldOut.slice(0, OPENINGS).map((story) => split(story).rest);
  const measures = (texts: readonly string[]) => ({
    distinct: [1, 2, 3].map((n) => distinct(texts, n)),
    repeated: [2, 3, 4].map((n) => repeated(texts, n)),
    rare: rareWords(texts, counts, RARE).share,
  });
  const result = {
    namesKept: names.kept / names.all,
    names: names.all,
    ...measures(written),
    rareWords: rareWords(written, counts, RARE).words,
    own: { namesKept: names.own.kept / names.own.all, names: names.own.all, ...measures(own) },
  };
  console.log(result);
  return result;
}

async function samples(): Promise<string> {
  const parts: string[] = [];
  const add = (title: string, prompt: string, text: string) => {
    const quoted = prompt.trim() && `${prompt.trim().replaceAll(/^/gm, "> ")}\n\n`;
    parts.push(`## ${title}\n\n${quoted}${text.trim()}\n`);
  };
  for (let seed = 1; seed <= 20; seed++) {
    const { text } = await model.complete("", { maxNewTokens: CONTINUATION, seed });
    add(`Story ${seed}`, "", text.trimStart());
  }
  for (const [i, summary] of SUMMARIES.entries()) {
    const prompt = `Summary: ${summary}\n\nStory:\n\n`;
    const { text } = await model.complete(prompt, { maxNewTokens: CONTINUATION, seed: i + 1 });
    add(`By summary ${i + 1}`, prompt, text);
  }
  for (const [i, prompt] of PROMPTS.entries()) {
    const { text } = await model.complete(prompt, { maxNewTokens: CONTINUATION, seed: i + 1 });
    add(`Prompt ${i + 1}`, prompt, text);
  }
  return parts.join("\n");
}
