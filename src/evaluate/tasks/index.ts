/** Every task: a new one is a file, and a line here. */
export { blimp } from "./blimp.js";
export { cbtCommonNouns, cbtNamedEntities } from "./cbt.js";
export { cnnDailyMail } from "./cnn-dm.js";
export { enwik8, text8 } from "./compression.js";
export { coqa } from "./coqa.js";
export { hellaswag } from "./hellaswag.js";
export { lambada } from "./lambada.js";
export { billionWords, ptb, wikitext2, wikitext103 } from "./language-modelling.js";
export { naturalQuestions } from "./natural-questions.js";
export { winograd } from "./winograd.js";
export { wmt14EnFr, wmt14FrEn } from "./wmt14.js";
