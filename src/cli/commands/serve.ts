import { basename } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { readSmallText } from "../../data/small-file.js";
import { UsageError } from "../../errors.js";
import { WATERMARK_SCHEMES, type WatermarkOptions, type WatermarkScheme } from "../../generate/watermark/options.js";
import type { RequestLine, RunningServer } from "../../serve/server.js";
import { loadDraft, type ModelFlags, withDownloads } from "../model.js";
import { addMachineOptions, collect, count, MODEL_FLAG, number } from "../options.js";
import { note, plural } from "../output.js";
import { interruptible } from "../signals.js";

interface ServeFlags extends Omit<ModelFlags, "adapter"> {
  readonly adapter?: Readonly<Record<string, string>>;
  readonly host: string;
  readonly port: number;
  readonly name?: string;
  readonly slots?: number;
  readonly queue?: number;
  readonly queueTokens?: number;
  readonly timeout?: number;
  readonly stall?: number;
  readonly draft?: string;
  readonly promptBudget?: number;
  readonly drain: number;
  readonly watermark?: WatermarkScheme;
  readonly watermarkKeyFile?: string;
  readonly watermarkConfig?: string;
  readonly apiKeyFile?: string;
  readonly open?: true;
  readonly allowHost?: string[];
  readonly allowOrigin?: string[];
  readonly log?: true;
}

const HELP = `
Serves OpenAI's API: /v1/completions, /v1/chat/completions, /v1/responses,
/v1/embeddings, /v1/models, and /tokenize, /v1/score, /v1/classify, /metrics,
/openapi.json; and a page at /. docs/serving.md describes it.

Keys: GPT2_API_KEY, or one per line in --api-key-file. Without a key only this
machine may call. SIGTERM lets running requests finish.
A watermark's key: --watermark-key-file, or GPT2_WATERMARK_KEY.

Examples:
  $ gpt2 serve --model gpt2 --dtype q8_0
  $ gpt2 serve --adapter poems=runs/poems/adapter --adapter code=runs/code/adapter
  $ GPT2_API_KEY=… gpt2 serve --host 0.0.0.0 --allow-host gpt2.example.org`;

function adapters(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [, name, path] = /^([^=/\\]+)=(.+)$/.exec(text) ?? [];
  if (name !== undefined && path !== undefined) return { ...before, [name]: path };
  throw new InvalidArgumentError("Not name=path.");
}

/** Adds `gpt2 serve`. */
export function registerServe(program: Command): void {
  const command = program
    .command("serve")
    .summary("serve a model over HTTP: OpenAI's API, and a page")
    .description("Serve a model to other programs and browsers, many requests at once.")
    .option("-m, --model <name>", MODEL_FLAG)
    .option(
      "--adapter <name=path>",
      "a LoRA adapter, which the API lists as a model of that name; may be given several times",
      adapters,
    )
    .option("--name <name>", "the model's name in the API (default: its folder's or file's)")
    .option("--host <address>", "address to listen on", "127.0.0.1")
    .option("-p, --port <n>", "port to listen on; 0 for any free one", count, 8080)
    .option("--slots <n>", "texts computed together (default: 32, or as many as 2 GiB hold)", count)
    .option("--queue <n>", "texts that may wait; more are refused (default: 512)", count)
    .option("--queue-tokens <n>", "prompt tokens that may wait (default: 262144)", count)
    .option("--timeout <seconds>", "longest time for a request (default: 600)", number)
    .option(
      "--stall <seconds>",
      "longest time for which a client may read nothing of its response (default: 30)",
      number,
    )
    .option(
      "--prompt-budget <ms>",
      "time that a step of other texts may take with prompts beside them (default: 40)",
      number,
    )
    .option("--draft <name>", "a smaller model with the same vocabulary that drafts tokens for this one to verify")
    .option("--drain <seconds>", "time for running requests after SIGTERM", number, 30)
    .option("--api-key-file <path>", "file with the keys that callers need, one per line")
    .option("--open", "listen without a key on other addresses than this machine's own")
    .option("--allow-host <name>", "a name by which the server is called; may be given several times", collect)
    .option("--allow-origin <origin>", "an origin whose pages may call, or *; may be given several times", collect)
    .addOption(
      new Option(
        "--watermark <scheme>",
        "mark all generated texts with a secret key, for gpt2 watermark to find",
      ).choices(WATERMARK_SCHEMES),
    )
    .option("--watermark-key-file <path>", "the file with the key")
    .option("--watermark-config <path>", "a JSON file of scheme, key and the scheme's options")
    .option("--log", "print a line for each request")
    .option("--dtype <type>", "storage dtype of the weights (default: as in the file)")
    .option("--offline", "fetch nothing; a model from elsewhere must be in the cache");
  addMachineOptions(command).addHelpText("after", HELP).action(serveModel);
}

async function serveModel(flags: ServeFlags): Promise<void> {
  const keys = keysOf(flags.apiKeyFile);
  const watermark = await markOf(flags);
  await interruptible(async (signal) => {
    const { GPT2 } = await import("../../gpt2.js");
    const { serve } = await import("../../serve/server.js");
    const { model: path, adapter, dtype, backend, threads, offline, slots, promptBudget } = flags;
    const model = await withDownloads((onDownload) =>
      GPT2.load(path, {
        ...{ dtype, backend, threads, offline, signal, onDownload },
        ...(adapter && { adapters: adapter }),
        scheduling: { slots, promptBudget, reserve: true },
      }),
    );
    await using _ = model;
    await using draft = flags.draft === undefined ? undefined : await loadDraft(flags.draft, flags, signal);
    await model.generation().scheduler.warm();
    const { host, port, queue, queueTokens, timeout, stall, open, allowHost, allowOrigin } = flags;
    const name = flags.name ?? nameOf(path);
    const view = new View(flags.log === true);
    const server = await serve(model, {
      ...{ name, host, port, keys, open, draft, allowHosts: allowHost, allowOrigins: allowOrigin, watermark },
      ...(queue !== undefined && { queue }),
      ...(queueTokens !== undefined && { queueTokens }),
      ...(timeout !== undefined && { timeout }),
      ...(stall !== undefined && { stall }),
      onRequest: (line) => view.request(line),
    });
    note(`serving ${name} (${model.dtype}, ${model.backend.description}) at ${server.url}`);
    view.start(server);
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    view.end();
    if (server.active > 0) note(`waiting for ${plural(server.active, "request")}; a second signal ends them`);
    await server.close(1000 * flags.drain);
    process.exitCode = 0;
  });
}

/** The watermark, if any of its flags is given. */
async function markOf(flags: ServeFlags): Promise<WatermarkOptions | undefined> {
  const { watermark: scheme, watermarkKeyFile: keyFile, watermarkConfig: config } = flags;
  if (scheme === undefined && keyFile === undefined && config === undefined) return undefined;
  const { watermarkOf } = await import("../watermark.js");
  return watermarkOf({ scheme, keyFile, config }, "watermark-");
}

/** The keys of the environment and of a file. */
function keysOf(file: string | undefined): string[] {
  const own = process.env.GPT2_API_KEY;
  const what = { op: `--api-key-file ${file}`, expected: "keys, one per line", errorClass: UsageError };
  const lines = file === undefined ? [] : readSmallText(file, what).split("\n");
  const keys = [...(own === undefined ? [] : [own]), ...lines].map((key) => key.trim()).filter((key) => key !== "");
  if (file !== undefined && keys.length === 0) {
    throw new UsageError({ op: what.op, expected: what.expected, got: "an empty file" });
  }
  return keys;
}

function nameOf(path: string | undefined): string {
  if (path === undefined) return "gpt2-ts-default";
  return basename(path).replace(/\.(gguf|bin|safetensors|pt|pth)$/, "") || "gpt2";
}

/** On a terminal, a line with the server's state; with --log, a line for each request. */
class View {
  readonly #log: boolean;
  #timer: NodeJS.Timeout | undefined;
  #tokens = 0;
  #requests = 0;
  #failed = 0;

  constructor(log: boolean) {
    this.#log = log;
  }

  start({ service }: RunningServer): void {
    if (this.#log || !process.stderr.isTTY) return;
    this.#timer = setInterval(() => {
      const { running, waiting, generatedTokens, promptTokens, cachedTokens } =
        service.model.generation().scheduler.status;
      const speed = generatedTokens - this.#tokens;
      this.#tokens = generatedTokens;
      const cached = promptTokens > 0 ? Math.round((100 * cachedTokens) / promptTokens) : 0;
      const requests = `${this.#requests} requests${this.#failed > 0 ? ` (${this.#failed} failed)` : ""}`;
      const texts = `${running} texts running, ${waiting} waiting`;
      const line = `${requests}, ${texts}, ${speed} tokens/s, ${cached}% of prompts cached`;
      process.stderr.write(`\r\u001b[K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
    }, 1000);
  }

  request({ method, path, status, milliseconds }: RequestLine): void {
    this.#requests++;
    if (status >= 400) this.#failed++;
    if (this.#log) note(`${method} ${path} ${status} ${milliseconds.toFixed(1)} ms`);
  }

  end(): void {
    clearInterval(this.#timer);
    if (this.#timer) process.stderr.write("\r\u001b[K");
  }
}
