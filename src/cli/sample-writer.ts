import type { FinishReason, GeneratedToken } from "../generate/generate.js";
import { print, printJson, printText, rounded, styleFor } from "./output.js";

export interface SampleWriterOptions {
  readonly prompt: string;
  readonly samples: number;
  /** Whether the prompt is printed before each continuation. */
  readonly echo: boolean;
  readonly json: boolean;
  readonly seed: number;
}

/** Prints samples in order while they are generated side by side. Call {@link end} however generation ends. */
export interface SampleWriter {
  start(): void;
  write(token: GeneratedToken): void;
  /** @param complete false after an interruption */
  end(complete: boolean): void;
}

export function sampleWriter(options: SampleWriterOptions): SampleWriter {
  return options.json ? new JsonWriter(options) : new TextWriter(options);
}

/** Streams one sample after another; those that follow are buffered. */
class TextWriter implements SampleWriter {
  readonly #options: SampleWriterOptions;
  readonly #style = styleFor(process.stdout);
  /** Buffered text of each sample. */
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

  /** Leaves the cursor on a line of its own. */
  end(): void {
    this.#endLine();
  }

  #begin(): void {
    const { samples, prompt, echo } = this.#options;
    const { dim, bold } = this.#style;
    if (samples > 1) print(`${dim(`--- sample ${this.#current + 1} of ${samples} ---`)}\n`);
    if (!echo || prompt === "") return;
    if (this.#style.shows) print(bold(prompt));
    else printText(prompt);
    this.#last = prompt.at(-1)!;
  }

  #flush(): void {
    this.#print(this.#waiting[this.#current]!);
    this.#waiting[this.#current] = "";
  }

  #print(text: string): void {
    if (text === "") return;
    printText(text);
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

/** Prints a line of JSON for each sample, once it and those before it are complete. */
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
    record.logprobs.push(rounded(logprob));
    if (finishReason) record.finishReason = finishReason;
    for (; this.#samples[this.#printed]?.finishReason; this.#printed++) this.#print(this.#printed);
  }

  /** With -n 0 no token comes: each sample is empty, and at its length. */
  end(complete: boolean): void {
    if (!complete) return;
    for (; this.#printed < this.#samples.length; this.#printed++) {
      this.#samples[this.#printed]!.finishReason ??= "length";
      this.#print(this.#printed);
    }
  }

  #print(sample: number): void {
    const { prompt, seed } = this.#options;
    const { text, finishReason, tokens, logprobs } = this.#samples[sample]!;
    printJson({ sample, prompt, text, finishReason, tokens, logprobs, seed });
  }
}
