/** Words with a full stop that does not end a sentence. */
const ABBREVIATIONS =
  /(?:^|[\s("'“‘])(?:\p{Lu}|Mr|Mrs|Ms|Dr|Prof|Rev|Gen|Col|Lt|Sgt|Capt|Sen|Rep|Gov|St|Mt|No|vs|Jr|Sr|etc|al|[a-z]\.[a-z]|M|MM|Mme)\.$/u;
/** The end of a sentence: marks, closing quotes and brackets, white space. A line feed always ends one. */
const END = /[.!?…]+["'”’)\]»]*(?=\s)|\n/gu;

/**
 * The sentences of a text, trimmed. They end at line feeds, and after `.`, `!`, `?` or `…` with closing marks, unless the
 * full stop belongs to an initial or a common abbreviation, or the next word is in lower case.
 */
export function sentences(text: string): string[] {
  const found: string[] = [];
  let start = 0;
  for (const match of text.matchAll(END)) {
    const end = match.index + match[0].length;
    const sentence = text.slice(start, end);
    const goesOn = /^\s+\p{Ll}/u.test(text.slice(end, end + 16)) || ABBREVIATIONS.test(sentence);
    if (match[0] !== "\n" && goesOn) continue;
    found.push(sentence.trim());
    start = end;
  }
  found.push(text.slice(start).trim());
  return found.filter((sentence) => sentence !== "");
}

/** The first sentences, one on each line. */
export function firstSentences(text: string, count: number): string {
  return sentences(text).slice(0, count).join("\n");
}
