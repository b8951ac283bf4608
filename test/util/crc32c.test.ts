import assert from "node:assert/strict";
import { it } from "node:test";
import { crc32c, maskCrc32c } from "../../src/util/crc32c.js";

it("crc32c gives the values of RFC 3720, appendix B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
});

it("crc32c continues from any position, at any address", () => {
  // The check value of the catalogue of CRC algorithms (CRC-32/ISCSI).
  const digits = new TextEncoder().encode("123456789");
  assert.equal(crc32c(digits), 0xe3069283);
  for (let cut = 0; cut <= digits.length; cut++) {
    const shifted = new Uint8Array(16 + cut);
    shifted.set(digits, cut);
    const [head, tail] = [shifted.subarray(cut, 2 * cut), shifted.subarray(2 * cut, cut + 9)];
    if (2 * cut <= cut + 9) assert.equal(crc32c(tail, crc32c(head)), 0xe3069283, `cut at ${cut}`);
  }
  assert.equal(crc32c(new Uint8Array(0)), 0);
});

it("masks a checksum as TensorFlow does", () => {
  // The end of an empty record in a TFRecord file: the masked checksum of nothing.
  assert.equal(maskCrc32c(crc32c(new Uint8Array(0))), 0xa282ead8);
});
