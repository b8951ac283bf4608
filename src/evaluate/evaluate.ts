import { TASKS } from "./registry.js";
import { type EvaluatedModel, runTask, type TaskResult, type TaskRunOptions } from "./run.js";
import { parseTaskSpec } from "./task.js";

/**
 * Evaluates a model on a task, named with its options as on the command line: `lambada`, `wikitext-2:plain,stride=512`.
 *
 *     const { metrics } = await evaluate(model, "lambada", { source: folderSource("eval") });
 *
 * @throws {UsageError} there is no such task or option.
 * @throws {DataError} the data set is not there or malformed.
 * @throws {TokenizerError} the model has no tokenizer, or none with `<|endoftext|>`.
 */
export async function evaluate(model: EvaluatedModel, task: string, options: TaskRunOptions): Promise<TaskResult> {
  return runTask(model, parseTaskSpec(task, TASKS), options);
}
