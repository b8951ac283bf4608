import type { Command } from "commander";
import { UsageError } from "../../errors.js";
import type { FetchedModel } from "../../hub/node.js";
import { fetchGpt2 } from "../../pretrained/load.js";
import { formatBytes } from "../../util/progress.js";
import { downloadLine } from "../model.js";
import { MODEL_NAMES } from "../options.js";
import { noteOnTerminal, printJson, printLines } from "../output.js";
import { interruptible } from "../signals.js";

interface PullFlags {
  readonly revision?: string;
  readonly offline?: true;
  readonly progress?: true;
  readonly json?: true;
}

const HELP = `
Names: ${MODEL_NAMES}.
Only the files that a model needs are fetched: configuration, weights
(safetensors rather than PyTorch's), tokenizer. They go into the cache that
Python's huggingface_hub uses, so that both programs share them. An interrupted
download continues where it stopped; every file is compared with its checksum.

The folder (or file) is printed on standard output. --json prints
  {"path":"…","commit":"…","files":[{"name":"…","path":"…","size":1,"fetched":true}]}

In the environment: HF_TOKEN (or the file HF_TOKEN_PATH, or $HF_HOME/token),
HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HTTPS_PROXY, NO_PROXY.

Examples:
  $ gpt2 pull gpt2
  $ gpt2 pull openai-community/gpt2-medium --revision main
  $ gpt2 pull owner/models/small-q8_0.gguf
  $ gpt2 info $(gpt2 pull distilgpt2)`;

/** Adds `gpt2 pull`. */
export function registerPull(program: Command): void {
  program
    .command("pull")
    .summary("fetch a model, for use without a network")
    .description("Fetch a model and print its path.")
    .argument("<model>", "a name: see below")
    .option("--revision <name>", "branch, tag or commit; the same as MODEL@NAME")
    .option("--offline", "only check whether it is in the cache")
    .option("--progress", "print progress even without a terminal")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(pull);
}

async function pull(name: string, { revision, offline, progress, json }: PullFlags): Promise<void> {
  await interruptible(async (signal) => {
    const line = downloadLine(progress ? "plain" : "auto");
    let model: FetchedModel;
    try {
      model = await fetchGpt2(name, { revision, offline, signal, onDownload: line.onDownload });
    } finally {
      line.end();
    }
    if (model.files.length === 0) {
      const hint = "It is a file or folder on this machine, and need not be fetched";
      throw new UsageError({
        op: `pulling ${name}`,
        expected: "a model on the hub or at an address",
        got: model.path,
        hint,
      });
    }
    if (json) printJson(model);
    else printLines([model.path]);
    noteOnTerminal(summary(model));
  });
}

function summary({ files }: FetchedModel): string {
  const fetched = files.filter((file) => file.fetched);
  const total = (list: typeof files): string => formatBytes(list.reduce((sum, { size }) => sum + size, 0));
  const there = `${files.length} files, ${total(files)}`;
  return fetched.length === 0 ? `${there}; nothing to download` : `${there}; ${total(fetched)} downloaded`;
}
