/**
 * A text to be scored, and what it stands for: the original's words, line ends and bytes, by which the total
 * log-probability is divided. The two run in step by lines, so that any stretch of the one is a share of the other.
 */
export interface ScoredLine {
  /** As the model reads it, line end included. */
  readonly text: string | Uint8Array;
  /** Of the original: words, line ends (which count as words in word-level language modelling), and bytes of UTF-8. */
  readonly words: number;
  readonly lineEnds: number;
  readonly bytes: number;
}

export type ScoredDocument = readonly ScoredLine[];

/** Amounts of the original, fractional where a stretch ends within a line. */
export interface Units {
  readonly words: number;
  readonly lineEnds: number;
  readonly bytes: number;
}

const KEYS = ["words", "lineEnds", "bytes"] as const;

/** How much of the original lies before each byte of the text that the model reads. */
export class UnitMap {
  /** Bytes read before each line, and units before it; one more than there are lines. */
  readonly #starts: number[] = [0];
  readonly #units: Units[] = [{ words: 0, lineEnds: 0, bytes: 0 }];

  constructor(document: ScoredDocument) {
    const encoder = new TextEncoder();
    for (const line of document) {
      const { length } = typeof line.text === "string" ? encoder.encode(line.text) : line.text;
      this.#starts.push(this.#starts.at(-1)! + length);
      const before = this.#units.at(-1)!;
      this.#units.push(combine((key) => before[key] + line[key]));
    }
  }

  /** Units between two places, in bytes of the text that is read. */
  between(from: number, to: number): Units {
    const [a, b] = [this.#before(from), this.#before(to)];
    return combine((key) => b[key] - a[key]);
  }

  #before(place: number): Units {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#starts[middle]! <= place) low = middle;
      else high = middle - 1;
    }
    const start = this.#starts[low]!;
    const next = this.#starts[low + 1];
    const share = next === undefined || next === start ? 0 : (place - start) / (next - start);
    const [a, b] = [this.#units[low]!, this.#units[low + 1] ?? this.#units[low]!];
    return combine((key) => a[key] + share * (b[key] - a[key]));
  }
}

function combine(value: (key: (typeof KEYS)[number]) => number): Units {
  const [words, lineEnds, bytes] = KEYS.map(value) as [number, number, number];
  return { words, lineEnds, bytes };
}
