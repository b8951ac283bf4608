import type { ModelConfig } from "../architectures/config.js";
import { architectureOf } from "../architectures/registry.js";
import { type LabelledInfo, readLabelledInfo } from "../data/examples/labelled-folder.js";
import { TokenizerError } from "../errors.js";
import { defaultModelFolder, openModel } from "../pretrained/load.js";
import { wordPieceOf } from "../pretrained/load-bert.js";
import { tokenizerOf } from "../pretrained/tokenizer.js";
import { ByteLevelEncoder } from "../tokenizer/byte-level-encoder.js";
import type { EncoderTokenizer } from "../tokenizer/encoder-tokenizer.js";
import type { TextTokenizer } from "../tokenizer/text-tokenizer.js";
import type { WordPieceTokenizer } from "../tokenizer/wordpiece/tokenizer.js";
import { isFolder } from "../util/is-folder.js";
import { checkOptionNames, type OptionNames } from "../util/nearest.js";
import { describeModel } from "./base-model.js";
import { type FinetuneDataOptions, finetuneData, type NamedTokenizer } from "./finetune-data.js";
import { loraSettings } from "./lora-settings.js";
import type { TrainSettings } from "./settings.js";
import { Trainer } from "./trainer.js";
import { TRAINER_OPTIONS, type TrainerOptions } from "./trainer-options.js";

export interface FinetuneOptions extends Omit<TrainerOptions, "data" | "config">, Partial<FinetuneDataOptions> {}

const { config: _, ...WITHOUT_SHAPE } = TRAINER_OPTIONS;
const OPTIONS: OptionNames<FinetuneOptions> = {
  ...WITHOUT_SHAPE,
  val: true,
  valFraction: true,
  template: true,
  task: true,
  maxLength: true,
  onPrepare: true,
  signal: true,
};

/** Default number of tokens in a pass, which gives the batch size. */
const PASS = 4096;
/** Approximate number of labelled texts in a step. */
const TEXTS = 32;
const EPOCHS = 3;

/**
 * Differences from training from scratch: small learning rates (ten times larger for an adapter than for the model itself),
 * little or no decay, a longer memory for mean squares because steps are few; validation on all held-out data, stopping when
 * it no longer improves, and keeping the best model; documents that do not see each other.
 */
export function finetuneDefaults(
  config: ModelConfig,
  lora: boolean,
  given: Partial<TrainSettings>,
): Partial<TrainSettings> {
  const { seqLength = config.nCtx } = given;
  return {
    batchSize: Math.max(1, Math.floor(PASS / seqLength)),
    lr: lora ? 1e-3 : 1e-4,
    beta2: 0.999,
    weightDecay: 0,
    valBatches: 0,
    patience: 3,
    useBest: 1,
    isolate: 1,
    keep: 1,
    ...given,
  };
}

/** For labelled texts: sequences as long as the longest text, as many as hold about 32 texts. */
export function taskDefaults(
  { nCtx }: ModelConfig,
  { splits: { train, val } }: LabelledInfo,
  given: Partial<TrainSettings>,
): Partial<TrainSettings> {
  const longest = Math.max(train.longest, val?.longest ?? 0);
  const { seqLength = Math.min(nCtx, 8 * Math.ceil(longest / 8)) } = given;
  const places = Math.min(PASS, (TEXTS * train.tokens) / train.texts);
  return { seqLength, batchSize: Math.max(1, Math.ceil(places / seqLength)), ...given };
}

/**
 * Makes a Trainer that fine-tunes a model, or with `lora` trains an adapter: on text; on JSONL of prompts and completions or of
 * chats, with a loss mask; with `task`, on labelled texts. Data is prepared in `out/data`. Settings default to
 * {@link finetuneDefaults} and three epochs.
 *
 *     const { backend } = await chooseBackend();
 *     const trainer = await finetune({ backend, from: "gpt2", data: "chats.jsonl", out: "runs/a", lora: { rank: 8 } });
 *     for await (const event of trainer.run()) console.log(event);
 *
 * @throws as {@link Trainer.create}.
 */
export async function finetune(options: FinetuneOptions): Promise<Trainer> {
  checkOptionNames<Partial<FinetuneOptions>>("fine-tuning", options, OPTIONS);
  const { data, val, valFraction, template, task, onPrepare, signal, ...others } = options;
  const { maxLength: longest, ...rest } = others;
  const given = rest.settings ?? {};
  // Without validations nothing is held out: it would be neither learned nor scored.
  const fraction = valFraction ?? (given.valEvery === 0 ? 0 : undefined);
  const maxLength = longest ?? given.seqLength;
  const requested = { val, valFraction: fraction, template, task, maxLength, onPrepare, signal };
  const prepare = async () => data && (await finetuneData(rest.out, { data, ...requested }, () => tokenizerFor(rest)));
  if (rest.resume) return Trainer.create({ ...rest, data: await prepare() });
  const { config } = await describeModel({ ...rest.locate, name: rest.from });
  const lora = rest.lora !== undefined;
  // Checked before the data is prepared, which may take long.
  if (rest.lora) loraSettings(rest.lora, config);
  const folder = await prepare();
  const labelled = folder !== undefined && isFolder(folder) ? readLabelledInfo(folder) : undefined;
  const settings = finetuneDefaults(config, lora, labelled ? taskDefaults(config, labelled, given) : given);
  const epochs = rest.epochs ?? (rest.settings?.steps === undefined ? EPOCHS : undefined);
  const from = rest.from ?? (lora ? undefined : defaultModelFolder());
  return Trainer.create({ ...rest, from, data: folder, settings, epochs });
}

function textTokenizerOf(tokenizer: EncoderTokenizer | undefined): TextTokenizer | undefined {
  return tokenizer instanceof ByteLevelEncoder ? tokenizer.tokenizer : (tokenizer as WordPieceTokenizer | undefined);
}

/** @throws {TokenizerError} the model has none. */
async function tokenizerFor({ from, locate }: TrainerOptions): Promise<NamedTokenizer> {
  const checkpoint = await openModel(from, locate);
  try {
    const { nCtx } = checkpoint.config;
    const readsWhole = architectureOf(checkpoint.config).attention === "bidirectional";
    const encoder = readsWhole ? await wordPieceOf(checkpoint) : undefined;
    const tokenizer = readsWhole ? textTokenizerOf(encoder) : await tokenizerOf(checkpoint);
    if (tokenizer) return { tokenizer, name: from ?? "the default model's", encoder, nCtx };
    const hint = "Put its tokenizer.json beside the weights";
    throw new TokenizerError({
      op: `fine-tuning ${checkpoint.path}`,
      expected: "a model with a tokenizer",
      got: "none",
      hint,
    });
  } finally {
    checkpoint.close();
  }
}
