/** Something a task is given, and what should come of it. */
export type Pair = readonly [input: string, output: string];

/** White space as single spaces: a line of a prompt is one line. */
export const oneLine = (text: string): string => text.trim().replace(/\s+/g, " ");

/** `english sentence = french sentence`, as section 3.7 of the paper has its examples, one a line. */
export const pairLine = ([input, output]: Pair): string => `${input} = ${output}\n`;

/** What is to be completed after such lines. */
export const pairPrompt = (input: string): string => `${input} =`;

/** Pairs on lines of their own. */
export const pairLines = (pairs: readonly Pair[]): string[] =>
  pairs.map(([input, output]) => pairLine([oneLine(input), oneLine(output)]));
