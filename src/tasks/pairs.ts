/** An input of a task, and its output. */
export type Pair = readonly [input: string, output: string];

/** A text on one line, white space collapsed to single spaces. */
export const oneLine = (text: string): string => text.trim().replace(/\s+/g, " ");

/** An example of section 3.7 of the paper: `english sentence = french sentence`, on a line. */
export const pairLine = ([input, output]: Pair): string => `${input} = ${output}\n`;

/** The beginning of the line to complete after such examples. */
export const pairPrompt = (input: string): string => `${input} =`;

/** A line for each pair. */
export const pairLines = (pairs: readonly Pair[]): string[] =>
  pairs.map(([input, output]) => pairLine([oneLine(input), oneLine(output)]));
