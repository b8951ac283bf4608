/**
 * Named entities in tags, and how many of them were found, as seqeval counts in its default mode (CoNLL-2000's evaluation): an
 * entity is right if its type and both of its ends are. Tags are a letter (B, I, E, S; O: none) and after a hyphen a type.
 */

/** An entity: its type, and its first and last tag. */
export interface Entity {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

interface Tag {
  readonly letter: string;
  readonly type: string;
}

const NONE: Tag = { letter: "O", type: "_" };

function tagOf(text: string): Tag {
  const letter = text.slice(0, 1);
  const rest = text.slice(1);
  const type = rest.slice(rest.indexOf("-") + 1);
  return { letter, type: type === "" ? "_" : type };
}

const isOutside = ({ letter }: Tag): boolean => letter === "O" || letter === ".";

/** Whether an entity ends between two tags. */
function endsBetween(before: Tag, after: Tag): boolean {
  if (before.letter === "E" || before.letter === "S") return true;
  if ((before.letter === "B" || before.letter === "I") && "BSO".includes(after.letter)) return true;
  return !isOutside(before) && before.type !== after.type;
}

/** Whether one starts there. */
function startsBetween(before: Tag, after: Tag): boolean {
  if (after.letter === "B" || after.letter === "S") return true;
  if ("ESO".includes(before.letter) && (after.letter === "E" || after.letter === "I")) return true;
  return !isOutside(after) && before.type !== after.type;
}

/** The entities of one text. */
export function entitiesOf(tags: readonly string[]): Entity[] {
  const found: Entity[] = [];
  let before: Tag = { letter: "O", type: "" };
  let start = 0;
  for (const [i, after] of [...tags.map(tagOf), NONE].entries()) {
    if (endsBetween(before, after)) found.push({ type: before.type, start, end: i - 1 });
    if (startsBetween(before, after)) start = i;
    before = after;
  }
  return found;
}

/** Scores of one type of entity, or of all together. */
export interface EntityScores {
  /** Share of the found entities that are right; 0 if none were found. */
  readonly precision: number;
  /** Share of the true entities that were found; 0 if there are none. */
  readonly recall: number;
  /** Harmonic mean of the two; 0 if both are 0. */
  readonly f1: number;
}

export interface EntityReport extends EntityScores {
  readonly texts: number;
  /** Share of tags that are right. */
  readonly accuracy: number;
  /** Mean of the types' F1. */
  readonly macroF1: number;
  /** By type, in the order of their names, with the number of entities there are. */
  readonly entities: readonly (EntityScores & { readonly type: string; readonly count: number })[];
}

/** @param texts the expected tags of each text, and as many predicted ones */
export function entityReport(
  texts: readonly (readonly [expected: readonly string[], given: readonly string[]])[],
): EntityReport {
  const counts = new Map<string, { right: number; given: number; expected: number }>();
  const countOf = (type: string) => {
    const count = counts.get(type) ?? { right: 0, given: 0, expected: 0 };
    counts.set(type, count);
    return count;
  };
  const key = ({ type, start, end }: Entity): string => `${start} ${end} ${type}`;
  let [tags, right] = [0, 0];
  for (const [expected, given] of texts) {
    tags += expected.length;
    right += expected.filter((tag, i) => tag === given[i]).length;
    const wanted = entitiesOf(expected);
    const keys = new Set(wanted.map(key));
    for (const { type } of wanted) countOf(type).expected++;
    for (const entity of entitiesOf(given)) {
      const count = countOf(entity.type);
      count.given++;
      if (keys.has(key(entity))) count.right++;
    }
  }
  const types = [...counts.keys()].sort((a, b) => (a < b ? -1 : 1));
  const entities = types.map((type) => ({ type, ...scores(counts.get(type)!), count: counts.get(type)!.expected }));
  const sum = (field: "right" | "given" | "expected"): number => [...counts.values()].reduce((n, c) => n + c[field], 0);
  return {
    texts: texts.length,
    accuracy: tags === 0 ? 0 : right / tags,
    ...scores({ right: sum("right"), given: sum("given"), expected: sum("expected") }),
    macroF1: entities.length === 0 ? 0 : entities.reduce((n, { f1 }) => n + f1, 0) / entities.length,
    entities,
  };
}

function scores({ right, given, expected }: { right: number; given: number; expected: number }): EntityScores {
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);
  const [precision, recall] = [share(right, given), share(right, expected)];
  return { precision, recall, f1: share(2 * precision * recall, precision + recall) };
}
