import { DisposedError, ShapeError, UsageError } from "../errors.js";
import type { BufferDecl, Program } from "../program/program.js";
import { type Bindings, bindingOf, type DeviceArray } from "./backend.js";

/**
 * The array bound to an external buffer.
 *
 * @param isOwn whether an array belongs to the backend that prepares the Program
 * @throws {ShapeError} it does not belong to this backend, is too short, or has another dtype.
 */
export function boundArray<A extends DeviceArray>(
  program: Program,
  buffer: BufferDecl,
  bindings: Bindings,
  backend: string,
  isOwn: (array: DeviceArray) => array is A,
): A {
  const op = `program ${program.name}: buffer ${buffer.name}`;
  const array = bindingOf(bindings, buffer.name);
  if (array === undefined || !isOwn(array)) {
    const got = array ? "an array of another backend" : "no array";
    throw new ShapeError({ op, expected: `an array of this ${backend} backend`, got });
  }
  if (array.length < buffer.size || array.dtype !== buffer.dtype) {
    throw new ShapeError({ op, expected: `${buffer.size} ${buffer.dtype}`, got: `${array.length} ${array.dtype}` });
  }
  return array;
}

/** A captured temporary buffer and its place in memory. @throws {UsageError} no operation uses it, or it was not captured. */
export function capturedBuffer<Place>(
  program: Program,
  places: ReadonlyMap<BufferDecl, Place>,
  captures: ReadonlySet<string>,
  name: string,
): { buffer: BufferDecl; place: Place } {
  const buffer = program.buffers.find((b) => b.name === name && !b.external);
  const place = buffer && places.get(buffer);
  if (buffer && place !== undefined && captures.has(name)) return { buffer, place };
  const given = captures.size === 0 ? "a name given to prepare as capture" : [...captures].join(" or ");
  const expected = captures.has(name) ? "a temporary buffer that its operations use" : given;
  throw new UsageError({ op: `program ${program.name}: captured buffer`, expected, got: name });
}

/** @throws {DisposedError} */
export function checkUsable(op: string, disposed: boolean, arrays: Iterable<{ readonly disposed: boolean }>): void {
  if (disposed) throw new DisposedError(op, "executable");
  for (const array of arrays) if (array.disposed) throw new DisposedError(op, "array");
}
