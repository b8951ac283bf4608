import { DataError, UsageError } from "../../errors.js";
import { TRANSLATIONS } from "../../tasks/examples.js";
import { pairLine, pairPrompt } from "../../tasks/pairs.js";
import { firstSentence, frenchPairs, TRANSLATION } from "../../tasks/translate.js";
import { readFirst } from "../data/source.js";
import { type SgmlSegment, sgmlSegments } from "../data/text-formats.js";
import type { BleuTokenization } from "../metrics/bleu.js";
import { bleuCounts, bleuScore, bleuSignature } from "../metrics/bleu.js";
import type { SumMetric } from "../metrics/metric.js";
import { generations, type RequestGenerator } from "../requests.js";
import { evaluation, type Outcome, type Task, type TaskSetup } from "../task.js";

const INFO = { name: "wmt14-fren", origin: "https://www.statmt.org/wmt14/test-full.tgz" };

interface Sentence {
  readonly source: string;
  readonly reference: string;
}

interface TranslationOutcome extends Outcome {
  readonly translation: string;
  readonly reference: string;
}

const bleu = (tokenization: BleuTokenization): SumMetric<TranslationOutcome> => ({
  name: `BLEU (${tokenization})`,
  // On the same scale as percentages: 5.00 is 0.05.
  scale: "percent",
  better: "higher",
  parts: ({ translation, reference }) => bleuCounts(translation, [reference], tokenization),
  value: (counts) => bleuScore(counts) / 100,
});

/** WMT-14's French and English test set, as in section 3.7: greedily after example pairs, the first sentence. */
function translation(from: "en" | "fr", to: "en" | "fr"): Task {
  return {
    name: `wmt14-${from}-${to}`,
    version: 1,
    about: `translation of newstest2014 from ${from} to ${to} after pairs \`sentence = sentence\`, greedily: BLEU`,
    options: {
      examples: { about: `pairs in the prompt, at most ${TRANSLATIONS.length}`, values: ["6"], integer: true },
    },
    prepare: async (setup) => {
      const files = [
        await readFirst(setup.source, INFO, [`newstest2014-fren-src.${from}.sgm`]),
        await readFirst(setup.source, INFO, [`newstest2014-fren-ref.${to}.sgm`]),
      ] as const;
      const prompt = examplePrompt(from, Number(setup.options.examples));
      return evaluation<Sentence, TranslationOutcome>({
        items: align(sgmlSegments(files[0]), sgmlSegments(files[1]), files[1].path),
        blockSize: 32,
        run: (sentence) => translate(sentence, prompt, setup),
        texts: ({ source, reference }) => [source, reference],
        metrics: [bleu("13a"), bleu("intl")],
        files,
        facts: {
          signature: bleuSignature("13a", 1, "gpt2-ts"),
          "signature, intl": bleuSignature("intl", 1, "gpt2-ts"),
        },
      });
    },
  };
}

export const wmt14EnFr = translation("en", "fr");
export const wmt14FrEn = translation("fr", "en");

function align(sources: readonly SgmlSegment[], references: readonly SgmlSegment[], path: string): Sentence[] {
  const byId = new Map(references.map(({ id, text }) => [id, text]));
  return sources.map(({ id, text }) => {
    const reference = byId.get(id);
    if (reference !== undefined) return { source: text, reference };
    throw new DataError({ op: `reading ${path}`, expected: `a translation of segment ${id}`, got: "none" });
  });
}

function examplePrompt(from: "en" | "fr", count: number): string {
  if (count > TRANSLATIONS.length) {
    throw new UsageError({ op: "wmt14: examples", expected: `at most ${TRANSLATIONS.length}`, got: `${count}` });
  }
  return frenchPairs(from, count).map(pairLine).join("");
}

function* translate(
  { source, reference }: Sentence,
  examples: string,
  { tokenizer }: TaskSetup,
): RequestGenerator<TranslationOutcome> {
  const prompt = [...tokenizer.encode(`${examples}${pairPrompt(source)}`, { addSpecialTokens: false })];
  const [answer] = yield* generations([{ prompt, ...TRANSLATION }]);
  return { translation: firstSentence(answer!.text), reference };
}
