import type { Task } from "./task.js";
import { enwik8, text8 } from "./tasks/compression.js";
import { lambada } from "./tasks/lambada.js";
import { billionWords, ptb, wikitext2, wikitext103 } from "./tasks/language-modelling.js";

/** Every task there is, in the order of the paper's tables. */
export const TASKS: readonly Task[] = [lambada, wikitext2, ptb, enwik8, text8, wikitext103, billionWords];
