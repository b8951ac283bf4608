import type { DraftCounts, FinishReason, GeneratedToken } from "../generate/generate.js";
import { print, printJson, printText, rounded, styleFor } from "./output.js";

export interface SampleWriterOptions {
  readonly prompt: string;
  readonly samples: number;
  /** Whether the prompt is printed before each continuation. */
  readonly echo: boolean;
  readonly json: boolean;
  /** Undefined where nothing is drawn. */
  readonly seed: number | undefined;
}

/** A token to print, underlined if it is in a span of a traced corpus. The last token of a beam search has the text's score. */
export type SampleToken = GeneratedToken & { readonly inSpan?: boolean; readonly score?: number };

/** Prints samples in order while they are generated together. Call {@link end} however generation ends. */
export interface SampleWriter {
  start(): void;
  write(token: SampleToken): void;
  /** @param complete false after an interruption */
  end(complete: boolean): void;
}

export function sampleWriter(options: SampleWriterOptions): SampleWriter {
  return options.json ? new JsonWriter(options) : new TextWriter(options);
}

/** Streams one sample after another. Later ones are buffered. */
class TextWriter implements SampleWriter {
  readonly #options: SampleWriterOptions;
  readonly #style = styleFor(process.stdout);
  /** Buffered tokens of each sample. */
  readonly #waiting: SampleToken[][];
  readonly #finished: boolean[];
  #current = 0;
  /** The last character that was printed. */
  #last = "\n";

  constructor(options: SampleWriterOptions) {
    this.#options = options;
    this.#waiting = Array.from({ length: options.samples }, () => []);
    this.#finished = new Array<boolean>(options.samples).fill(false);
  }

  start(): void {
    this.#begin();
  }

  write(token: SampleToken): void {
    const { sample, finishReason } = token;
    this.#waiting[sample]!.push(token);
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

  /** Leaves the cursor on a new line. */
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
    for (const { text, inSpan } of this.#waiting[this.#current]!.splice(0)) this.#print(text, inSpan);
  }

  #print(text: string, underlined = false): void {
    if (text === "") return;
    if (underlined && this.#style.shows) print(this.#style.underline(text));
    else printText(text);
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
  /** Runs of tokens [start, end) from the traced corpus. */
  readonly spans: [start: number, end: number][];
  traced: boolean;
  score?: number;
  drafts?: DraftCounts;
}

/** Prints a line of JSON for each sample, once it and those before it are complete. */
class JsonWriter implements SampleWriter {
  readonly #options: SampleWriterOptions;
  readonly #samples: JsonSample[];
  #printed = 0;

  constructor(options: SampleWriterOptions) {
    this.#options = options;
    this.#samples = Array.from({ length: options.samples }, () => ({
      text: "",
      tokens: [],
      logprobs: [],
      spans: [],
      traced: false,
    }));
  }

  start(): void {}

  write({ sample, token, text, logprob, finishReason, inSpan, score, drafts }: SampleToken): void {
    const record = this.#samples[sample]!;
    record.text += text;
    record.traced ||= inSpan !== undefined;
    if (inSpan) extendSpans(record.spans, record.tokens.length);
    record.tokens.push(token);
    record.logprobs.push(rounded(logprob));
    if (finishReason) record.finishReason = finishReason;
    if (score !== undefined) record.score = rounded(score);
    if (drafts) record.drafts = drafts;
    for (; this.#samples[this.#printed]?.finishReason; this.#printed++) this.#print(this.#printed);
  }

  /** With -n 0 there are no tokens: each sample is empty, and ended by its length. */
  end(complete: boolean): void {
    if (!complete) return;
    for (; this.#printed < this.#samples.length; this.#printed++) {
      this.#samples[this.#printed]!.finishReason ??= "length";
      this.#print(this.#printed);
    }
  }

  #print(sample: number): void {
    const { prompt, seed } = this.#options;
    const { text, finishReason, tokens, logprobs, spans, traced, score, drafts } = this.#samples[sample]!;
    printJson({ sample, prompt, text, finishReason, tokens, logprobs, ...(traced && { spans }), drafts, score, seed });
  }
}

function extendSpans(spans: [start: number, end: number][], token: number): void {
  const last = spans.at(-1);
  if (last?.[1] === token) last[1]++;
  else spans.push([token, token + 1]);
}
