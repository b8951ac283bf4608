import { readExamplesInfo } from "../data/examples/example-folder.js";
import type { GPT2Config } from "../model/config.js";
import { ExampleData } from "./example-data.js";
import { isFolder, type TrainingData } from "./run-data.js";
import type { TrainSettings } from "./settings.js";
import { TokenData } from "./token-data.js";

/** @throws {DataError} missing or damaged data, too little of it, or a vocabulary that is not the model's. */
export function openTrainingData(path: string, config: GPT2Config, settings: TrainSettings): TrainingData {
  const info = isFolder(path) ? readExamplesInfo(path) : undefined;
  return info ? new ExampleData(path, info, config, settings) : new TokenData(path, config, settings);
}
