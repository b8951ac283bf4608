/** A stream that may be a terminal. */
interface MaybeTerminal {
  readonly isTTY?: boolean;
}

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  /** In one of the terminal's 256 colours. */
  color(text: string, code: number): string;
}

const plain: Style = { bold: (text) => text, dim: (text) => text, color: (text) => text };

const wrap = (text: string, on: string, off: string) => (text === "" ? "" : `\x1b[${on}m${text}\x1b[${off}m`);

const ansi: Style = {
  bold: (text) => wrap(text, "1", "22"),
  dim: (text) => wrap(text, "2", "22"),
  color: (text, code) => wrap(text, `38;5;${code}`, "39"),
};

/** How to write to a stream: plainly unless it is a terminal, and where NO_COLOR (no-color.org) is set. */
export function styleFor(stream: MaybeTerminal): Style {
  return stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== "dumb" ? ansi : plain;
}
