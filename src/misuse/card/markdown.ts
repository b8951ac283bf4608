/** Stands for a missing fact. */
export const NOT_KNOWN = "Not known.";

export const count = (n: number): string => n.toLocaleString("en");

export const percent = (share: number): string => {
  const value = 100 * share;
  return `${value === 0 || value >= 1 ? value.toFixed(1) : value.toPrecision(2)}%`;
};

/** A Markdown table. In cells `|` is escaped, and line ends become spaces. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cell = (text: string): string => text.replace(/\r?\n/g, " ").replaceAll("|", "\\|");
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n");
}
