import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { packageFile } from "../../src/util/package-root.js";

const STATIC = /^(?:import|export)\s+(?!type\b)[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm;
const DYNAMIC = /(?<!typeof )import\("([^"]+)"\)/g;
const TYPES = /^(?:import|export)\s+type\b[^;]*?from\s+"([^"]+)"|typeof import\("([^"]+)"\)/gm;

/** Imports of a module that remain at run time (`import type` does not), as paths from src/ or bare names. */
function importsOf(file: string, ...kinds: readonly RegExp[]): string[] {
  const source = readFileSync(packageFile(join("src", file)), "utf8");
  return kinds
    .flatMap((kind) => [...source.matchAll(kind)])
    .map((match) => match[1] ?? match[2]!)
    .map((name) => (name.startsWith(".") ? join(dirname(file), name.replace(/\.js$/, ".ts")) : name));
}

/** Every module of the package reached from `entry` by imports of these kinds, and every bare name. */
function reachable(entry: string, ...kinds: readonly RegExp[]): Map<string, string> {
  const from = new Map<string, string>([[entry, "(entry)"]]);
  for (const file of from.keys()) {
    if (!file.endsWith(".ts") || file.endsWith("embedded.ts")) continue;
    for (const name of importsOf(file, ...kinds)) if (!from.has(name)) from.set(name, file);
  }
  return from;
}

const sources = readdirSync(packageFile("src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => relative(".", file));

const browserEntries = readdirSync(packageFile("src/entries")).filter((file) => file.endsWith(".browser.ts"));

for (const entry of [
  "index.ts",
  "backend/wasm/worker-browser.ts",
  ...browserEntries.map((file) => `entries/${file}`),
]) {
  test(`${entry} can be bundled for browsers: nothing that it imports, statically or later, is Node's`, () => {
    const modules = reachable(entry, STATIC, DYNAMIC);
    assert.ok(modules.size > 1, "the walk must find something");
    const chain = (name: string): string =>
      modules.get(name) === "(entry)" ? name : `${chain(modules.get(name)!)} → ${name}`;
    // A bundle for browsers has an empty module for each #node/….
    const bare = [...modules.keys()].filter((name) => !name.endsWith(".ts") && !name.startsWith("#node/"));
    assert.deepEqual(bare.map(chain), []);
  });
}

test("modules of #node/… are imported when they are called for, and exist", () => {
  for (const file of sources) {
    assert.deepEqual(
      importsOf(file, STATIC).filter((name) => name.startsWith("#")),
      [],
      file,
    );
    for (const name of importsOf(file, DYNAMIC).filter((name) => name.startsWith("#"))) {
      assert.ok(sources.includes(name.replace("#node/", "").replace(/\.js$/, ".ts")), `${file}: ${name}`);
    }
  }
});

/** The modules that `gpt2 "text"` loads for every model: each adds a third of a millisecond to a start. */
const START = ["cli/main.ts", "cli/commands/generate.ts", "gpt2.ts", "pretrained/load.ts", "backend/native/index.ts"];
const LATER =
  /^(hub|evaluate|tasks[/\\](?!tasks\.ts)|train|constrain|tokenizer|data|backend[/\\](reference|wasm)|checkpoint[/\\](gguf|tensorflow)|pretrained[/\\](formats[/\\]|names|peft|save|locate\.|convert))|^architectures[/\\][\w-]+[/\\](formats|backward)/;

test("a start loads only the modules that it needs", () => {
  const modules = new Set(START.flatMap((entry) => [...reachable(entry, STATIC).keys()]));
  assert.deepEqual(
    [...modules].filter((name) => LATER.test(name)),
    [],
  );
});

/**
 * Lower layers know nothing of higher ones: docs/architecture.md. A folder may import from its own row and the rows
 * below.
 */
const LAYERS = [
  ["cli"],
  ["index", "entries"],
  ["serve"],
  ["compare"],
  ["gpt2", "bert"],
  ["model"],
  ["generate", "train", "evaluate", "tasks", "misuse"],
  ["pretrained"],
  ["architectures"],
  ["backend"],
  ["program"],
  ["constrain", "tokenizer", "checkpoint", "data", "hub"],
  ["dtype"],
  ["util", "errors"],
];
const FIRST_LEAF = LAYERS.findIndex((names) => names.includes("checkpoint"));

function layerOf(file: string): number {
  const top = file.split(/[/\\]/)[0]!.replace(/\.ts$/, "");
  const layer = LAYERS.findIndex((names) => names.includes(top));
  assert.ok(layer >= 0, `${file} belongs to no layer`);
  return layer;
}

test("imports point down only, those of types and those made later included", () => {
  const upward = sources.flatMap((file) =>
    importsOf(file, STATIC, DYNAMIC, TYPES)
      .filter((name) => name.endsWith(".ts") && layerOf(name) < layerOf(file))
      .map((name) => `${file} → ${name}`),
  );
  assert.deepEqual(upward, []);
});

test("leaves import nothing of models, not even types", () => {
  const leaves = sources.filter((file) => layerOf(file) >= FIRST_LEAF);
  const above = leaves.flatMap((file) =>
    importsOf(file, STATIC, DYNAMIC, TYPES)
      .filter((name) => name.endsWith(".ts") && layerOf(name) < FIRST_LEAF)
      .map((name) => `${file} → ${name}`),
  );
  assert.deepEqual(above, []);
});

test("declarations of the package mention no type of Node, which a project for browsers lacks", () => {
  const entries = [
    "index.d.ts",
    ...readdirSync(packageFile("src/entries")).map((f) => `entries/${f.replace(/\.ts$/, ".d.ts")}`),
  ];
  const seen = new Set(entries.map((entry) => packageFile(`dist/src/${entry}`)));
  for (const file of seen) {
    const text = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    assert.doesNotMatch(text, /from "node:|import\("node:|\bNodeJS\.|\bBuffer\b/, file);
    for (const [, name] of text.matchAll(/(?:from |import\()"(\.[^"]+)\.js"/g))
      seen.add(join(dirname(file), `${name}.d.ts`));
  }
  assert.ok(seen.size > 50, "the walk must find something");
});
