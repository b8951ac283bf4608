/** A matrix inside an array: element (r, c) is `data[offset + r * stride + c]`. */
export interface MatrixView {
  readonly data: Float32Array;
  readonly offset: number;
  readonly stride: number;
}

/** Tiles this high and wide keep both sides' cache lines in the first-level cache, even at power-of-two strides. */
const TILE = 8;

/** dst[c, r] = src[r, c] for r < rows, c < cols. */
export function transpose(src: MatrixView, rows: number, cols: number, dst: MatrixView): void {
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    const r1 = Math.min(r0 + TILE, rows);
    for (let c0 = 0; c0 < cols; c0 += TILE) transposeTile(src, r0, r1, c0, Math.min(c0 + TILE, cols), dst);
  }
}

function transposeTile(src: MatrixView, r0: number, r1: number, c0: number, c1: number, dst: MatrixView): void {
  const from = src.data;
  const to = dst.data;
  for (let c = c0; c < c1; c++) {
    let s = src.offset + r0 * src.stride + c;
    let d = dst.offset + c * dst.stride + r0;
    for (let r = r0; r < r1; r++, s += src.stride) to[d++] = from[s]!;
  }
}
