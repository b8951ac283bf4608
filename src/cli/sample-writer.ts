import type { FinishReason, GeneratedToken } from "../generate/generate.js";
import { styleFor } from "./style.js";

export interface SampleWriterOptions {
  readonly prompt: string;
  readonly samples: number;
  /** Whether the prompt is printed before each continuation. */
  readonly echo: boolean;
  readonly json: boolean;
  readonly seed: number;
}

/** Prints samples in order while they are generated side by side. */
export interface SampleWriter {
  start(): void;
  write(token: GeneratedToken): void;
  /** Also after an interruption: leaves the cursor on a line of its own. */
  end(): void;
}

export function sampleWriter(options: SampleWriterOptions): SampleWriter {
  return options.json ? new JsonWriter(options) : new TextWriter(options);
}

/** The sample whose turn it is streams; those after it wait. */
class TextWriter implements SampleWriter {
  readonly #options: SampleWriterOptions;
  readonly #style = styleFor(process.stdout);
  /** Text of samples that are not printed yet. */
  readonly #waiting: string[];
  readonly #finished: boolean[];
  #current = 0;
  /** The last character that was printed. */
  #last = "\n";

  constructor(options: SampleWriterOptions) {
    this.#options = options;
    this.#waiting = new Array<string>(options.samples).fill("");
    this.#finished = new Array<boolean>(options.samples).fill(false);
  }

  start(): void {
    this.#begin();
  }

  write({ sample, text, finishReason }: GeneratedToken): void {
    this.#waiting[sample] += text;
    if (finishReason) this.#finished[sample] = true;
    if (sample !== this.#current) return;
    this.#flush();
    while (this.#finished[this.#current] && this.#current + 1 < this.#options.samples) {
      this.#current++;
      this.#endLine();
      this.#begin();
      this.#flush();
    }
  }

  end(): void {
    this.#endLine();
  }

  #begin(): void {
    const { samples, prompt, echo } = this.#options;
    const { dim, bold } = this.#style;
    if (samples > 1) process.stdout.write(`${dim(`--- sample ${this.#current + 1} of ${samples} ---`)}\n`);
    if (echo && prompt !== "") this.#print(prompt, bold);
  }

  #flush(): void {
    this.#print(this.#waiting[this.#current]!);
    this.#waiting[this.#current] = "";
  }

  #print(text: string, style = (plain: string) => plain): void {
    if (text === "") return;
    process.stdout.write(style(text));
    this.#last = text.at(-1)!;
  }

  #endLine(): void {
    if (this.#last !== "\n") this.#print("\n");
  }
}

interface JsonSample {
  text: string;
  finishReason?: FinishReason;
  readonly tokens: number[];
  readonly logprobs: number[];
}

/** A line for each sample, when it and those before it are complete. */
class JsonWriter implements SampleWriter {
  readonly #options: SampleWriterOptions;
  readonly #samples: JsonSample[];
  #printed = 0;

  constructor(options: SampleWriterOptions) {
    this.#options = options;
    this.#samples = Array.from({ length: options.samples }, () => ({ text: "", tokens: [], logprobs: [] }));
  }

  start(): void {}

  write({ sample, token, text, logprob, finishReason }: GeneratedToken): void {
    const record = this.#samples[sample]!;
    record.text += text;
    record.tokens.push(token);
    // Single precision computed it: six digits are all that mean something.
    record.logprobs.push(Number(logprob.toPrecision(6)));
    if (finishReason) record.finishReason = finishReason;
    for (; this.#samples[this.#printed]?.finishReason; this.#printed++) this.#print(this.#printed);
  }

  end(): void {}

  #print(sample: number): void {
    const { prompt, seed } = this.#options;
    const { text, finishReason, tokens, logprobs } = this.#samples[sample]!;
    process.stdout.write(`${JSON.stringify({ sample, prompt, text, finishReason, tokens, logprobs, seed })}\n`);
  }
}
