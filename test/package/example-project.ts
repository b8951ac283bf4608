import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { chooseBackend } from "../../src/backend/choose.js";
import { prepareData } from "../../src/data/prepare.js";
import { trainTokenizer } from "../../src/tokenizer/train.js";
import { type FinetuneOptions, finetune } from "../../src/train/finetune.js";
import { packageFile } from "../../src/util/package-root.js";
import { HubServer } from "../helpers/hub-server.js";
import { TINY_TEXT } from "../helpers/tiny-run.js";
import { linkNodeTypes, makeProject, type Ran, run, TSC } from "./project.js";

/** A program in the documentation. */
export interface Example {
  /** `docs/training.md:170`. */
  readonly name: string;
  readonly source: string;
}

export interface ExampleRun extends Ran, Example {
  readonly dir: string;
}

/** Every TypeScript or JavaScript block of README.md and docs. */
export function examples(): Example[] {
  const files = ["README.md", ...readdirSync(packageFile("docs")).map((file) => `docs/${file}`)];
  return files
    .filter((file) => file.endsWith(".md"))
    .flatMap((file) => {
      const text = readFileSync(packageFile(file), "utf8");
      return [...text.matchAll(/^```(?:ts|js)\n([\s\S]*?)^```/gm)].map((match) => ({
        name: `${file}:${text.slice(0, match.index).split("\n").length}`,
        source: match[1]!,
      }));
    });
}

/** Replacements that make a program of the documentation short enough for a test. */
const SHORTER: readonly (readonly [string, string])[] = [
  ["steps: 2000", "steps: 2"],
  ["batchSize: 16", "batchSize: 2"],
];

const FACTS = [
  { question: "How many legs has a spider?", answer: "Eight." },
  { question: "What do cows eat?", answer: "Grass." },
  { question: "Where is the sun?", answer: "In the sky." },
].flatMap((fact) => Array.from({ length: 4 }, () => fact));
const REVIEWS = ["A triumph", "The plot is thin"].flatMap((text, i) =>
  Array.from({ length: 6 }, (_, k) => ({ text: `${text}, ${k}.`, label: ["bad", "good"][i]!, score: 5 - 3 * i })),
);

const COMPILER_OPTIONS = {
  target: "es2022",
  lib: ["es2022", "dom"],
  module: "nodenext",
  outDir: "out",
  rootDir: "src",
  strict: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  types: ["node"],
};

/** A project with every program of the documentation, each in a folder with the files it needs, and a hub. */
export class ExampleProject {
  readonly dir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #hub: HubServer;

  private constructor(dir: string, hub: HubServer) {
    this.dir = dir;
    this.#hub = hub;
    this.#env = { HF_HOME: join(dir, "hub"), HF_ENDPOINT: hub.endpoint };
  }

  static async make(dir: string): Promise<ExampleProject> {
    makeProject(dir, {
      ...Object.fromEntries(examples().map(({ name, source }) => [`src/${fileOf(name)}.ts`, shortened(source)])),
      "package.json": JSON.stringify({ type: "module", private: true }),
      "tsconfig.json": JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ["src"] }),
      // A page's address, for `GPT2.fetch` with a relative one.
      "page.mjs": "globalThis.location = { href: process.env.PAGE };",
      "facts.jsonl": jsonl(FACTS),
      "labels.jsonl": jsonl(REVIEWS),
      "stars.jsonl": jsonl(REVIEWS.map(({ text, score }) => ({ text, label: score }))),
      "corpus/a.txt": readFileSync(TINY_TEXT, "utf8"),
    });
    copyFileSync(TINY_TEXT, join(dir, "book.txt"));
    writeFileSync(join(dir, "valid.txt.gz"), gzipSync(readFileSync(TINY_TEXT)));
    linkNodeTypes(dir);
    await prepare(dir);
    return new ExampleProject(dir, await openHub());
  }

  compile(tsc = TSC): Promise<Ran> {
    return run(process.execPath, [tsc, "-p", "."], this.dir);
  }

  /** @param backend as in `GPT2_BACKEND` */
  async run(example: Example, backend: string): Promise<ExampleRun> {
    const name = fileOf(example.name);
    const dir = join(this.dir, "work", backend, name);
    mkdirSync(dir, { recursive: true });
    const makesData = /prepareData\(/.test(example.source);
    for (const each of ["book.txt", "facts.jsonl", "corpus", "valid.txt.gz", ...(makesData ? [] : ["data"])]) {
      cpSync(join(this.dir, each), join(dir, each), { recursive: true });
    }
    mkdirSync(join(dir, "runs"));
    for (const each of ["chat", "poet", "other", "reviews", "stars"]) {
      symlinkSync(join(this.dir, "runs", each), join(dir, "runs", each));
    }
    symlinkSync(packageFile("test/fixtures/evaluate/data"), join(dir, "eval"));
    const env = {
      ...this.#env,
      GPT2_BACKEND: backend,
      PAGE: `${this.#hub.endpoint}/example/page/resolve/main/index.html`,
    };
    const args = ["--import", pathToFileURL(join(this.dir, "page.mjs")).href, join(this.dir, "out", `${name}.js`)];
    return { ...example, dir, ...(await run(process.execPath, args, dir, env)) };
  }

  async close(): Promise<void> {
    await this.#hub.close();
  }
}

/** Every file of a folder of the package, by its path there. */
function filesOf(folder: string): Record<string, Buffer> {
  const root = packageFile(folder);
  const entries = readdirSync(root, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
  const paths = entries.map(({ parentPath, name }) => join(parentPath, name));
  return Object.fromEntries(paths.map((path) => [relative(root, path).replaceAll("\\", "/"), readFileSync(path)]));
}

/** Models on a hub, and on a site of one's own. */
async function openHub(): Promise<HubServer> {
  const folder = packageFile("models/default");
  const names = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"];
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))]));
  const site = Object.fromEntries(names.map((name) => [`models/tiny/${name}`, files[name]!]));
  const [commit, refs] = ["0123456789abcdef0123456789abcdef01234567", ["v1.0"]];
  return HubServer.start(
    { id: "openai-community/gpt2", commit, files },
    { id: "owner/name", commit, refs, files },
    { id: "example/page", commit, files: site },
    { id: "google-bert/bert-base-uncased", commit, files: filesOf("test/fixtures/bert/masked") },
    { id: "sentence-transformers/all-MiniLM-L6-v2", commit, files: filesOf("test/fixtures/bert/sentence") },
  );
}

/** The programs' inputs: token data, adapters of the default model, models fine-tuned for a task. */
async function prepare(dir: string): Promise<void> {
  const at = (path: string): string => join(dir, path);
  const tokenizer = await trainTokenizer([readFileSync(TINY_TEXT, "utf8")], { vocabSize: 512 });
  await prepareData([at("book.txt")], { out: at("data"), tokenizer, valFraction: 0.2 });
  const { backend } = await chooseBackend();
  const train = async (options: Omit<FinetuneOptions, "backend">): Promise<void> => {
    const settings = { batchSize: 2, seqLength: 32, sampleEvery: 0, valEvery: 0 };
    const trainer = await finetune({ backend, epochs: 1, ...options, settings });
    for await (const _ of trainer.run());
  };
  const template = { prompt: "Q: {question}\nA:", completion: " {answer}<|endoftext|>" };
  await train({ data: at("facts.jsonl"), template, lora: { rank: 2 }, out: at("runs/chat") });
  for (const name of ["poet", "other"]) cpSync(at("runs/chat"), at(`runs/${name}`), { recursive: true });
  await train({ data: at("labels.jsonl"), task: "classify", out: at("runs/reviews") });
  await train({ data: at("stars.jsonl"), task: "regress", out: at("runs/stars") });
}

const shortened = (source: string): string => SHORTER.reduce((text, [from, to]) => text.replace(from, to), source);
const fileOf = (name: string): string => name.replace(/[^a-z0-9]+/gi, "-");
const jsonl = (lines: readonly object[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join("");
