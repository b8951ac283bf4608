import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";

/**
 * Makes the data of the classification recipe: passages of textbooks with their subjects, from the corpus that the default
 * model is trained on (train-*.txt.gz, manifest.tsv.gz). Which section is held out, and which passages are taken, is decided
 * by hashes, so the same corpus gives the same files.
 *
 *     node dist/scripts/topic-data.js --corpus DIR --out scripts/classify-recipe
 */
const SUBJECTS: Readonly<Record<string, string>> = {
  "philschatz+anatomy-book": "anatomy",
  "openstax+osbooks-introduction-anthropology": "anthropology",
  "philschatz+biology-book": "biology",
  "openstax+osbooks-principles-economics-bundle": "economics",
  "philschatz+us-history-book": "history",
  "openstax+osbooks-physics": "physics",
  "philschatz+psychology-book": "psychology",
  "philschatz+sociology-book": "sociology",
};
/** Number of training passages of each subject, and of test passages from other sections. */
const COUNTS = { train: 300, test: 60 };
/** Characters of a passage: whole sentences from the beginning of a paragraph. */
const [SHORTEST, LONGEST] = [240, 480];
/** Maximum number of paragraphs per section, so that no section dominates. */
const PER_SECTION = 5;
/** Share of sections held out. */
const TEST_SHARE = 0.2;

const { values } = parseArgs({ options: { corpus: { type: "string" }, out: { type: "string" } } });
const { corpus, out } = values;
if (!corpus || !out) {
  console.error("usage: node dist/scripts/topic-data.js --corpus DIR --out DIR");
  process.exit(2);
}

interface Passage {
  readonly text: string;
  readonly label: string;
  /** Repository and file. */
  readonly source: string;
}

/** A hash, as a number from 0 to 1. */
const hash = (text: string): number => createHash("sha256").update(text).digest().readUIntBE(0, 6) / 2 ** 48;

const read = (name: string): string => gunzipSync(readFileSync(join(corpus, name))).toString();

function* passagesOf(section: string, label: string, source: string): Generator<Passage> {
  let taken = 0;
  for (const paragraph of section.split("\n\n")) {
    if (taken === PER_SECTION) return;
    const text = beginning(paragraph.trim().replace(/\s+/g, " "));
    if (text === undefined) continue;
    taken++;
    yield { text, label, source };
  }
}

/** As many sentences as fit; undefined for headings, lists, and paragraphs without a fitting sentence. */
function beginning(paragraph: string): string | undefined {
  if (!/^[A-Z]/.test(paragraph)) return undefined;
  const ends = [...paragraph.matchAll(/[.!?](?=\s|$)/g)].map(({ index }) => index + 1);
  const end = ends.filter((at) => at <= LONGEST).at(-1) ?? 0;
  return end >= SHORTEST ? paragraph.slice(0, end) : undefined;
}

const rows = read("manifest.tsv.gz").trimEnd().split("\n").slice(1);
const splits: Record<keyof typeof COUNTS, Passage[]> = { train: [], test: [] };
for (const file of ["train-00.txt.gz", "train-01.txt.gz", "train-02.txt.gz"]) {
  const documents = read(file).split("\n<|endoftext|>\n");
  for (const row of rows) {
    const [name, index, , source, path] = row.split("\t") as [string, string, string, string, string];
    const label = SUBJECTS[source];
    if (name !== file || label === undefined) continue;
    const from = `${source.replace("+", "/")} ${path}`;
    splits[hash(from) < TEST_SHARE ? "test" : "train"].push(...passagesOf(documents[Number(index)]!, label, from));
  }
}
for (const [split, count] of Object.entries(COUNTS)) {
  const byHash = splits[split as keyof typeof COUNTS].sort((a, b) => hash(a.text) - hash(b.text));
  const chosen = Object.values(SUBJECTS).map((subject) =>
    byHash.filter(({ label }) => label === subject).slice(0, count),
  );
  for (const [i, passages] of chosen.entries()) {
    if (passages.length < count) throw new Error(`${Object.values(SUBJECTS)[i]}: ${passages.length} for ${split}`);
  }
  const lines = chosen.flat().sort((a, b) => hash(a.text) - hash(b.text));
  const jsonl = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  writeFileSync(join(out, `${split}.jsonl.gz`), gzipSync(jsonl, { level: 9 }));
  console.log(`${split}: ${lines.length} passages, ${jsonl.length} characters`);
}
