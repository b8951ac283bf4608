import type { ModelConfig } from "../architectures/config.js";
import { readExamplesInfo } from "../data/examples/example-folder.js";
import { readLabelledInfo } from "../data/labelled/labelled-folder.js";
import { ExampleData } from "./example-data.js";
import { LabelData } from "./label-data.js";
import { isFolder, type TrainingData } from "./run-data.js";
import type { TrainSettings } from "./settings.js";
import { TokenData } from "./token-data.js";

/** @throws {DataError} missing or damaged data, too little of it, or a vocabulary that is not the model's. */
export function openTrainingData(path: string, config: ModelConfig, settings: TrainSettings): TrainingData {
  const labelled = isFolder(path) ? readLabelledInfo(path) : undefined;
  if (labelled) return new LabelData(path, labelled, config, settings);
  const info = isFolder(path) ? readExamplesInfo(path) : undefined;
  return info ? new ExampleData(path, info, config, settings) : new TokenData(path, config, settings);
}
