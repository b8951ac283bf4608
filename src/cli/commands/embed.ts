import { type Command, Option } from "commander";
import { POOLINGS, type Pooling } from "../../generate/encoder.js";
import { progress } from "../../util/progress.js";
import { interruptible } from "../interrupt.js";
import { readTexts } from "../labelled-input.js";
import { addModelOptions, loadModel, type ModelFlags } from "../options.js";

interface EmbedFlags extends ModelFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly pooling: Pooling;
  readonly normalize: boolean;
  readonly truncate?: true;
}

const HELP = `
Prints a line of JSON for each text: { "text", "embedding": [ … ] }, the final
hidden states of its tokens, pooled. The product of two embeddings of length 1
is the cosine of the angle between them: near 1 for texts that the model finds
alike.

Examples:
  $ gpt2 embed "A cat sat on the mat."
  $ gpt2 embed --data texts.jsonl --model gpt2 --pooling last > embeddings.jsonl`;

/** Adds `gpt2 embed`. */
export function registerEmbed(program: Command): void {
  const command = program
    .command("embed")
    .summary("texts as vectors")
    .description("Print a vector for each text, such that texts that are alike have vectors that are.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--data <path...>", 'read many texts: JSONL of { "text" }')
    .addOption(
      new Option("--pooling <how>", "the mean of the tokens' states, or the last one's")
        .choices(POOLINGS)
        .default("mean"),
    )
    .option("--no-normalize", "do not make vectors of length 1")
    .option("--truncate", "of a text that is longer than the context read the beginning, instead of refusing it");
  addModelOptions(command).addHelpText("after", HELP).action(embed);
}

async function embed(words: string[], flags: EmbedFlags): Promise<void> {
  const { file, data, pooling, normalize, truncate } = flags;
  await interruptible(async (signal) => {
    const texts = (await readTexts("embed", { words, file, data })).map(({ text }) => text);
    const model = await loadModel(flags, signal);
    const line = progress({ label: "embed", total: texts.length, unit: "texts" });
    const onProgress = (done: number) => done < texts.length && line.update(done);
    const vectors = await model
      .embed(texts, { pooling, normalize, truncate, signal, onProgress })
      .finally(() => line.done());
    for (const [i, vector] of vectors.entries()) {
      process.stdout.write(`${JSON.stringify({ text: texts[i], embedding: Array.from(vector) })}\n`);
    }
  });
}
