import { basename } from "node:path";
import { DataError, UsageError } from "../../errors.js";
import { calibrateDetection } from "../../misuse/detect/calibrate.js";
import { saveCalibration } from "../../misuse/detect/calibration-file.js";
import { readDocuments } from "../../misuse/detect/documents.js";
import { checkOutput } from "../../util/output.js";
import { progress } from "../../util/progress.js";
import { type DetectFlags, loadObserver, tokenizerOf } from "../commands/detect.js";
import { loadModel } from "../model.js";
import { progressMode } from "../options.js";
import { formatTable, plural, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

/** `gpt2 detect --calibrate`. */
export async function calibrateCommand(inputs: readonly string[], flags: DetectFlags): Promise<void> {
  const { out, field, splitOn, passages } = flags;
  if (out === undefined) {
    throw new UsageError({ op: "gpt2 detect --calibrate", expected: "--out, the output file", got: "none" });
  }
  await checkOutput(out, DataError);
  const name = flags.set ?? inputs.map((path) => basename(path)).join(", ");
  const line = progress({ label: "calibrate", unit: "passages", mode: progressMode(flags) });
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const documents = await readDocuments(inputs, { textField: field, separator: splitOn });
    const observer = await loadObserver(flags, tokenizerOf(model), documents[0] ?? "", signal);
    const onProgress = (done: number, total: number): void => {
      line.setTotal(total);
      line.update(done);
    };
    const calibration = await calibrateDetection(model, documents, { name, passages, observer, signal, onProgress });
    line.done();
    await saveCalibration(out, calibration);
    if (flags.json) return printJson({ out, ...calibration });
    const rows = calibration.lengths.map(({ tokens, texts }) => [String(tokens), String(texts)]);
    print(
      `${out}: ${plural(calibration.set.texts, "passage")} of ${name}\n\n${formatTable(["tokens", "passages"], rows)}`,
    );
  }).finally(() => line.done());
}
