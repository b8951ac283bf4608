import { readFileSync, writeFileSync } from "node:fs";
import { packageFile } from "../src/util/package-root.js";

/** Replaces the text between the markers `<!-- NAME: … -->` and `<!-- end of NAME -->` of one of the package's documents. */
export function replaceBlock(document: string, name: string, text: string): void {
  const path = packageFile(document);
  const before = readFileSync(path, "utf8");
  const block = new RegExp(`(<!-- ${name}: [^\\n]*-->\\n)[\\s\\S]*?(<!-- end of ${name} -->)`);
  if (!block.test(before)) throw new Error(`${document} lacks the markers of ${name}`);
  writeFileSync(
    path,
    before.replace(block, (_, start: string, end: string) => `${start}\n${text}\n\n${end}`),
  );
}

export const markdownTable = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
