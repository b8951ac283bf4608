import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  detokenizeLine,
  detokenizeText,
  isFramed,
  retokenizeLine,
  retokenizeText,
} from "../../src/evaluate/text/detokenize.js";
import { UnitMap } from "../../src/evaluate/text/scored-text.js";
import { TOKEN_STYLES } from "../../src/evaluate/text/token-styles.js";
import { firstSentences, sentences } from "../../src/tasks/sentences.js";
import { RandomStream } from "../../src/util/random.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { DATA } from "./support.js";

type StyleName = keyof typeof TOKEN_STYLES;
const STYLES = Object.keys(TOKEN_STYLES) as StyleName[];

const read = (path: string) => readFileSync(join(DATA, path), "utf8");

describe("de-tokenizers", () => {
  const examples: readonly (readonly [StyleName, string, string])[] = [
    ["wikitext", 'He said : " It didn \'t cost $ 1 @,@ 000 @.@ 50 . "', 'He said: "It didn\'t cost $1,000.50."'],
    ["wikitext", "a guest @-@ starring role ( 1939 – 45 ) ;", "a guest-starring role (1939–45);"],
    ["wikitext", "= = Early life = =", "== Early life =="],
    ["wikitext", "Teddy 's U.S. tour , Dr. Who 's , No. 5 .", "Teddy's U.S. tour, Dr. Who's, No. 5."],
    ["ptb", "it was n't mr. jones 's $ N million us$ N plan", "it wasn't mr. jones's $N million us$N plan"],
    ["ptb", "the viewers ' opinions <unk> the firms ' price", "the viewers' opinions <unk> the firms' price"],
    ["billion", '" We don \'t know , " she said ( 54 ) .', '"We don\'t know," she said (54).'],
    [
      "treebank",
      "`` Do n't ! '' cried Alice ; `` ca n't you -LRB- please -RRB- ? ''",
      '"Don\'t!" cried Alice; "can\'t you (please)?"',
    ],
  ];
  for (const [style, words, text] of examples) {
    it(`write ${style}: ${text}`, () => {
      assert.equal(detokenizeLine(words, TOKEN_STYLES[style]), text);
      assert.equal(retokenizeLine(text, TOKEN_STYLES[style]), words);
    });
  }

  const files: readonly (readonly [StyleName, string])[] = [
    ["wikitext", "wikitext-2/wiki.test.tokens"],
    ["ptb", "ptb/ptb.test.txt"],
    ["billion", "1bw/news.en.heldout-00000-of-00050"],
    ["treebank", "cbt/CBTest/data/cbtest_CN_valid_2000ex.txt"],
  ];
  for (const [style, path] of files) {
    it(`are inverted on ${path}, which they change`, () => {
      const text = read(path);
      const framed = isFramed(text);
      assert.equal(framed, style === "wikitext" || style === "ptb");
      const written = detokenizeText(text, TOKEN_STYLES[style], framed);
      assert.equal(retokenizeText(written, TOKEN_STYLES[style], framed), text);
      const spaces = (s: string) => s.split(" ").length;
      assert.ok(spaces(written) < 0.95 * spaces(text), "fewer spaces");
      assert.ok(!written.includes("\r"), "no line had to be kept as it is");
      for (const line of text.split("\n")) {
        assert.equal(retokenizeLine(detokenizeLine(line, TOKEN_STYLES[style]), TOKEN_STYLES[style]), line);
      }
    });
  }

  it("are inverted on random text", { skip: LIKE_OTHERS }, () => {
    const pieces = [
      ..." \n\r\t\"'`.,;:!?()[]{}$£%#=-–…@<>abcN019é€”“’‘",
      ...[
        "@-@",
        "@,@",
        "@.@",
        "n't",
        "'s",
        "s '",
        "``",
        "''",
        "-LRB-",
        "U.S.",
        "Dr.",
        "...",
        "<unk>",
        " = ",
        "word",
        "  ",
      ],
    ];
    const random = new RandomStream(5);
    for (let n = 0; n < 4000; n++) {
      const joiner = n % 2 === 0 ? " " : "";
      const length = random.below(14);
      const text = Array.from({ length }, () => pieces[random.below(pieces.length)]!).join(joiner);
      const whole = n % 3 === 0 ? ` ${text} ` : text;
      for (const style of STYLES) {
        for (const framed of [false, true]) {
          const written = detokenizeText(whole, TOKEN_STYLES[style], framed);
          const again = retokenizeText(written, TOKEN_STYLES[style], framed);
          assert.equal(again, whole, `${style}, ${framed ? "framed" : "bare"}: ${JSON.stringify(whole)}`);
        }
      }
    }
  });
});

describe("units of a scored text", () => {
  const document = [
    { text: "ab\n", words: 1, lineEnds: 1, bytes: 10 },
    { text: "", words: 2, lineEnds: 0, bytes: 4 },
    { text: "cdéf", words: 4, lineEnds: 0, bytes: 5 },
  ];
  const map = new UnitMap(document);

  it("are shared by bytes within a line, and whole over all of it", () => {
    assert.deepEqual(map.between(0, 8), { words: 7, lineEnds: 1, bytes: 19 });
    assert.deepEqual(map.between(0, 0), { words: 0, lineEnds: 0, bytes: 0 });
    const { words } = map.between(5, 8);
    assert.ok(Math.abs(words - 4 * (3 / 5)) < 1e-12);
  });

  it("add up however the text is cut", () => {
    for (let cut = 0; cut <= 8; cut++) {
      const [a, b] = [map.between(0, cut), map.between(cut, 8)];
      assert.ok(Math.abs(a.words + b.words - 7) < 1e-12);
      assert.ok(Math.abs(a.bytes + b.bytes - 19) < 1e-12);
    }
  });
});

describe("sentences", () => {
  it("end at marks and line ends, not after abbreviations and initials", () => {
    const text = 'Dr. Jones of the U.S. said "No!" Then J. Smith left. It cost 3.5 million… Why?\nTwo lines, no end';
    assert.deepEqual(sentences(text), [
      'Dr. Jones of the U.S. said "No!"',
      "Then J. Smith left.",
      "It cost 3.5 million…",
      "Why?",
      "Two lines, no end",
    ]);
    assert.equal(firstSentences("One. Two. Three.", 2), "One.\nTwo.");
    assert.deepEqual(sentences("  \n "), []);
  });
});
