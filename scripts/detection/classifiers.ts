import { RandomStream } from "../../src/util/random.js";
import { type Edit, type EditSources, edited } from "../word-edits.js";
import { type Separation, separation } from "./curves.js";
import { generatorsOf, partsOf, type Texts } from "./texts.js";

/** A trained detector on texts of one generator that it was not trained on. */
export interface ClassifierRow {
  readonly detector: string;
  /** The generator of its training texts. */
  readonly trained: string;
  readonly tested: string;
  /** The edit of the machine's texts, and the share of their words edited. */
  readonly edit?: Edit | undefined;
  readonly share?: number | undefined;
  readonly separation: Separation;
}

export interface TestedClassifier {
  readonly detector: string;
  readonly trained: string;
  /** Larger for texts that look more machine-written. */
  score(texts: readonly string[]): Promise<readonly number[]>;
}

/** Tests a detector on the texts of every generator, and on edited ones of its own. */
export async function classifierRows(
  { detector, trained, score }: TestedClassifier,
  sets: readonly Texts[],
  edits: readonly (readonly [Edit, share: number])[],
  sources: EditSources,
): Promise<ClassifierRow[]> {
  const rows: ClassifierRow[] = [];
  for (const tested of generatorsOf(sets)) {
    const { test } = partsOf(sets, tested);
    const [human, machine] = [false, true].map((of) => test.filter((text) => text.machine === of));
    const ofHuman = await score(human!.map(({ text }) => text));
    const texts = machine!.map(({ text }) => text);
    rows.push({ detector, trained, tested, separation: separation(ofHuman, await score(texts)) });
    if (tested !== trained) continue;
    for (const [edit, share] of edits) {
      const changed = texts.map((text, i) => edited(text, edit, share, new RandomStream(i, 3), sources).text);
      rows.push({ detector, trained, tested, edit, share, separation: separation(ofHuman, await score(changed)) });
    }
  }
  return rows;
}
