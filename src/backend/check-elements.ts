import { ShapeError } from "../errors.js";

/** @throws {ShapeError} this is not a range of elements of an array of `size`. */
export function checkElements(action: string, start: number, length: number, size: number): void {
  if (Number.isInteger(start) && Number.isInteger(length) && start >= 0 && length >= 0) {
    if (start + length <= size) return;
  }
  throw new ShapeError({
    op: `${action} of device memory`,
    expected: `elements within 0 to ${size}`,
    got: `${length} from ${start} on`,
  });
}
