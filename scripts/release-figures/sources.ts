import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { DataSource } from "../../src/misuse/card/about.js";

/** Groups of the corpus of books: their names and licences (models/default/SOURCES.md). */
const BOOKS: Readonly<Record<string, readonly [name: string, license: string]>> = {
  standardebooks: ["Standard Ebooks: novels, stories and essays", "US public domain; their contributions CC0 1.0"],
  openstax: ["OpenStax textbooks, Rice University", "CC BY 4.0"],
  "openstax-1e": ["OpenStax textbooks, earlier editions", "CC BY 3.0"],
  docs: ["Guides of US government offices, Rust, Python and Ethereum", "US public domain, CC0 1.0, MIT OR Apache-2.0"],
  speeches: ["Addresses of US presidents", "US public domain"],
};

/**
 * Names of the groups in the corpus of stories, whose manifest has their licences (models/default/SOURCES-stories.md).
 */
const STORIES: Readonly<Record<string, string>> = {
  "gpt-stories": "GPT_stories: short stories by gpt-4o-mini (Rettberg and Wigers)",
  "childrens-books": "Children's books, Standard Ebooks or in its layout",
  fairytaleqa: "FairytaleQA: fairy tales",
  tinyfabulist: "TinyFabulist: fables by language models (KlusAI)",
  "pratham-books": "Pratham Books: picture books",
  "african-storybook": "African Storybook: picture books",
  recipes: "public-domain-recipes",
  propara: "ProPara: how processes work (Allen Institute for AI)",
  aesop: "Aesop for Children, 1919",
  "news-for-children": "News for Children (cstemlab)",
};

/** Groups written by language models. */
const MACHINE = ["gpt-stories", "tinyfabulist"];

/** The human-written documents of a file in the corpus of stories. */
export function humanDocuments(stories: string, file: string): string[] {
  const groups = rowsOf(join(stories, "manifest.tsv.gz"))
    .filter((row) => row.file === file)
    .map(({ group }) => group!);
  const documents = gunzipSync(readFileSync(join(stories, file)))
    .toString("utf8")
    .split("\n<|endoftext|>\n")
    .slice(0, -1);
  if (documents.length !== groups.length) throw new Error(`${file}: manifest.tsv.gz has ${groups.length} documents`);
  return documents.filter((_, i) => !MACHINE.includes(groups[i]!));
}

/** Documents and bytes by source, of the training files that the manifests list. */
export function dataSources(corpus: string, stories: string, files: readonly string[]): DataSource[] {
  return [corpus, stories].flatMap((folder) => {
    const manifest = join(folder, "manifest.tsv.gz");
    return existsSync(manifest) ? sourcesOf(rowsOf(manifest), files) : [];
  });
}

type Row = Readonly<Record<string, string>>;

/** The documents that a manifest lists, in the order of the files. */
function rowsOf(manifest: string): Row[] {
  const [head, ...lines] = gunzipSync(readFileSync(manifest)).toString("utf8").trimEnd().split("\n");
  const columns = head!.split("\t");
  return lines.map((line) => Object.fromEntries(line.split("\t").map((cell, i) => [columns[i]!, cell])));
}

function sourcesOf(rows: readonly Row[], files: readonly string[]): DataSource[] {
  const found = new Map<string, { documents: number; bytes: number; license: string }>();
  for (const { file, group, bytes, licence } of rows) {
    if (!files.includes(file!)) continue;
    const of = found.get(group!) ?? { documents: 0, bytes: 0, license: BOOKS[group!]?.[1] ?? licence ?? "" };
    found.set(group!, { ...of, documents: of.documents + 1, bytes: of.bytes + Number(bytes) });
  }
  return Array.from(found, ([group, of]): DataSource => {
    const source = BOOKS[group]?.[0] ?? STORIES[group];
    if (source === undefined || of.license === "") throw new Error(`the group ${group} has no name or licence here`);
    return { source, ...of };
  }).sort((a, b) => b.bytes! - a.bytes!);
}
