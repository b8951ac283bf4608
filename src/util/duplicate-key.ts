const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/**
 * The first key that an object of `text` repeats, or undefined. JSON.parse silently keeps the last of two equal keys, so
 * that two readers can see two different files. `text` must be valid JSON: this short scan relies on it.
 */
export function findDuplicateKey(text: string): string | undefined {
  // One set of keys per open object, undefined per open list: an explicit stack, because files can nest deeply.
  const open: (Set<string> | undefined)[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === OPEN_OBJECT) open.push(new Set());
    else if (c === OPEN_LIST) open.push(undefined);
    else if (c === CLOSE_OBJECT || c === CLOSE_LIST) open.pop();
    else if (c === QUOTE) {
      const start = i;
      i = endOfString(text, start);
      if (!isFollowedByColon(text, i + 1)) continue;
      const raw = text.slice(start, i + 1);
      const key = raw.includes("\\") ? (JSON.parse(raw) as string) : raw.slice(1, -1);
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Position of the quotation mark that ends the string starting at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  for (let c = text.charCodeAt(i); c !== QUOTE; c = text.charCodeAt(i)) i += c === BACKSLASH ? 2 : 1;
  return i;
}

function isFollowedByColon(text: string, from: number): boolean {
  let i = from;
  // JSON's white space: space, tab, line feed, carriage return, all at or below U+0020.
  while (text.charCodeAt(i) <= 0x20) i++;
  return text.charCodeAt(i) === COLON;
}
