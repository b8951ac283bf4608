/** Who is measured: this package, and other people's programs where they are installed. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { packageFile } from "../src/util/package-root.js";
import type { Case, Runtime } from "./cases.js";
import { isInstalled } from "./peers/import-peer.js";
import type { Setup, Task, WeightType } from "./protocol.js";
import type { Command } from "./worker-process.js";

export interface Contender {
  readonly name: string;
  /** Of this package, not a peer. */
  readonly ours?: true;
  /** Takes part only when asked for by name. */
  readonly optional?: true;
  readonly kinds: readonly Task["kind"][];
  readonly types: readonly WeightType[];
  readonly runtime: Runtime;
  /** Whether it can do this case, of the right kind, type and runtime. */
  can?(c: Case): boolean;
  /** Why it can't run here and what to do about it; undefined if it can. */
  missing(): Promise<string | undefined>;
  /** Makes the model file it needs in the folder `cache`, unless it is there, and returns its path. */
  prepare?(setup: Setup, cache: string): Promise<string>;
  command(setup: Setup): Command;
}

const run = promisify(execFile);
const PYTHON = process.env.PYTHON || "python3";
const NPM_HINT = "npm install --prefix bench/peers";
const PIP_HINT = `${PYTHON} -m pip install -r bench/peers/python/requirements.txt`;

/** A contender's module, compiled beside this one. */
const nodeCommand = (module: string) => (setup: Setup) => ({
  file: process.execPath,
  args: [fileURLToPath(new URL(module, import.meta.url)), JSON.stringify(setup)],
});

const python = (script: string): string => packageFile(join("bench/peers/python", script));

const pythonCommand =
  (script: string, ...args: string[]) =>
  (setup: Setup) => ({ file: PYTHON, args: [python(script), JSON.stringify(setup), ...args] });

async function missingNpm(name: string): Promise<string | undefined> {
  return isInstalled(name) ? undefined : `not installed: ${NPM_HINT}`;
}

async function missingPython(modules: readonly string[]): Promise<string | undefined> {
  const script = "import sys, importlib.util as u; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])";
  try {
    const { stdout } = await run(PYTHON, ["-c", script, ...modules]);
    return stdout.trim() === "" ? undefined : `no Python package ${stdout.trim()}: ${PIP_HINT}`;
  } catch (error) {
    return `no ${PYTHON} (${(error as Error).message.split("\n")[0]}); PYTHON names another`;
  }
}

/** Has a Python script make the seeded model's file, unless it is there. */
const modelFile = (script: string, extension: string) => async (setup: Setup, cache: string) => {
  const { config, seed, type } = setup;
  const { nLayer, nEmbd, vocabSize } = config;
  const path = join(cache, `seeded-${seed}-${nLayer}x${nEmbd}-${vocabSize}-${type}.${extension}`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  await run(PYTHON, [python(script), path, "--seed", `${seed}`, "--config", JSON.stringify(config), "--type", type]);
  return path;
};

export const CONTENDERS: readonly Contender[] = [
  {
    name: "gpt2-ts",
    ours: true,
    kinds: ["generate", "train"],
    types: ["f32"],
    runtime: "native",
    missing: async () => undefined,
    command: nodeCommand("./ours.js"),
  },
  {
    name: "node-llama-cpp",
    kinds: ["generate"],
    types: ["f32", "f16", "q8_0", "q4_0"],
    runtime: "native",
    missing: async () => (await missingNpm("node-llama-cpp")) ?? missingPython(["gguf", "numpy"]),
    prepare: modelFile("make_gguf.py", "gguf"),
    command: nodeCommand("./peers/llama.js"),
  },
  {
    name: "onnxruntime-node",
    kinds: ["generate"],
    types: ["f32", "q8_0"],
    runtime: "native",
    missing: async () => (await missingNpm("onnxruntime-node")) ?? missingPython(["onnx", "onnxruntime", "numpy"]),
    prepare: modelFile("make_onnx.py", "onnx"),
    command: nodeCommand("./peers/ort.js"),
  },
  {
    name: "transformers",
    kinds: ["generate"],
    types: ["f32"],
    runtime: "native",
    missing: () => missingPython(["torch", "transformers", "numpy"]),
    command: pythonCommand("torch_infer.py"),
  },
  {
    name: "PyTorch",
    kinds: ["train"],
    types: ["f32"],
    runtime: "native",
    missing: () => missingPython(["torch", "numpy"]),
    command: pythonCommand("torch_train.py"),
  },
  {
    name: "PyTorch compiled",
    optional: true,
    kinds: ["train"],
    types: ["f32"],
    runtime: "native",
    missing: () => missingPython(["torch", "numpy"]),
    command: pythonCommand("torch_train.py", "--compile"),
  },
  {
    name: "PyTorch of transformers",
    optional: true,
    kinds: ["train"],
    types: ["f32"],
    runtime: "native",
    missing: () => missingPython(["torch", "transformers", "numpy"]),
    command: pythonCommand("torch_train.py", "--model", "transformers"),
  },
  {
    name: "TensorFlow.js",
    kinds: ["train"],
    types: ["f32"],
    runtime: "native",
    // Seconds for a hundred tokens, and for a thousand more memory than WebAssembly has.
    can: ({ task }) => task.kind === "train" && task.rows.flat().length < 100,
    missing: async () => (await missingNpm("@tensorflow/tfjs-layers")) ?? missingNpm("@tensorflow/tfjs-backend-wasm"),
    command: nodeCommand("./peers/tfjs.js"),
  },
];

/** `default` (all that are not optional), `none`, `all`, or names. Ours is always among them. */
export function chooseContenders(names: readonly string[]): Contender[] {
  const unknown = names.find(
    (name) => !["default", "none", "all"].includes(name) && !CONTENDERS.some((c) => c.name === name),
  );
  if (unknown !== undefined) {
    const known = CONTENDERS.filter(({ ours }) => !ours).map(({ name }) => name);
    throw new Error(`no peer ${unknown}; there are default, none, all, ${known.join(", ")}`);
  }
  return CONTENDERS.filter(
    ({ ours, optional, name }) =>
      ours || names.includes(name) || names.includes("all") || (names.includes("default") && !optional),
  );
}

export function takesPart({ kinds, types, runtime, can }: Contender, c: Case): boolean {
  return kinds.includes(c.task.kind) && types.includes(c.type) && runtime === c.runtime && (can?.(c) ?? true);
}

/** Whether this package can do it. */
export function canDo(c: Case): boolean {
  return CONTENDERS.some((contender) => contender.ours && takesPart(contender, c));
}
