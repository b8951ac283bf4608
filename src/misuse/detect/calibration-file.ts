import { existsSync } from "node:fs";
import { join } from "node:path";
import { readSmallJson } from "../../data/small-file.js";
import { DataError } from "../../errors.js";
import { writeFileAtomically } from "../../util/atomic-write.js";
import { type Calibration, checkCalibration } from "./calibration.js";

/** The file beside a model's weights that holds its calibration. */
export const CALIBRATION_FILE = "detection.json";

/** @throws {DataError} the file can't be read, or is not a calibration. */
export async function loadCalibration(path: string): Promise<Calibration> {
  return checkCalibration(readSmallJson(path, { expected: "a calibration made by gpt2 detect" }), path);
}

/** The calibration in a model's folder, if there is one. */
export async function calibrationIn(folder: string): Promise<Calibration | undefined> {
  const path = join(folder, CALIBRATION_FILE);
  return existsSync(path) ? loadCalibration(path) : undefined;
}

/** @throws {DataError} the file can't be written. */
export function saveCalibration(path: string, calibration: Calibration): Promise<void> {
  const { lengths, ...head } = calibration;
  const rows = lengths.map((length) => JSON.stringify(length)).join(",\n");
  const start = JSON.stringify(head).slice(0, -1);
  return writeFileAtomically(path, `${start},"lengths":[\n${rows}\n]}\n`, DataError);
}
