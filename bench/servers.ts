/** The servers that `npm run bench -- serve` measures, each in its own process. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface RunningTarget {
  readonly name: string;
  readonly url: string;
  /** Name of its model. */
  readonly model: string;
  /** Resident memory in bytes; undefined where the process is not ours, or the system does not report it. */
  memory(): number | undefined;
  stop(): Promise<void>;
}

export interface ServerOptions {
  /** Model file. */
  readonly file: string;
  readonly threads: number;
  readonly slots: number;
  /** Number of texts that may wait. */
  readonly queue: number;
}

const CLI = fileURLToPath(new URL("../src/cli/main.js", import.meta.url));
const CONTEXT = 1024;

/** `gpt2 serve`. */
export async function startOwn({ file, threads, slots, queue }: ServerOptions): Promise<RunningTarget> {
  const flags = { port: 0, name: "bench", model: file, threads, slots, queue };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [CLI, "serve", ...args], { stdio: ["ignore", "ignore", "pipe"] });
  for await (const line of createInterface({ input: child.stderr! })) {
    const url = / at (http:\S+)$/.exec(line)?.[1];
    if (url !== undefined) return target("gpt2 serve", url, child);
    process.stderr.write(`${line}\n`);
  }
  throw new Error("gpt2 serve ended");
}

/**
 * llama.cpp's own server, with as many slots, each with the whole context. If it crashes, it is started once more with weights as
 * they are in the file: its kernels for AMX do not take a vocabulary of 50,257.
 */
export async function startLlama(program: string, options: ServerOptions, repack = true): Promise<RunningTarget> {
  const { file, threads, slots } = options;
  const port = await freePort();
  const flags = { m: file, t: threads, tb: threads, np: slots, c: slots * CONTEXT };
  const args = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, String(value)]);
  const switches = ["--no-ui", ...(repack ? [] : ["--no-repack"])];
  const child = spawn(program, [...args, "--host", "127.0.0.1", "--port", String(port), ...switches], {
    stdio: "ignore",
  });
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 600 && child.exitCode === null; i++) {
    if (child.signalCode === "SIGSEGV" && repack) return startLlama(program, options, false);
    const answer = await fetch(`${url}/health`).catch(() => undefined);
    if (answer?.ok) return target(repack ? "llama.cpp" : "llama.cpp (no repack)", url, child);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${program} did not start`);
}

function target(name: string, url: string, child: ChildProcess): RunningTarget {
  return {
    name,
    url,
    model: "bench",
    memory: () => residentOf(child.pid!),
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null) return resolve();
        child.once("exit", () => resolve());
        child.kill("SIGTERM");
      }),
  };
}

/** On Linux. */
function residentOf(pid: number): number | undefined {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))![1]);
  } catch {
    return undefined;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
