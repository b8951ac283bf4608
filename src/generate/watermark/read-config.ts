import { UsageError } from "../../errors.js";
import type { WatermarkOptions } from "./options.js";

/**
 * Reads watermark options from JSON: an object of {@link WatermarkOptions}, where the key may be left out.
 *
 * @param op for errors
 * @throws {UsageError} no such object. The values are checked by {@link watermarkSettings}.
 */
export function readConfig(text: string, op: string): Partial<WatermarkOptions> {
  const json = parsed(text, op);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new UsageError({ op, expected: "a JSON object", got: Array.isArray(json) ? "an array" : String(json) });
  }
  return json as Partial<WatermarkOptions>;
}

function parsed(text: string, op: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the file, which may hold the key.
    throw new UsageError({ op, expected: "JSON", got: "a text that is none" });
  }
}
