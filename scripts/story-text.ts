import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/**
 * The texts that the default model reads after the books: stories, half of them after a summary; fables, fairy tales and
 * other simple texts; and the plainest documents of the older corpus. Long documents are cut after the last paragraph
 * that ends within this many bytes. A context holds 2,000 bytes, and a reader who asks for a story sees its beginning,
 * where people and place are introduced; with this cut, half of all windows begin where a document does.
 */
const STORIES = { files: ["stories.txt.gz", "stories-with-summaries.txt.gz"], bytes: 4000 };
const SIMPLE = { files: ["simple.txt.gz"], bytes: 8000 };
const PLAIN = { list: "plain-modern.tsv", bytes: 8000 };
/** The older part of the simple texts, written in the manner of a century ago. */
const OLD_GROUP = "childrens-books";
const HELD_OUT = ["valid-stories.txt.gz", "valid-simple.txt.gz"];

/** The files of the corpus of stories that are read. */
export const STORY_FILES = [...STORIES.files, ...SIMPLE.files];

const SEPARATOR = "\n<|endoftext|>\n";

/**
 * Writes stories.txt, simple.txt, plain.txt and, of the simple texts those that are not old, modern.txt to `out`.
 *
 * @param stories folder of the corpus of stories; @param corpus folder of the older corpus, which its plain-modern.tsv lists
 * @returns the files of all texts, and those of modern stories
 */
export async function writeStoryText(
  stories: string,
  corpus: string,
  out: string,
): Promise<{ readonly all: string[]; readonly modern: string[] }> {
  const read = async ({ files, bytes }: typeof STORIES): Promise<string[]> => {
    const documents = await Promise.all(files.map((file) => documentsOf(join(stories, file))));
    return documents.flat().map((text) => opening(text, bytes));
  };
  const simple = await read(SIMPLE);
  const groups = await simpleGroups(stories);
  const texts = {
    "stories.txt": await read(STORIES),
    "simple.txt": simple,
    "plain.txt": (await plainDocuments(stories, corpus)).map((text) => opening(text, PLAIN.bytes)),
    "modern.txt": simple.filter((_, i) => groups[i] !== OLD_GROUP),
  };
  for (const [name, documents] of Object.entries(texts)) {
    const file = join(out, name);
    await writeFile(file, documents.map((text) => text + SEPARATOR).join(""));
    const bytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    console.log(`${file}: ${documents.length} documents, ${bytes} bytes`);
  }
  const at = (...names: (keyof typeof texts)[]): string[] => names.map((name) => join(out, name));
  return { all: at("stories.txt", "simple.txt", "plain.txt"), modern: at("stories.txt", "modern.txt") };
}

/** The group of each document of the simple texts. */
async function simpleGroups(stories: string): Promise<string[]> {
  const manifest = gunzipSync(await readFile(join(stories, "manifest.tsv.gz"))).toString("utf8");
  const rows = manifest.trim().split("\n").slice(1);
  return rows.map((row) => row.split("\t")).flatMap(([file, , group]) => (file === SIMPLE.files[0] ? [group!] : []));
}

/** Files whose text is held out. */
export const heldOutStories = (stories: string): string[] => HELD_OUT.map((file) => join(stories, file));

async function documentsOf(file: string): Promise<string[]> {
  const texts = gunzipSync(await readFile(file))
    .toString("utf8")
    .split(SEPARATOR);
  texts.pop();
  return texts;
}

/** Documents of the older corpus that the list names in its columns `file` and `index`, in the corpus's order. */
async function plainDocuments(stories: string, corpus: string): Promise<string[]> {
  const [head, ...rows] = (await readFile(join(stories, PLAIN.list), "utf8")).trim().split("\n");
  const columns = head!.split("\t");
  const [file, index] = [columns.indexOf("file"), columns.indexOf("index")];
  const wanted = new Map<string, Set<number>>();
  for (const row of rows.map((line) => line.split("\t"))) {
    const name = row[file]!;
    wanted.set(name, (wanted.get(name) ?? new Set()).add(Number(row[index])));
  }
  const found: string[] = [];
  for (const name of [...wanted.keys()].sort()) {
    const texts = await documentsOf(join(corpus, name));
    found.push(...texts.filter((_, i) => wanted.get(name)!.has(i)));
  }
  return found;
}

/** The paragraphs of a text that end within `bytes`, at least the first. */
function opening(text: string, bytes: number): string {
  const paragraphs = text.trim().split("\n\n");
  let [size, count] = [0, 0];
  for (const paragraph of paragraphs) {
    size += Buffer.byteLength(paragraph) + 2;
    if (count > 0 && size > bytes) break;
    count++;
  }
  return paragraphs.slice(0, count).join("\n\n");
}
