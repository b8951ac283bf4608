import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RandomStream } from "../src/util/random.js";

/** Edits of a share of a text's words. */
export const EDITS = ["delete", "insert", "swap", "paraphrase"] as const;
export type Edit = (typeof EDITS)[number];

/** The synonyms of each word. */
export type Synonyms = ReadonlyMap<string, readonly string[]>;

/** The synonyms of WordNet's files data.noun, data.verb, data.adj and data.adv: lemmas of one word in the same synset. */
export function readWordNet(folder: string): Synonyms {
  const synonyms = new Map<string, Set<string>>();
  for (const part of ["noun", "verb", "adj", "adv"]) {
    for (const line of readFileSync(join(folder, `data.${part}`), "latin1").split("\n")) {
      if (line.startsWith("  ") || line === "") continue;
      // offset, file, kind, number of lemmas in hexadecimal, then lemma and sense in turn
      const fields = line.split(" ");
      const lemmas = Array.from({ length: Number.parseInt(fields[3]!, 16) }, (_, i) => fields[4 + 2 * i]!)
        .map((lemma) => lemma.replace(/\(.*\)$/, ""))
        .filter((lemma) => /^[a-z]+$/.test(lemma));
      for (const lemma of lemmas) {
        const others = synonyms.get(lemma) ?? new Set();
        for (const other of lemmas) if (other !== lemma) others.add(other);
        if (others.size > 0) synonyms.set(lemma, others);
      }
    }
  }
  return new Map(Array.from(synonyms, ([word, others]) => [word, [...others].sort()]));
}

/** Random words, and synonyms. */
export interface EditSources {
  readonly words: readonly string[];
  readonly synonyms: Synonyms;
}

/**
 * A text with a share of its words edited, and the share actually edited: a paraphrase edits only words that have a
 * synonym.
 */
export function edited(
  text: string,
  edit: Edit,
  share: number,
  random: RandomStream,
  { words, synonyms }: EditSources,
): { readonly text: string; readonly changed: number } {
  // The text between words, and words, alternately.
  const pieces = text.split(/([\p{L}\p{N}’'-]+)/u);
  const places = pieces.flatMap((_, i) => (i % 2 === 1 ? [i] : []));
  const synonymsAt = (i: number) => synonyms.get(pieces[i]!.toLowerCase()) ?? [];
  const eligible = edit === "paraphrase" ? places.filter((i) => synonymsAt(i).length > 0) : places;
  const chosen = pick(eligible, Math.min(eligible.length, Math.round(share * places.length)), random);
  const any = (from: readonly string[]) => from[random.below(from.length)]!;
  for (const i of chosen) {
    switch (edit) {
      case "delete":
        pieces[i] = "";
        if (pieces[i + 1]!.startsWith(" ")) pieces[i + 1] = pieces[i + 1]!.slice(1);
        break;
      case "insert":
        pieces[i] += ` ${any(words)}`;
        break;
      case "swap": {
        const other = i + 2 < pieces.length ? i + 2 : i - 2;
        [pieces[i], pieces[other]] = [pieces[other]!, pieces[i]!];
        break;
      }
      case "paraphrase":
        pieces[i] = any(synonymsAt(i));
    }
  }
  return { text: pieces.join(""), changed: places.length === 0 ? 0 : chosen.length / places.length };
}

/** `count` of the items, without repetition. */
function pick<T>(items: readonly T[], count: number, random: RandomStream): T[] {
  const left = [...items];
  return Array.from({ length: count }, () => left.splice(random.below(left.length), 1)[0]!);
}
