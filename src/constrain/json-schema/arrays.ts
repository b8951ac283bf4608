import type { Part } from "../grammar.js";
import type { SchemaCompiler } from "./compile.js";
import type { Facts } from "./facts.js";
import type { Place } from "./places.js";

/** JSON arrays. */
export class ArrayForm {
  readonly #compiler: SchemaCompiler;

  constructor(compiler: SchemaCompiler) {
    this.#compiler = compiler;
  }

  of({ items: [min, max], itemGroups: groups }: Facts): Part {
    const { parts, spaces } = this.#compiler;
    if (min > max) return parts.nothing;
    const first = Math.min(max, Math.max(0, ...groups.map((group) => group.first.length)));
    const placesAt = (i: number): Place[] => groups.flatMap((group) => group.first[i] ?? group.rest ?? []);
    const rest = max > first ? this.#compiler.value(placesAt(first)) : parts.nothing;
    // Built from the back: what may follow after each number of items, the first items last.
    let tail = this.#more(rest, Math.max(0, min - first), max - first, first > 0);
    for (let i = first - 1; i >= 0; i--) {
      const item = this.#compiler.value(placesAt(i));
      const here = parts.chain(i === 0 ? item : parts.sequence(spaces.comma, item), tail);
      tail = i < min ? here : parts.branch(parts.empty, here);
    }
    const full = parts.sequence(spaces.openList, tail, spaces.closeList);
    // An empty list would have its white space twice.
    return min > 0
      ? full
      : parts.branch(spaces.emptyList, parts.sequence(spaces.openList, this.#nonempty(tail), spaces.closeList));
  }

  /** Items of one kind, at the beginning or after others. */
  #more(item: Part, min: number, max: number, behind: boolean): Part {
    const { parts, spaces } = this.#compiler;
    if (item === parts.nothing || max === 0) return min > 0 ? parts.nothing : parts.empty;
    const next = parts.sequence(spaces.comma, item);
    if (behind) return parts.repeat(next, min, max);
    const some = parts.sequence(item, parts.repeat(next, Math.max(0, min - 1), max - 1));
    return min > 0 ? some : parts.branch(parts.empty, some);
  }

  /** The part without the empty match. */
  #nonempty(part: Part): Part {
    const { parts } = this.#compiler;
    if (part.kind !== "choice") return part === parts.empty ? parts.nothing : part;
    return parts.choice(...part.parts.filter((each) => each !== parts.empty));
  }
}
