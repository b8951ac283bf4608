import { DataError } from "../../errors.js";
import { readFirst } from "../data/source.js";
import type { Task } from "../task.js";
import { BYTE_METRIC, rollingEvaluation, STRIDE_OPTION, TOKEN_METRIC, WINDOW_OPTION } from "./rolling.js";

/** Mahoney's sets have 10^8 bytes. The last 5 million are the usual test set, the 5 million before them for validation. */
const WHOLE = 100_000_000;
const PART = 5_000_000;
/** Length of enwik5, an opening of enwik8 that is used for quick checks. */
const OPENING = 100_001;

function compressionTask(name: string, about: string): Task {
  const origin = `http://mattmahoney.net/dc/${name}.zip`;
  return {
    name,
    version: 1,
    about,
    options: {
      part: {
        about: "test: the last 5,000,000 bytes; valid: those before; whole: all 10^8; opening: the first 100,001",
        values: ["test", "valid", "whole", "opening"],
      },
      stride: STRIDE_OPTION,
      windows: WINDOW_OPTION,
    },
    prepare: async (setup) => {
      const { part = "test" } = setup.options;
      const files = [
        name,
        `${name}.zip!${name}`,
        ...(part === "opening" && name === "enwik8" ? ["enwik5/enwik5", "enwik5"] : []),
      ];
      const file = await readFirst(setup.source, { name, origin }, files);
      const bytes = partOf(file.bytes, part, file.path);
      // A single line: bytes count alike everywhere.
      const document = [{ text: bytes, words: 0, lineEnds: 0, bytes: bytes.length }];
      const metrics = [BYTE_METRIC, TOKEN_METRIC];
      return rollingEvaluation(setup, { documents: [document], metrics, files: [file] });
    },
  };
}

/** A part of the set. @throws {DataError} the set is incomplete. */
export function partOf(bytes: Uint8Array, part: string, path: string): Uint8Array {
  if (part === "opening") return bytes.subarray(0, OPENING);
  if (bytes.length !== WHOLE) {
    throw new DataError({ op: `reading ${path}`, expected: `${WHOLE} bytes`, got: `${bytes.length}` });
  }
  if (part === "whole") return bytes;
  return part === "test" ? bytes.subarray(-PART) : bytes.subarray(-2 * PART, -PART);
}

export const enwik8 = compressionTask("enwik8", "bits per byte of Wikipedia's XML of 2006");
export const text8 = compressionTask("text8", "bits per character of Wikipedia as lower-case letters and spaces");
