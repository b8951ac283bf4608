import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";
import { packageFile } from "../../src/util/package-root.js";

/** Static imports of a module that remain at run time (`import type` does not), as paths from src/ or bare names. */
function importsOf(file: string): string[] {
  const source = readFileSync(packageFile(join("src", file)), "utf8");
  const found = source.matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from\s+"([^"]+)"|^import\s+"([^"]+)"/gm);
  return [...found]
    .map((match) => match[1] ?? match[2]!)
    .map((name) => (name.startsWith(".") ? join(dirname(file), name.replace(/\.js$/, ".ts")) : name));
}

/** Every module of the package reached from `entry` by static imports, and every bare name. */
function reachable(entry: string): Map<string, string> {
  const from = new Map<string, string>([[entry, "(entry)"]]);
  for (const file of from.keys()) {
    if (!file.endsWith(".ts")) continue;
    for (const name of importsOf(file)) if (!from.has(name)) from.set(name, file);
  }
  return from;
}

const sources = readdirSync(packageFile("src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => relative(".", file));

const BROWSER_SAFE = [
  "index.ts",
  "tokenizer/index.ts",
  "pretrained/index.ts",
  "architectures/programs.ts",
  "architectures/init.ts",
  "backend/choose.ts",
  "backend/reference/index.ts",
  "backend/wasm/index.ts",
  "backend/wasm/platform-browser.ts",
  "backend/wasm/worker-browser.ts",
  "data/dataset.ts",
  "data/epoch-order.ts",
  "generate/engine.ts",
  "pretrained/fetch.ts",
  "evaluate/index.ts",
  "tasks/translate.ts",
  "tasks/summarize.ts",
  "tasks/answer.ts",
  "tasks/complete.ts",
  "tasks/classify.ts",
];

for (const entry of BROWSER_SAFE) {
  test(`${entry} runs in a browser: nothing it needs at load is Node's`, () => {
    const modules = reachable(entry);
    assert.ok(modules.size > 1, "the walk must find something");
    const chain = (name: string): string =>
      modules.get(name) === "(entry)" ? name : `${chain(modules.get(name)!)} → ${name}`;
    const bare = [...modules.keys()].filter((name) => !name.endsWith(".ts")).map(chain);
    assert.deepEqual(bare, []);
  });
}

/** What `gpt2 "text"` loads whatever the model is: starting takes a third of a millisecond for each module. */
const START = ["cli/main.ts", "cli/commands/generate.ts", "gpt2.ts", "pretrained/load.ts", "backend/native/index.ts"];
const LATER =
  /^(hub|evaluate|tasks[/\\](?!tasks\.ts)|train|tokenizer|data|backend[/\\](reference|wasm)|checkpoint[/\\](gguf|tensorflow)|pretrained[/\\](formats|peft|open-folder|save))|^architectures[/\\]gpt2[/\\]backward/;

test("a start loads what it needs, and no more", () => {
  const modules = new Set(START.flatMap((entry) => [...reachable(entry).keys()]));
  assert.deepEqual(
    [...modules].filter((name) => LATER.test(name)),
    [],
  );
});

/** Lower layers know nothing of higher ones: docs/architecture.md. A folder may import its own row and those below. */
const LAYERS = [
  ["cli"],
  ["gpt2", "index", "node"],
  ["generate", "train", "evaluate", "tasks"],
  ["pretrained"],
  ["architectures"],
  ["backend"],
  ["program"],
  ["tokenizer", "checkpoint", "data", "hub"],
  ["dtype"],
  ["util", "errors"],
];
test("imports point down only", () => {
  const layerOf = (file: string): number => {
    const top = file.split(/[/\\]/)[0]!.replace(/\.ts$/, "");
    const layer = LAYERS.findIndex((names) => names.includes(top));
    assert.ok(layer >= 0, `${file} belongs to no layer`);
    return layer;
  };
  const upward = sources.flatMap((file) =>
    importsOf(file)
      .filter((name) => name.endsWith(".ts") && layerOf(name) < layerOf(file))
      .map((name) => `${file} → ${name}`),
  );
  assert.deepEqual(upward, []);
});
