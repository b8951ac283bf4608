import { parseArgs } from "node:util";
import { type EditSources, readWordNet } from "../word-edits.js";
import { detectionSets, type Texts } from "./texts.js";

/** The flags shared by scripts that measure detectors. */
const FLAGS = {
  pairs: { type: "string" },
  human: { type: "string", multiple: true },
  generator: { type: "string", multiple: true },
  observer: { type: "string" },
  model: { type: "string" },
  detector: { type: "string" },
  wordnet: { type: "string" },
  texts: { type: "string", default: "100" },
  work: { type: "string" },
  out: { type: "string" },
} as const;

/** The flags, and the texts that they name. */
export async function readDetectionFlags(script: string) {
  const { values } = parseArgs({ options: FLAGS });
  const { pairs, human, generator = [], work, out } = values;
  if (!pairs || !human || !work || !out) {
    console.error(
      `usage: node dist/scripts/${script}.js --pairs DIR --human DOMAIN=FILE … [--generator NAME=DIR …] [--wordnet DIR] --work DIR --out FILE [--texts 100]`,
    );
    process.exit(2);
  }
  const sets = await detectionSets({ pairs, human, generators: generator, most: Number(values.texts), work });
  return { ...values, work, out, sets, sources: editSources(sets, values.wordnet) };
}

/** Words to insert are from human texts; synonyms from WordNet's folder, if there is one. */
function editSources(sets: readonly Texts[], wordnet: string | undefined): EditSources {
  const words = sets[0]!.human.join(" ").match(/[\p{L}’]+/gu)!;
  return { words, synonyms: wordnet === undefined ? new Map() : readWordNet(wordnet) };
}
