import { type Command, Option } from "commander";
import type { Pooling } from "../../architectures/architecture.js";
import { POOLINGS } from "../../generate/encoder.js";
import type { EmbedOptions } from "../../model/options.js";
import { progress } from "../../util/progress.js";
import { readTexts } from "../labelled-input.js";
import { isEncoder, loadEncoder, loadModel, type ModelFlags } from "../model.js";
import { addModelOptions } from "../options.js";
import { printJson } from "../output.js";
import { interruptible } from "../signals.js";

interface EmbedFlags extends ModelFlags {
  readonly file?: string;
  readonly data?: string[];
  readonly pooling?: Pooling;
  readonly normalize: boolean;
  readonly truncate?: true;
}

const HELP = `
With a GPT-2, or a BERT such as those of sentence-transformers.

Prints a line of JSON for each text: { "text", "embedding": [ … ] }, the pooled
final hidden states of its tokens. The dot product of two embeddings of length 1
is their cosine: near 1 for texts that the model finds alike.

Examples:
  $ gpt2 embed "A cat sat on the mat."
  $ gpt2 embed --data texts.jsonl --model gpt2 --pooling last > embeddings.jsonl`;

/** Adds `gpt2 embed`. */
export function registerEmbed(program: Command): void {
  const command = program
    .command("embed")
    .summary("embed texts as vectors")
    .description("Print a vector for each text; similar texts have similar vectors.")
    .argument("[text...]", "the text")
    .option("-f, --file <path>", "read the text from a file; - for standard input")
    .option("--data <path...>", 'read many texts: JSONL of { "text" }')
    .addOption(
      new Option(
        "--pooling <how>",
        "pooling of the tokens' states (default: as the model's files say, else the mean)",
      ).choices(POOLINGS),
    )
    .option("--no-normalize", "keep the vectors' lengths instead of scaling them to 1")
    .option("--truncate", "truncate a text longer than the context, instead of refusing it");
  addModelOptions(command).addHelpText("after", HELP).action(embed);
}

/** A GPT-2, or a BERT. */
interface Embedder {
  embed(texts: readonly string[], options: EmbedOptions): Promise<Float32Array[]>;
}

async function loadReader(flags: EmbedFlags, signal: AbortSignal): Promise<Embedder> {
  if (!(await isEncoder(flags, signal))) return loadModel(flags, signal);
  return loadEncoder({ ...flags, model: flags.model! }, signal);
}

async function embed(words: string[], flags: EmbedFlags): Promise<void> {
  const { file, data, pooling, normalize, truncate } = flags;
  await interruptible(async (signal) => {
    const texts = (await readTexts("embed", { words, file, data })).map(({ text }) => text);
    const model = await loadReader(flags, signal);
    const line = progress({ label: "embed", total: texts.length, unit: "texts" });
    const onProgress = (done: number) => done < texts.length && line.update(done);
    const vectors = await model
      .embed(texts, { pooling, ...(!normalize && { normalize }), truncate, signal, onProgress })
      .finally(() => line.done());
    for (const [i, vector] of vectors.entries()) {
      printJson({ text: texts[i], embedding: Array.from(vector) });
    }
  });
}
