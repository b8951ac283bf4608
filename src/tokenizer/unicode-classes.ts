/** Classes of code points that GPT-2's pre-tokenizer tells apart. */
export const OTHER = 0;
/** `\p{L}` */
export const LETTER = 1;
/** `\p{N}` */
export const NUMBER = 2;
/** Unicode White_Space, which is not JavaScript's `\s`: that contains U+FEFF and lacks U+0085. */
export const SPACE = 3;

const BLOCK_BITS = 7;
const BLOCK = 1 << BLOCK_BITS;

function buildTable(): { index: Uint8Array; blocks: Uint8Array } {
  const classes = new Uint8Array(0x110000);
  const l = /\p{L}/u;
  const n = /\p{N}/u;
  const s = /\p{White_Space}/u;
  for (let cp = 0; cp < 0x110000; cp++) {
    const c = String.fromCodePoint(cp);
    classes[cp] = l.test(c) ? LETTER : n.test(c) ? NUMBER : s.test(c) ? SPACE : OTHER;
  }
  const index = new Uint8Array(0x110000 >> BLOCK_BITS);
  const seen = new Map<string, number>();
  const blocks: number[] = [];
  for (let i = 0; i < index.length; i++) {
    const block = classes.subarray(i << BLOCK_BITS, (i + 1) << BLOCK_BITS);
    const key = block.join("");
    let at = seen.get(key);
    if (at === undefined) {
      at = seen.size;
      seen.set(key, at);
      blocks.push(...block);
    }
    index[i] = at;
  }
  return { index, blocks: Uint8Array.from(blocks) };
}

const { index, blocks } = buildTable();

/** Class of a code point, 0 to 0x10FFFF. */
export function classOf(codePoint: number): number {
  return blocks[(index[codePoint >> BLOCK_BITS]! << BLOCK_BITS) | (codePoint & (BLOCK - 1))]!;
}
