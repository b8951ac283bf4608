import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import { checkAbout } from "../../misuse/card/about.js";
import { modelCard } from "../../misuse/card/card.js";
import { modelFacts, readJson, readResults } from "../../misuse/card/model-facts.js";
import { gatherResults } from "../../misuse/card/results.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { checkOutput } from "../../util/output.js";
import { fetchedPath, openNamedModel } from "../model.js";
import { noteOnTerminal, printText } from "../output.js";
import { interruptible } from "../signals.js";

interface CardFlags {
  readonly results?: string[];
  readonly about?: string;
  readonly name?: string;
  readonly out?: string;
  readonly offline?: true;
}

const HELP = `
The card has the sections of Mitchell et al. 2019 and, as front matter, the metadata of
the Hugging Face hub. It is filled from the model's files, from metrics.jsonl of the run
that left it there, from detection.json and overlap.json in its folder, and from

  --results  JSON that gpt2 eval, reproduce, extract, detect and bias write with --json, and
             figures of scripts/watermark-figures.js
  --about    JSON with facts that no file holds: { "description", "authors", "date",
             "version", "license", "languages", "baseModel", "datasets", "library",
             "trainingData", "dataLicenses", "dataSources", "recipe", "intendedUse",
             "outOfScopeUse", "factors", "evaluationData", "ethicalConsiderations",
             "caveats", "contact", "citation" }; dataSources is a list of { "source",
             "license", "documents", "bytes" }; baseModel is "none" for a model that was
             trained from random weights

Facts that none of these gives appear as "Not known." in the card.

Examples:
  $ gpt2 card runs/a/model
  $ gpt2 eval lambada --data DIR --model runs/a/model --json eval.json
  $ gpt2 bias --model runs/a/model --json > bias.json
  $ gpt2 card runs/a/model --results eval.json bias.json --about about.json --out runs/a/model/README.md`;

/** Adds `gpt2 card`. */
export function registerCard(program: Command): void {
  program
    .command("card")
    .summary("write a model card from a model's files and results")
    .description("Write a model card: data, recipe, evaluations, what the model reproduces, bias, detection, limits.")
    .argument("[model]", "a model's name, folder or file (default: the package's own model)")
    .option("--results <files...>", "results of other commands, as JSON")
    .option("--about <file>", "JSON with facts that the files do not hold")
    .option("--name <name>", "the model's name in the card (default: its folder's)")
    .option("-o, --out <file>", "write the card to a file instead of standard output")
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache")
    .addHelpText("after", HELP)
    .action(card);
}

async function card(name: string | undefined, flags: CardFlags): Promise<void> {
  await interruptible(async (signal) => {
    const fetch = { offline: flags.offline, signal };
    if (flags.out !== undefined) await checkOutput(flags.out, UsageError);
    const path = name && (await fetchedPath(name, fetch));
    const about = flags.about === undefined ? {} : checkAbout(await readJson(flags.about), flags.about);
    const checkpoint = await openNamedModel(path, fetch);
    try {
      const facts = await modelFacts(checkpoint, flags.name ?? name);
      const results = gatherResults(await readResults(flags.results ?? [], checkpoint.path));
      const text = modelCard(facts, about, results);
      if (flags.out === undefined) return printText(text);
      await writeFileAtomically(flags.out, text, UsageError);
      noteOnTerminal(`wrote ${flags.out}`);
    } finally {
      checkpoint.close();
    }
  });
}
