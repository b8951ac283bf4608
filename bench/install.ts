/**
 * Installation of the contenders: whether one can run here, and the files it needs (models of seeded weights, programs
 * built from source).
 */
import { execFile } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { GPT2Config } from "../src/architectures/gpt2/config.js";
import { saveCheckpoint } from "../src/pretrained/node.js";
import { packageFile } from "../src/util/package-root.js";
import { seededTensors } from "../test/helpers/seeded-weights.js";
import { isInstalled, peerFolder } from "./peers/import-peer.js";
import type { Setup } from "./protocol.js";
import type { Command } from "./worker-process.js";

const run = promisify(execFile);
const PYTHON = process.env.PYTHON || "python3";
const NPM_HINT = "npm install --prefix bench/peers";
const PIP_HINT = `${PYTHON} -m pip install -r bench/peers/python/requirements.txt`;

/** A contender's module, compiled beside this one. */
export const nodeCommand =
  (module: string, ...args: string[]) =>
  (setup: Setup): Command => ({
    file: process.execPath,
    args: [fileURLToPath(new URL(module, import.meta.url)), JSON.stringify(setup), ...args],
  });

const python = (script: string): string => packageFile(join("bench/peers/python", script));

export const pythonCommand =
  (script: string, ...args: string[]) =>
  (setup: Setup): Command => {
    const plain = { ...setup, config: pythonConfig(setup.config) };
    return { file: PYTHON, args: [python(script), JSON.stringify(plain), ...args] };
  };

/** The fields of `Config` in scripts/python/seeded_weights.py; other fields have GPT-2's values. */
function pythonConfig({ vocabSize, nCtx, nEmbd, nLayer, nHead, nInner, layerNormEpsilon }: GPT2Config) {
  return { vocabSize, nCtx, nEmbd, nLayer, nHead, nInner, layerNormEpsilon };
}

export async function missingNpm(...names: string[]): Promise<string | undefined> {
  const missing = names.filter((name) => !isInstalled(name));
  return missing.length > 0 ? `${missing.join(", ")} is not installed: ${NPM_HINT}` : undefined;
}

export async function missingPython(...modules: string[]): Promise<string | undefined> {
  const script = "import sys, importlib.util as u; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])";
  try {
    const { stdout } = await run(PYTHON, ["-c", script, ...modules]);
    return stdout.trim() === "" ? undefined : `no Python package ${stdout.trim()}: ${PIP_HINT}`;
  } catch (error) {
    return `no ${PYTHON} (${(error as Error).message.split("\n")[0]}); PYTHON names another`;
  }
}

export async function missingPrograms(...programs: string[]): Promise<string | undefined> {
  for (const program of programs) {
    try {
      await run(program, ["--version"]);
    } catch {
      return `no ${program}, which has to build it`;
    }
  }
  return undefined;
}

/** Prefix of a model's file name. */
function stem({ config: { nLayer, nEmbd, vocabSize }, seed }: Setup): string {
  return `seeded-${seed}-${nLayer}x${nEmbd}-${vocabSize}`;
}

/** Makes the seeded model's file or folder with a Python script, unless it exists. */
export const modelFile =
  (script: string, extension: string, ...args: string[]) =>
  async (setup: Setup, cache: string): Promise<string> => {
    const { config, seed, type } = setup;
    const path = join(cache, `${stem(setup)}-${type}${extension}`);
    if (existsSync(path)) return path;
    mkdirSync(cache, { recursive: true });
    const choice = ["--seed", `${seed}`, "--config", JSON.stringify(pythonConfig(config)), "--type", type, ...args];
    await run(PYTHON, [python(script), path, ...choice]);
    return path;
  };

const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));

/**
 * The model in the form that users of this package have: a Hugging Face folder in f32, or a file made from it by `gpt2
 * quantize`. Both are written by this package.
 */
export async function ownFile(setup: Setup, cache: string): Promise<string> {
  const { config, seed, type } = setup;
  const folder = join(cache, `${stem(setup)}-f32.hf`);
  if (!existsSync(folder)) {
    mkdirSync(cache, { recursive: true });
    const tensors = (function* () {
      for (const [{ name, shape }, data] of seededTensors(config, seed)) yield { name, shape, data };
    })();
    await saveCheckpoint(folder, { config, tensors });
  }
  if (type === "f32") return folder;
  const file = join(cache, `${stem(setup)}-${type}.own.gguf`);
  if (!existsSync(file)) await run(process.execPath, [CLI, "quantize", folder, "--to", type, "--out", file]);
  return file;
}

/** The shortest command that generates one token. */
export function cliCommand({ file, threads }: Setup, cli = CLI): Command {
  const flags = ["--model", file!, "--threads", `${threads}`, "--backend", "native", "--temperature", "0"];
  return { file: process.execPath, args: [cli, "generate", ...flags, "-n", "1", "--no-echo", CLI_PROMPT] };
}

/** Eight tokens. */
const CLI_PROMPT = "The first thing that this program says is";

/** The sources of llama.cpp that come with node-llama-cpp: a git bundle, and its release. */
const LLAMA_BUNDLE = "llama/gitRelease.bundle";
const LLAMA_RELEASE = "llama/binariesGithubRelease.json";

/**
 * Builds llama.cpp, of the release that node-llama-cpp brings prebuilt, for this processor with
 * peers/llama-cpp/main.cpp, in the folder `cache`, unless it exists. Returns the path of the program.
 */
export async function builtLlamaCpp(cache: string): Promise<string> {
  const { release, folder, sources } = await llamaSources(cache);
  const [driver, build] = [join(folder, "driver"), join(folder, "build")];
  mkdirSync(driver, { recursive: true });
  const own = packageFile("bench/peers/llama-cpp");
  for (const name of readdirSync(own)) copyFileIfNew(join(own, name), join(driver, name));
  const options = { maxBuffer: 2 ** 26 };
  const choices = [`-DLLAMA_SOURCES=${sources}`, `-DLLAMA_RELEASE=${release}`, "-DCMAKE_BUILD_TYPE=Release"];
  await run("cmake", ["-S", driver, "-B", build, ...choices], options);
  await run("cmake", ["--build", build, "--target", "bench-llama"], options);
  return join(build, "bench-llama");
}

/** Builds llama.cpp's own server of the same release, without its page. Returns the path of the program. */
export async function builtLlamaServer(cache: string): Promise<string> {
  const { folder, sources } = await llamaSources(cache);
  const build = join(folder, "server");
  const on = ["GGML_NATIVE", "LLAMA_BUILD_COMMON", "LLAMA_BUILD_TOOLS", "LLAMA_BUILD_SERVER"];
  const off = ["BUILD_SHARED_LIBS", "LLAMA_BUILD_UI", "LLAMA_USE_PREBUILT_UI", "LLAMA_OPENSSL", "LLAMA_BUILD_TESTS"];
  const more = ["LLAMA_BUILD_EXAMPLES", "LLAMA_BUILD_APP"];
  const choices = [...on.map((name) => `-D${name}=ON`), ...[...off, ...more].map((name) => `-D${name}=OFF`)];
  const options = { maxBuffer: 2 ** 26 };
  await run("cmake", ["-S", sources, "-B", build, "-DCMAKE_BUILD_TYPE=Release", ...choices], options);
  await run("cmake", ["--build", build, "--target", "llama-server", "-j", `${availableParallelism()}`], options);
  return join(build, "bin", "llama-server");
}

/** Unpacks the sources that come with node-llama-cpp, in the folder `cache`. */
async function llamaSources(cache: string): Promise<{ release: string; folder: string; sources: string }> {
  const from = peerFolder("node-llama-cpp");
  const { release } = JSON.parse(readFileSync(join(from, LLAMA_RELEASE), "utf8")) as { release: string };
  const folder = join(cache, `llama.cpp-${release}`);
  const sources = join(folder, "sources");
  if (!existsSync(sources)) {
    mkdirSync(folder, { recursive: true });
    const partial = `${sources}.partial`;
    rmSync(partial, { recursive: true, force: true });
    await run("git", ["clone", "--quiet", join(from, LLAMA_BUNDLE), partial]);
    renameSync(partial, sources);
  }
  return { release, folder, sources };
}

/** Keeps the time of an unchanged file, so that what was built from it stays valid. */
function copyFileIfNew(from: string, to: string): void {
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return;
  copyFileSync(from, to);
}

/** Processor features that a build must use: flags of /proc/cpuinfo, and llama.cpp's names for them. */
const FEATURES = { avx2: "AVX2", avx512f: "AVX512", avx512_vnni: "AVX512_VNNI" };

/** Features of this processor that a build of llama.cpp does not list in its description. */
export function unusedFeatures(description: string): string[] {
  const flags = cpuFlags();
  return Object.entries(FEATURES)
    .filter(([flag, name]) => flags.has(flag) && !new RegExp(`\\b${name}\\b`).test(description))
    .map(([, name]) => name);
}

function cpuFlags(): ReadonlySet<string> {
  try {
    const [, flags = ""] = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    return new Set(flags.trim().split(" "));
  } catch {
    return new Set();
  }
}
