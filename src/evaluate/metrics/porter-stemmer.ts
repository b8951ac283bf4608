/**
 * Porter's stemming algorithm (Porter 1980, "An algorithm for suffix stripping") with NLTK's default extensions, which are
 * marked: rouge-score stems with NLTK. The npm packages have Porter's original algorithm, which stems 81 of the fixture's 2,999
 * words otherwise ("enjoi" for "enjoy", "ti" for "ties").
 */

/** NLTK: exceptions to the rules. */
const IRREGULAR: ReadonlyMap<string, string> = new Map(
  Object.entries({
    sky: "sky",
    skies: "sky",
    dying: "die",
    lying: "lie",
    tying: "tie",
    news: "news",
    innings: "inning",
    inning: "inning",
    outings: "outing",
    outing: "outing",
    cannings: "canning",
    canning: "canning",
    howe: "howe",
    proceed: "proceed",
    exceed: "exceed",
    succeed: "succeed",
  }),
);

/** @param word lower-case letters and digits */
export function porterStem(word: string): string {
  const irregular = IRREGULAR.get(word);
  if (irregular !== undefined) return irregular;
  // As in Porter's own implementations, words of one or two letters are left alone.
  if (word.length <= 2) return word;
  return [plurals, pastAndParticiple, finalY, doubleSuffixes, fullNess, bareSuffixes, finalE, finalL].reduce(
    (stem, step) => step(stem),
    word,
  );
}

/** Step 1a. */
function plurals(word: string): string {
  // NLTK: "ties" gives "tie", not "ti".
  if (word.endsWith("ies") && word.length === 4) return word.slice(0, -1);
  if (word.endsWith("sses") || word.endsWith("ies")) return word.slice(0, -2);
  if (word.endsWith("ss")) return word;
  return word.endsWith("s") ? word.slice(0, -1) : word;
}

/** Step 1b. */
function pastAndParticiple(word: string): string {
  if (word.endsWith("ied")) return word.slice(0, word.length === 4 ? -1 : -2); // NLTK: "died" gives "die", "spied" "spi".
  if (word.endsWith("eed")) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const suffix = ["ed", "ing"].find((ending) => word.endsWith(ending));
  if (suffix === undefined) return word;
  const stem = word.slice(0, -suffix.length);
  if (!hasVowel(stem)) return word;
  if (/(at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDoubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1);
  return measure(stem) === 1 && endsInCvc(stem) ? `${stem}e` : stem;
}

/** Step 1c. NLTK: y becomes i after a consonant that is not the first letter; Porter requires a vowel before it. */
function finalY(word: string): string {
  const stem = word.slice(0, -1);
  const turns = word.endsWith("y") && stem.length > 1 && isConsonant(stem, stem.length - 1);
  return turns ? `${stem}i` : word;
}

type Rule = readonly [suffix: string, replacement: string];

const positive = (stem: string): boolean => measure(stem) > 0;

const STEP_2: readonly Rule[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["izer", "ize"],
  ["bli", "ble"],
  ["alli", "al"],
  ["entli", "ent"],
  ["eli", "e"],
  ["ousli", "ous"],
  ["ization", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["iveness", "ive"],
  ["fulness", "ful"],
  ["ousness", "ous"],
  ["aliti", "al"],
  ["iviti", "ive"],
  ["biliti", "ble"],
  ["fulli", "ful"], // NLTK
];

/** Step 2. */
function doubleSuffixes(word: string): string {
  // NLTK: after "alli", the step is repeated.
  if (word.endsWith("alli") && positive(word.slice(0, -4))) return doubleSuffixes(word.slice(0, -2));
  const rule = STEP_2.find(([suffix]) => word.endsWith(suffix));
  if (rule) return replace(word, rule, positive);
  // NLTK: the l of "logi" belongs to the stem, so that "geologi" becomes "geolog".
  return word.endsWith("logi") && positive(word.slice(0, -3)) ? word.slice(0, -1) : word;
}

const STEP_3: readonly Rule[] = [
  ["icate", "ic"],
  ["ative", ""],
  ["alize", "al"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
];

/** Step 3. */
function fullNess(word: string): string {
  const rule = STEP_3.find(([suffix]) => word.endsWith(suffix));
  return rule ? replace(word, rule, positive) : word;
}

const STEP_4 = "al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize".split(" ");

/** Step 4. */
function bareSuffixes(word: string): string {
  const suffix = STEP_4.find((ending) => word.endsWith(ending));
  if (suffix === undefined) return word;
  return replace(word, [suffix, ""], (stem) => measure(stem) > 1 && (suffix !== "ion" || /[st]$/.test(stem)));
}

/** Step 5a. */
function finalE(word: string): string {
  if (!word.endsWith("e")) return word;
  const stem = word.slice(0, -1);
  const m = measure(stem);
  return m > 1 || (m === 1 && !endsInCvc(stem)) ? stem : word;
}

/** Step 5b. */
function finalL(word: string): string {
  return word.endsWith("ll") && measure(word.slice(0, -1)) > 1 ? word.slice(0, -1) : word;
}

function replace(word: string, [suffix, replacement]: Rule, condition: (stem: string) => boolean): string {
  const stem = word.slice(0, word.length - suffix.length);
  return condition(stem) ? stem + replacement : word;
}

/** A letter other than a, e, i, o, u; y only after a vowel or at the beginning. */
function isConsonant(word: string, i: number): boolean {
  if ("aeiou".includes(word[i]!)) return false;
  let odd = false;
  for (; word[i] === "y" && i > 0; i--) odd = !odd;
  return !"aeiou".includes(word[i]!) !== odd;
}

/** Porter's m: the number of vowel-consonant sequences. */
function measure(stem: string): number {
  let m = 0;
  for (let i = 1; i < stem.length; i++) if (!isConsonant(stem, i - 1) && isConsonant(stem, i)) m++;
  return m;
}

function hasVowel(stem: string): boolean {
  for (let i = 0; i < stem.length; i++) if (!isConsonant(stem, i)) return true;
  return false;
}

function endsInDoubleConsonant(stem: string): boolean {
  const last = stem.length - 1;
  return last >= 1 && stem[last] === stem[last - 1] && isConsonant(stem, last);
}

/** Consonant, vowel, consonant other than w, x, y. NLTK: also a vowel and a consonant that are the whole word. */
function endsInCvc(stem: string): boolean {
  const last = stem.length - 1;
  if (last === 1) return !isConsonant(stem, 0) && isConsonant(stem, 1);
  const cvc = last >= 2 && isConsonant(stem, last - 2) && !isConsonant(stem, last - 1) && isConsonant(stem, last);
  return cvc && !/[wxy]$/.test(stem);
}
