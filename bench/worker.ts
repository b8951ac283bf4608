/** The contender's end of protocol.ts, for contenders in TypeScript. */
import { createInterface } from "node:readline";
import {
  type GenerateResult,
  type GenerateTask,
  MARK,
  type Ready,
  type Setup,
  type Task,
  type TrainResult,
  type TrainTask,
} from "./protocol.js";

export interface Contestant extends Ready {
  generate?(task: GenerateTask): Promise<GenerateResult>;
  train?(task: TrainTask): Promise<TrainResult>;
}

/** Loads the contestant and answers tasks until standard input ends. */
export async function serve(load: (setup: Setup) => Promise<Contestant>): Promise<void> {
  const contestant = await load(JSON.parse(process.argv[2]!) as Setup);
  reply({ description: contestant.description });
  for await (const line of createInterface({ input: process.stdin })) {
    const task = JSON.parse(line) as Task;
    const result = task.kind === "train" ? contestant.train?.(task) : contestant.generate?.(task);
    if (result === undefined) throw new Error(`can't do ${task.kind}`);
    reply(await result);
  }
  process.exit(0); // a library's threads would otherwise keep the process
}

function reply(value: object): void {
  process.stdout.write(`${MARK}${JSON.stringify(value)}\n`);
}
