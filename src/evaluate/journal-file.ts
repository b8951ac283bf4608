import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { DataError, UsageError } from "../errors.js";
import { writeFileAtomically } from "../util/atomic-write.js";
import { readError, writeError } from "../util/file-errors.js";
import type { Journal, RunIdentity } from "./run.js";
import type { Outcome } from "./task.js";

/**
 * A journal in a file of JSON lines, flushed after each block: a header that identifies the run, then a line for each
 * block. A truncated last line is ignored.
 *
 * @param model identity of the model, such as its hash
 * @param resume continue the file; otherwise it is replaced
 * @throws {UsageError} the file belongs to another run.
 */
export async function journalFile(
  path: string,
  identity: RunIdentity,
  model: string,
  resume: boolean,
): Promise<Journal> {
  const header = JSON.stringify({ model, ...identity });
  const outcomes = resume ? await readJournal(path, header) : undefined;
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (cause) {
    throw writeError(cause, `making the folder ${dirname(path)}`, DataError);
  }
  const lines = [header, ...(outcomes && outcomes.length > 0 ? [JSON.stringify(outcomes)] : [])];
  // Rewritten, so that no line is appended to a truncated one.
  await writeFileAtomically(path, `${lines.join("\n")}\n`, DataError);
  return {
    outcomes: outcomes ?? [],
    add: async (block) => {
      const handle = await open(path, "a");
      try {
        await handle.appendFile(`${JSON.stringify(block)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
    },
  };
}

async function readJournal(path: string, header: string): Promise<Outcome[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw readError(cause, `reading ${path}`, "a readable file", DataError);
  }
  const [first = "", ...lines] = text.split("\n");
  if (first !== header) throw otherRun(path, header, first);
  const outcomes: Outcome[] = [];
  // The part after the last line feed is truncated, or empty.
  for (const line of lines.slice(0, -1)) {
    try {
      outcomes.push(...(JSON.parse(line) as Outcome[]));
    } catch {
      break;
    }
  }
  return outcomes;
}

/** Names the fields that differ: the headers are mostly checksums. */
function otherRun(path: string, header: string, found: string): UsageError {
  const wanted = JSON.parse(header) as Record<string, unknown>;
  let got: Record<string, unknown>;
  try {
    got = { ...(JSON.parse(found) as object) };
  } catch {
    got = {};
  }
  const differing = Object.keys(wanted).filter((key) => JSON.stringify(wanted[key]) !== JSON.stringify(got[key]));
  const list = (values: Record<string, unknown>) =>
    differing.map((key) => `${key} ${(JSON.stringify(values[key]) ?? "unknown").slice(0, 200)}`).join(", ");
  const hint = "Without resuming, the journal is replaced";
  return new UsageError({ op: `resuming from ${path}`, expected: list(wanted), got: list(got), hint });
}
