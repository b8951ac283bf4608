import { asciiWordEnd } from "./ascii-words.js";
import { PretokenReader } from "./pretoken-reader.js";
import { pretokenEnd } from "./pretokenize.js";
import { SpanTable } from "./span-table.js";

/**
 * Distinct pre-tokens of a corpus and their counts. Naively:
 *
 *     for (const word of pretokenize(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
 *
 * Here no strings are made: words are looked up by their bytes in a {@link SpanTable}.
 */
export class WordCounts {
  readonly words = new SpanTable();
  /** Number of UTF-8 bytes counted. */
  bytes = 0;
  #counts = new Float64Array(1 << 12);
  readonly #reader = new PretokenReader();

  count(word: number): number {
    return this.#counts[word]!;
  }

  addText(text: string): void {
    this.#reader.openText(text);
    this.#readAll();
  }

  addBytes(utf8: Uint8Array): void {
    this.#reader.openBytes(utf8);
    this.#readAll();
  }

  #readAll(): void {
    const reader = this.#reader;
    while (reader.fill()) {
      const { bytes, view, limit, sure } = reader;
      let position = reader.position;
      while (position < limit) {
        let end = asciiWordEnd(bytes, view, position, limit);
        if (end < 0) end = pretokenEnd(bytes, position, limit);
        if (end > sure) break;
        this.#add(this.words.intern(bytes, position, end));
        position = end;
      }
      this.bytes += position - reader.position;
      reader.position = position;
    }
  }

  #add(word: number): void {
    if (word === this.#counts.length) {
      const larger = new Float64Array(2 * word);
      larger.set(this.#counts);
      this.#counts = larger;
    }
    this.#counts[word]!++;
  }
}
