import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** Bytes of the plainest books in the default model's second training, beside all textbooks. */
const BOOK_BYTES = 50e6;
const TEXTBOOKS = new Set(["openstax"]);
const BOOKS = "standardebooks";

/** Number of most frequent words that count as common: the more of a document's words are common, the plainer it is. */
const COMMON_WORDS = 1500;

interface CorpusDocument {
  readonly group: string;
  readonly text: string;
}

/**
 * Writes the plain part of the corpus as text: textbooks, and those chapters of books of which most words are common
 * ones. These have fewer names and rare words for a small model to guess, and more sentences to learn from.
 *
 * CORPUS/manifest.tsv.gz says to which group of sources each document belongs.
 */
export async function writePlainText(corpus: string, files: readonly string[], out: string): Promise<void> {
  const documents = await readCorpus(corpus, files);
  const common = mostFrequent(documents, COMMON_WORDS);
  const books = documents
    .filter(({ group }) => group === BOOKS)
    .map((document) => ({ document, share: shareOf(document.text, common) }))
    .sort((a, b) => b.share - a.share);
  const chosen = new Set(documents.filter(({ group }) => TEXTBOOKS.has(group)));
  let bytes = 0;
  let least = 1;
  for (const { document, share } of books) {
    if (bytes >= BOOK_BYTES) break;
    chosen.add(document);
    bytes += Buffer.byteLength(document.text);
    least = share;
  }
  console.log(
    `${out}: ${chosen.size} of ${documents.length} documents; common words in books from ${least.toFixed(3)}`,
  );
  await writeFile(out, documents.flatMap((d) => (chosen.has(d) ? [`${d.text}\n<|endoftext|>\n`] : [])).join(""));
}

async function readCorpus(corpus: string, files: readonly string[]): Promise<CorpusDocument[]> {
  const gunzip = async (name: string) => gunzipSync(await readFile(join(corpus, name))).toString("utf8");
  const [, ...rows] = (await gunzip("manifest.tsv.gz")).trim().split("\n");
  const groups = new Map(
    rows.map((row) => row.split("\t")).map(([file, index, group]) => [`${file} ${index}`, group!]),
  );
  const documents: CorpusDocument[] = [];
  for (const file of files) {
    const texts = (await gunzip(file)).split("\n<|endoftext|>\n");
    texts.pop();
    texts.forEach((text, i) => {
      const group = groups.get(`${file} ${i}`);
      if (group === undefined) throw new Error(`manifest.tsv.gz does not list document ${i} of ${file}`);
      documents.push({ group, text });
    });
  }
  return documents;
}

const words = (text: string): RegExpStringIterator<RegExpExecArray> => text.matchAll(/\p{L}+(?:['’]\p{L}+)?/gu);

function mostFrequent(documents: readonly CorpusDocument[], count: number): Set<string> {
  const counts = new Map<string, number>();
  for (const { text } of documents) {
    for (const [word] of words(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return new Set(sorted.slice(0, count).map(([word]) => word));
}

function shareOf(text: string, common: ReadonlySet<string>): number {
  let [all, found] = [0, 0];
  for (const [word] of words(text)) {
    all++;
    if (common.has(word)) found++;
  }
  return all ? found / all : 0;
}
