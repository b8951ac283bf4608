import type { Task } from "./task.js";
import { blimp } from "./tasks/blimp.js";
import { cbtCommonNouns, cbtNamedEntities } from "./tasks/cbt.js";
import { cnnDailyMail } from "./tasks/cnn-dm.js";
import { enwik8, text8 } from "./tasks/compression.js";
import { coqa } from "./tasks/coqa.js";
import { hellaswag } from "./tasks/hellaswag.js";
import { lambada } from "./tasks/lambada.js";
import { billionWords, ptb, wikitext2, wikitext103 } from "./tasks/language-modelling.js";
import { naturalQuestions } from "./tasks/natural-questions.js";
import { winograd } from "./tasks/winograd.js";
import { wmt14EnFr, wmt14FrEn } from "./tasks/wmt14.js";

/** Every task there is, in the order of the paper; what is not in the paper comes last. */
export const TASKS: readonly Task[] = [
  lambada,
  cbtCommonNouns,
  cbtNamedEntities,
  wikitext2,
  ptb,
  enwik8,
  text8,
  wikitext103,
  billionWords,
  winograd,
  coqa,
  cnnDailyMail,
  wmt14EnFr,
  wmt14FrEn,
  naturalQuestions,
  hellaswag,
  blimp,
];
