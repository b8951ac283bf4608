import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TextStream } from "../../src/tokenizer/text-stream.js";
import { RandomStream } from "../../src/util/random.js";
import { byteTokenizer } from "../generate/models.js";

const tokenizer = byteTokenizer();

/** The pieces that come out of a text, byte by byte, and at the end. */
function pieces(text: string, stop: string[]): string[] {
  const stream = new TextStream(tokenizer.decoder(), stop);
  const out: string[] = [];
  for (const id of tokenizer.encode(text)) {
    out.push(stream.push(id));
    if (stream.stopped) return out;
  }
  return [...out, stream.end()];
}

describe("the text of a sample as it grows", () => {
  it("comes out in whole characters", () => {
    assert.deepEqual(pieces("aé€😀", []), ["a", "", "é", "", "", "€", "", "", "", "😀", ""]);
  });

  it("ends before a stop string, however the tokens divide it", () => {
    assert.deepEqual(pieces("one\n\ntwo", ["\n\n"]), ["o", "n", "e", "", ""]);
    assert.deepEqual(pieces("ab</s>cd", ["</s>"]).join(""), "ab");
    assert.deepEqual(pieces("x", ["x"]), [""]);
    assert.deepEqual(pieces("aé€", ["é"]), ["a", "", ""]);
  });

  it("releases text that only looked like the start of a stop string", () => {
    assert.deepEqual(pieces("a</b>c", ["</s>"]), ["a", "", "", "</b", ">", "c", ""]);
    assert.deepEqual(pieces("aaab", ["aab"]), ["", "", "a", ""]);
    assert.deepEqual(pieces("a<", ["<|"]), ["a", "", "<"]);
  });

  it("stops at the stop string that is complete first", () => {
    assert.equal(pieces("say yes or no", ["no", "yes"]).join(""), "say ");
    assert.equal(pieces("abcd", ["abcd", "bc"]).join(""), "a");
  });

  it("shows a character that was cut off, and finds a stop string in it", () => {
    const cut = (stop: string[]) => {
      const stream = new TextStream(tokenizer.decoder(), stop);
      const ids = tokenizer.encode("a€");
      const text = stream.push(ids[0]!) + stream.push(ids[1]!) + stream.push(ids[2]!) + stream.end();
      return { text, stopped: stream.stopped };
    };
    assert.deepEqual(cut([]), { text: "a\ufffd", stopped: false });
    assert.deepEqual(cut(["\ufffd"]), { text: "a", stopped: true });
  });

  it("is the text up to the first stop string, for random texts over few letters", () => {
    const random = new RandomStream(3);
    const word = (length: number) => Array.from({ length }, () => "abé"[random.below(3)]).join("");
    for (let i = 0; i < 300; i++) {
      const text = word(30);
      const stop = [word(1 + random.below(4)), word(1 + random.below(6))];
      // Of the strings complete at the earliest place, the one that starts first.
      let expected = text;
      for (let end = 1; end <= text.length && expected === text; end++) {
        const found = stop.filter((s) => text.slice(0, end).endsWith(s)).sort((a, b) => b.length - a.length)[0];
        if (found !== undefined) expected = text.slice(0, end - found.length);
      }
      const stopped = stop.some((s) => text.includes(s));
      assert.equal(pieces(text, stop).join(""), stopped ? expected : text, JSON.stringify({ text, stop }));
    }
  });
});
