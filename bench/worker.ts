/** The contender's end of protocol.ts, for contenders in TypeScript. */
import { createInterface } from "node:readline";
import {
  type BatchResult,
  type BatchTask,
  type GenerateResult,
  type GenerateTask,
  MARK,
  type Ready,
  type Result,
  type Setup,
  type Task,
  type TrainResult,
  type TrainTask,
} from "./protocol.js";

export interface Contestant extends Ready {
  generate?(task: GenerateTask): Promise<GenerateResult>;
  batch?(task: BatchTask): Promise<BatchResult>;
  train?(task: TrainTask): Promise<TrainResult>;
}

/** Loads the contender, and answers tasks until standard input ends. */
export async function serve(load: (setup: Setup) => Promise<Contestant>): Promise<void> {
  const contestant = await load(JSON.parse(process.argv[2]!) as Setup);
  const { description, cacheBytes } = contestant;
  reply({ description, cacheBytes });
  for await (const line of createInterface({ input: process.stdin })) {
    const task = JSON.parse(line) as Task;
    reply(await perform(contestant, task));
  }
  process.exit(0); // a library's threads would otherwise keep the process alive
}

/** The version of Node, for descriptions. */
export const threadCount = (threads: number): string => `${threads} thread${threads === 1 ? "" : "s"}`;

async function perform({ generate, batch, train }: Contestant, task: Task): Promise<Result> {
  const result = task.kind === "train" ? train?.(task) : task.kind === "batch" ? batch?.(task) : generate?.(task);
  if (result === undefined) throw new Error(`can't do ${task.kind}`);
  return result;
}

function reply(value: object): void {
  process.stdout.write(`${MARK}${JSON.stringify(value)}\n`);
}
