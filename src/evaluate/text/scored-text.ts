/**
 * A line of text to score, and the units of the original it stands for, which divide the total log-probability. Text and
 * original are aligned by lines, so that any stretch of the one corresponds to a share of the other.
 */
export interface ScoredLine {
  /** Model input, line feed included. */
  readonly text: string | Uint8Array;
  /** Units of the original: words, line ends (tokens of word-level language models), and bytes of UTF-8. */
  readonly words: number;
  readonly lineEnds: number;
  readonly bytes: number;
}

export type ScoredDocument = readonly ScoredLine[];

/** Units of a stretch of the original, fractional where it ends within a line. */
export interface Units {
  readonly words: number;
  readonly lineEnds: number;
  readonly bytes: number;
}

const KEYS = ["words", "lineEnds", "bytes"] as const;

/** Maps positions in the model input to units of the original before them. */
export class UnitMap {
  /** Input bytes and units before each line, and before the end. */
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

  /** Units between two byte positions of the input. */
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
