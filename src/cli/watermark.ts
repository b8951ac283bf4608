import { readSmallText } from "../data/small-file.js";
import { UsageError } from "../errors.js";
import { type WatermarkOptions, type WatermarkScheme, watermarkSettings } from "../generate/watermark/options.js";
import { readWatermarkConfig } from "../generate/watermark/read-config.js";

/** Options of a watermark on the command line. */
export interface WatermarkFlags {
  readonly scheme?: WatermarkScheme | undefined;
  readonly key?: string | undefined;
  readonly keyFile?: string | undefined;
  /** A JSON file of options. */
  readonly config?: string | undefined;
}

/** The environment's key: unlike an argument it is in no list of processes. */
const KEY_VARIABLE = "GPT2_WATERMARK_KEY";

/**
 * The watermark of the flags: options of the file, then scheme and key of the others. The key comes from its flag, else its
 * file, else the configuration, else the environment.
 *
 * @param prefix of the flags' names
 * @throws {UsageError} no key, or an unusable file or value.
 */
export function watermarkOf(flags: WatermarkFlags, prefix: string): WatermarkOptions {
  const { scheme, key, keyFile, config } = flags;
  if (key !== undefined && keyFile !== undefined) {
    throw new UsageError({ op: `--${prefix}key`, expected: "a key or the file of one", got: "both" });
  }
  const stored: Partial<Record<string, unknown>> = config === undefined ? {} : configIn(config, prefix);
  const given = key ?? (keyFile === undefined ? undefined : textIn(keyFile, `--${prefix}key-file`).trim());
  const chosen = given ?? stored.key ?? ("keys" in stored ? undefined : process.env[KEY_VARIABLE]);
  const options = { ...stored, ...(scheme && { scheme }), ...(chosen !== undefined && { key: chosen }) };
  if (chosen === undefined && !("keys" in stored)) {
    const hint = `Give --${prefix}key-file FILE, --${prefix}key KEY (other users see it in the list of processes), or set ${KEY_VARIABLE}`;
    throw new UsageError({ op: "watermark", expected: "a key", got: "none", hint });
  }
  watermarkSettings(options as unknown as WatermarkOptions);
  return options as unknown as WatermarkOptions;
}

function configIn(path: string, prefix: string): Partial<Record<string, unknown>> {
  const op = `--${prefix}config ${path}`;
  return { ...readWatermarkConfig(textIn(path, op), op) };
}

const textIn = (path: string, op: string): string =>
  readSmallText(path, { op, expected: "a file that can be read", errorClass: UsageError });
