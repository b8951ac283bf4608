import { PAPER_FIGURES } from "./paper.js";
import type { Task } from "./task.js";
import * as all from "./tasks/index.js";

/** The place of a task's figures in the paper; those without any come last. */
function placeInPaper({ name }: Task): number {
  const place = PAPER_FIGURES.findIndex(({ task }) => task === name);
  return place < 0 ? PAPER_FIGURES.length : place;
}

/** Every task: the paper's in its order, then the others. */
export const TASKS: readonly Task[] = Object.values(all).sort((a, b) => placeInPaper(a) - placeInPaper(b));
