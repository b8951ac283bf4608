import { ShapeError } from "../errors.js";
import type { BufferDecl, Program } from "../program/program.js";
import { type Bindings, bindingOf, type DeviceArray } from "./backend.js";

/** What backends check in the same way about the memory of a Program. */

/** The array bound to an external buffer. @throws {ShapeError} it is not of class `kind`, or too short, or of another dtype. */
export function boundArray<A extends DeviceArray>(
  program: Program,
  buffer: BufferDecl,
  bindings: Bindings,
  backend: string,
  kind: abstract new (...args: never[]) => A,
): A {
  const op = `program ${program.name}: buffer ${buffer.name}`;
  const array = bindingOf(bindings, buffer.name);
  if (!(array instanceof kind)) {
    const expected = `an array of the ${backend} backend`;
    throw new ShapeError({ op, expected, got: array ? "another backend's" : "none" });
  }
  if (array.length < buffer.size || array.dtype !== buffer.dtype) {
    throw new ShapeError({ op, expected: `${buffer.size} ${buffer.dtype}`, got: `${array.length} ${array.dtype}` });
  }
  return array;
}

/** A captured temporary buffer and its place. @throws {ShapeError} it was not captured. */
export function capturedBuffer(
  program: Program,
  offsets: ReadonlyMap<BufferDecl, number>,
  captures: ReadonlySet<string>,
  name: string,
): { buffer: BufferDecl; offset: number } {
  const buffer = program.buffers.find((b) => b.name === name && !b.external);
  const offset = buffer && offsets.get(buffer);
  if (buffer && offset !== undefined && captures.has(name)) return { buffer, offset };
  throw new ShapeError({ op: `captured buffer ${name}`, expected: [...captures].join(", ") || "none was asked for" });
}
