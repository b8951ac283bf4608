import { statSync } from "node:fs";
import { dirname } from "node:path";
import { type Command, Option } from "commander";
import type { WhiteSpace } from "../../constrain/json-schema/white-space.js";
import type { ConstraintOptions } from "../../constrain/options.js";
import { TokenizerError, UsageError } from "../../errors.js";
import { beamSettings } from "../../generate/beam/options.js";
import { checkBestOf } from "../../generate/best-of.js";
import type { DraftCounts } from "../../generate/generate.js";
import {
  DEFAULT_LOOKUP,
  DEFAULT_NEW_TOKENS,
  type GenerateOptions,
  generateSettings,
  randomSeed,
} from "../../generate/options.js";
import { MORE_SAMPLING_NAMES, type MoreSamplingOptions } from "../../generate/sampling/options.js";
import { WATERMARK_SCHEMES, type WatermarkOptions, type WatermarkScheme } from "../../generate/watermark/options.js";
import type { GPT2 } from "../../gpt2.js";
import type { traceGeneration } from "../../misuse/trace/live-trace.js";
import type { TokenIndex } from "../../misuse/trace/token-index.js";
import { SAMPLING_DEFAULTS } from "../../pretrained/sampling-options.js";
import { checkOptionNames } from "../../util/nearest.js";
import { addBeamOptions, type BeamFlags, beamOptions, tokensOf } from "../beams.js";
import { readPrompt } from "../input.js";
import { fetchedPath, loadDraft, loadModel, type ModelFlags } from "../model.js";
import { addModelOptions, collect, number } from "../options.js";
import { noteOnTerminal } from "../output.js";
import { type SampleToken, type SampleWriter, sampleWriter } from "../sample-writer.js";
import { interruptible } from "../signals.js";

interface GenerateFlags extends ModelFlags, BeamFlags {
  readonly maxTokens: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly sampling?: string;
  readonly stop?: string[];
  readonly ignoreEot?: true;
  readonly seed?: number;
  readonly promptLookup?: true;
  readonly draft?: string;
  readonly draftTokens?: number;
  readonly samples: number;
  readonly bestOf?: number;
  readonly file?: string;
  readonly special?: true;
  readonly template?: true | string;
  readonly trace?: string;
  readonly watermark?: WatermarkScheme;
  readonly watermarkKey?: string;
  readonly watermarkKeyFile?: string;
  readonly watermarkConfig?: string;
  readonly jsonSchema?: string;
  readonly whiteSpace?: WhiteSpace;
  readonly grammar?: string;
  readonly regex?: string;
  readonly choices?: string;
  readonly echo: boolean;
  readonly json?: true;
}

const HELP = `
The prompt is the arguments, the file, or standard input if it is piped (without
its last line break). Without a prompt a new text is generated. A prompt may be as long
as the model's context. The text may outgrow it: the model then sees the last half.

A single word that resembles the name of a command and has arguments after it is
taken for a mistyped command: quote the prompt, or write gpt2 generate.

--json prints a line for each sample once it is complete:
  {"sample":0,"prompt":"…","text":"…","finishReason":"length",
   "tokens":[…],"logprobs":[…],"seed":1}
and with drafts "drafts":{"proposed":40,"accepted":25}.
finishReason is length (-n tokens), endoftext or stop. logprobs are natural
logarithms under the model, before temperature and filters. Beam search prints
"score", by which texts are ranked, instead of the seed.

Examples:
  $ gpt2 "Once upon a time" -n 100 --seed 1
  $ gpt2 "The three laws are:" --temperature 0
  $ gpt2 --samples 5 --temperature 1 --top-k 0
  $ gpt2 "The capital of" --beams 5 --samples 3 -n 20
  $ git log -5 | gpt2 --stop "\\n\\n" --no-echo
  $ gpt2 "Q: Why? A:" --json | jq .text
  $ gpt2 "The sea was" --choices " calm, rough"
  $ gpt2 "Once upon a time" --watermark gumbel --watermark-key-file key.txt
  $ gpt2 "What is new?" --adapter runs/chat/adapter --template`;

const own = (value: number): string => `default: the model's, or ${value}`;

/** Adds `gpt2 generate`, which is also what `gpt2 "prompt"` means. */
export function registerGenerate(program: Command): void {
  const { temperature, topK, topP, minP, repetitionPenalty } = SAMPLING_DEFAULTS;
  const command = program
    .command("generate", { isDefault: true })
    .summary('continue a text; gpt2 "text" for short')
    .description("Continue a text, or write a new one.")
    .argument("[prompt...]", "the text to continue")
    .option("-n, --max-tokens <n>", "maximum number of tokens to generate", number, DEFAULT_NEW_TOKENS)
    .option(
      "--temperature <x>",
      `0 always takes the likeliest token; 1 samples from the model's distribution (${own(temperature)})`,
      number,
    )
    .option("--top-k <n>", `sample from the n likeliest tokens; 0: all (${own(topK)})`, number)
    .option("--top-p <p>", `sample from the likeliest tokens that together reach p (${own(topP)})`, number)
    .option("--min-p <p>", `sample from tokens at least p times as likely as the likeliest (${own(minP)})`, number)
    .option(
      "--repetition-penalty <x>",
      `above 1, tokens of the text become less likely (${own(repetitionPenalty)})`,
      number,
    )
    .option(
      "--sampling <json>",
      'more sampling options, as in docs/generation.md: {"dryMultiplier":0.8,"typicalP":0.9,"logitBias":{"198":-100}}',
    )
    .option("--stop <text>", "stop before this text; may be given several times; \\n and \\t are understood", collect)
    .option("--ignore-eot", "continue after <|endoftext|>")
    .option("--seed <n>", "same seed, same text (default: a new one each time)", number)
    .option("--prompt-lookup", "draft tokens from repetitions in the text, and verify them: the same text, sooner")
    .option("--draft <name>", "a smaller model with the same vocabulary drafts tokens, which this one verifies")
    .option("--draft-tokens <n>", "maximum number of tokens in a draft (default: 4)", number)
    .option("--samples <n>", "number of texts, generated side by side", number, 1)
    .option("--best-of <n>", "generate n texts and print the --samples likeliest of them", number)
    .option("-f, --file <path>", "read the prompt from a file; - for standard input")
    .option("--special", "encode <|endoftext|> and other special tokens in the prompt as such, not as plain text")
    .option(
      "--template [t]",
      "put the prompt into a template: plain, story, chat, a file or JSON (default: the model's own)",
    )
    .option("--trace <index>", "underline passages that occur word for word in a corpus indexed by gpt2 index")
    .addOption(
      new Option("--watermark <scheme>", "mark the text with a secret key, for gpt2 watermark to find").choices(
        WATERMARK_SCHEMES,
      ),
    )
    .option("--watermark-key-file <path>", "the file with the key; or set GPT2_WATERMARK_KEY")
    .option("--watermark-key <key>", "the key, visible to other users in the list of processes")
    .option("--watermark-config <path>", "a JSON file of scheme, key and the scheme's options")
    .option("--json-schema <file>", "only JSON that satisfies the schema in this file")
    .addOption(
      new Option("--white-space <kind>", "white space in such JSON (default: ordinary)").choices([
        "ordinary",
        "none",
        "any",
      ]),
    )
    .option("--grammar <file>", "only texts of the grammar in this file, in llama.cpp's GBNF")
    .option("--regex <expression>", "only texts that match this regular expression as a whole")
    .option("--choices <a,b>", "only one of these texts, separated by commas")
    .option("--no-echo", "print only the continuation, not the prompt")
    .option("--json", "print JSON, a line for each sample");
  addBeamOptions(command);
  addModelOptions(command).addHelpText("after", HELP).action(generate);
}

async function generate(words: string[], flags: GenerateFlags): Promise<void> {
  const [watermark, constraint] = [await markOf(flags), await constraintOf(flags)];
  const beams = beamOptions(flags, moreOf(flags.sampling));
  const options = { ...generateOptions(flags), watermark, constraint, seed: flags.seed ?? randomSeed() };
  // Reports wrong values before a model is loaded.
  const { bestOf = flags.samples, draftTokens: drafted } = flags;
  if (drafted !== undefined && flags.draft === undefined) {
    throw new UsageError({ op: "--draft-tokens", expected: "--draft with it", got: "none" });
  }
  checkBestOf(bestOf, flags.samples);
  if (beams) beamSettings(beams);
  else generateSettings(options);
  const text = await readPrompt({ words, file: flags.file });
  await interruptible(async (signal) => {
    const { template } = flags;
    const templated = template === undefined ? undefined : await inTemplate(template, text, flags, signal);
    const prompt = templated?.text ?? text;
    const model = await loadModel(flags, signal);
    if (prompt === "" && model.endOfText === undefined) {
      throw new UsageError({ op: "prompt", expected: "a text", got: "none", hint: "This model has no <|endoftext|>" });
    }
    const { samples } = flags;
    const draft = flags.draft === undefined ? undefined : await loadDraft(flags.draft, flags, signal);
    const { draftTokens } = flags;
    const seed = beams ? undefined : options.seed;
    const writer = sampleWriter({ prompt, samples, echo: flags.echo, json: flags.json === true, seed });
    const ids = templated?.encode(model) ?? (flags.special ? specialPrompt(model, prompt) : undefined);
    const tokens = (): AsyncIterable<SampleToken> =>
      beams
        ? tokensOf(model.beamSearch(ids ?? prompt, { ...beams, signal }))
        : bestOf > samples
          ? tokensOf(model.completions(ids ?? prompt, { ...options, draft, draftTokens, bestOf, signal }))
          : model.generate(ids ?? prompt, { ...options, draft, draftTokens, signal });
    const { trace } = flags;
    if (trace === undefined) await writeSamples(model, tokens(), seed, writer);
    else await withIndex(model, trace, (index, follow) => writeSamples(model, follow(index, tokens()), seed, writer));
  });
}

/** The ids of a prompt with its special tokens. @throws {TokenizerError} the model has no tokenizer. */
function specialPrompt({ tokenizer }: GPT2, prompt: string): Uint32Array {
  if (tokenizer) return tokenizer.encode(prompt, { allowedSpecial: "all" });
  throw new TokenizerError({ op: "--special", expected: "a model with a tokenizer", got: "none" });
}

/** The prompt in the template, in which `<|endoftext|>` is the token. */
async function inTemplate(template: true | string, text: string, flags: GenerateFlags, signal: AbortSignal) {
  const { templatedPrompt } = await import("../template.js");
  const { plainText } = await import("../../data/examples/template.js");
  const { adapter, model, offline } = flags;
  const places: string[] = [];
  for (const name of template === true ? [adapter, model] : []) {
    if (name !== undefined) places.push(folderOf(await fetchedPath(name, { offline, signal })));
  }
  if (template === true && model === undefined) {
    const { defaultModelFolder } = await import("../../pretrained/load.js");
    places.push(defaultModelFolder());
  }
  const parts = templatedPrompt(template, text, places);
  const encode = ({ tokenizer, endOfText }: GPT2): number[] | undefined =>
    tokenizer &&
    parts.flatMap((part) =>
      typeof part === "string" ? Array.from(tokenizer.encode(part, { addSpecialTokens: false })) : [endOfText!],
    );
  return { text: plainText(parts), encode };
}

const folderOf = (path: string): string => (statSync(path).isDirectory() ? path : dirname(path));

function generateOptions(flags: GenerateFlags): GenerateOptions {
  const { maxTokens, temperature, topK, topP, minP, repetitionPenalty, stop, samples, ignoreEot } = flags;
  const sampling = { ...moreOf(flags.sampling), temperature, topK, topP, minP, repetitionPenalty };
  const promptLookup = flags.promptLookup ? DEFAULT_LOOKUP : 0;
  return { ...sampling, maxNewTokens: maxTokens, stop, samples, stopAtEndOfText: !ignoreEot, promptLookup };
}

/** The options of `--sampling`. */
function moreOf(json: string | undefined): MoreSamplingOptions {
  if (json === undefined) return {};
  let options: unknown;
  try {
    options = JSON.parse(json);
  } catch (cause) {
    throw new UsageError({ op: "--sampling", expected: "JSON", got: (cause as Error).message, cause });
  }
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new UsageError({ op: "--sampling", expected: "a JSON object", got: json });
  }
  checkOptionNames<MoreSamplingOptions>("--sampling", options, MORE_SAMPLING_NAMES);
  return options;
}

/** The watermark, if any of its flags is given. */
async function markOf(flags: GenerateFlags): Promise<WatermarkOptions | undefined> {
  const { watermark: scheme, watermarkKey: key, watermarkKeyFile: keyFile, watermarkConfig: config } = flags;
  if ((scheme ?? key ?? keyFile ?? config) === undefined) return undefined;
  const { watermarkOf } = await import("../watermark.js");
  return watermarkOf({ scheme, key, keyFile, config }, "watermark-");
}

/** The constraint, if any of its flags is given. @throws {ConstraintError} */
async function constraintOf(flags: GenerateFlags): Promise<ConstraintOptions | undefined> {
  const { jsonSchema, whiteSpace, grammar, regex, choices } = flags;
  if ((jsonSchema ?? whiteSpace ?? grammar ?? regex ?? choices) === undefined) return undefined;
  const { readConstraint } = await import("../constraint.js");
  return readConstraint({ jsonSchema, whiteSpace, grammar, regex, choices });
}

/** Opens an index of the model's vocabulary while `run` traces generated tokens in it. */
async function withIndex(
  { tokenizer }: GPT2,
  folder: string,
  run: (index: TokenIndex, follow: typeof traceGeneration) => Promise<void>,
): Promise<void> {
  const { openIndexFor } = await import("../../misuse/trace/token-index.js");
  const { traceGeneration } = await import("../../misuse/trace/live-trace.js");
  const index = await openIndexFor(tokenizer, folder);
  try {
    await run(index, traceGeneration);
  } finally {
    index.close();
  }
}

async function writeSamples(
  model: GPT2,
  tokens: AsyncIterable<SampleToken>,
  seed: number | undefined,
  writer: SampleWriter,
): Promise<void> {
  const started = performance.now();
  let count = 0;
  let complete = false;
  const drafts = { proposed: 0, accepted: 0 };
  try {
    writer.start();
    for await (const token of tokens) {
      count++;
      drafts.proposed += token.drafts?.proposed ?? 0;
      drafts.accepted += token.drafts?.accepted ?? 0;
      writer.write(token);
    }
    complete = true;
  } finally {
    writer.end(complete);
    report(model, count, (performance.now() - started) / 1000, seed, drafts);
  }
}

function report(
  model: GPT2,
  tokens: number,
  seconds: number,
  seed: number | undefined,
  { proposed, accepted }: DraftCounts,
): void {
  const rate = `${tokens} tokens in ${seconds.toFixed(1)} s, ${(tokens / seconds).toFixed(1)} tokens/s`;
  const drafted = proposed === 0 ? "" : `${accepted} of ${proposed} drafted tokens accepted; `;
  noteOnTerminal(
    `${rate}; ${drafted}${seed === undefined ? "" : `seed ${seed}; `}${model.backend.description}, ${model.dtype}`,
  );
}
