import type { Tokenizer } from "../../../tokenizer/tokenizer.js";
import type { Detection } from "../detect.js";
import { BUCKET_STYLES, escapeMarkup, type Piece, piecesOf } from "./pieces.js";

const COLUMNS = 90;
const [CHARACTER, LINE, MARGIN, LEGEND] = [8.4, 22, 16, 40];

/** A piece, or part of one, and its position. */
interface Cell {
  readonly column: number;
  readonly line: number;
  readonly text: string;
  readonly piece: Piece;
}

/** GLTR's picture as SVG: the text, each token on the colour of its rank bucket. */
export function detectionSvg(tokenizer: Tokenizer, detection: Detection): string {
  const cells = layOut(piecesOf(tokenizer, detection));
  const lines = 1 + cells.reduce((most, { line }) => Math.max(most, line), 0);
  const [width, height] = [2 * MARGIN + COLUMNS * CHARACTER, 2 * MARGIN + LEGEND + lines * LINE];
  const total = detection.tokens.length;
  const legend = BUCKET_STYLES.map(({ label, fill }, i) => {
    const share = ((100 * detection.buckets[i]!) / total).toFixed(1);
    const x = MARGIN + i * 180;
    return `<rect x="${x}" y="${MARGIN}" width="14" height="14" fill="${fill}"/><text x="${x + 20}" y="${MARGIN + 12}">${label}: ${share}%</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="14">
<title>Ranks of the tokens of a text in a model's predictions</title>
<rect width="${width}" height="${height}" fill="#fff"/>
${[...legend, ...cells.map(cellSvg)].join("\n")}
</svg>
`;
}

function cellSvg({ column, line, text, piece }: Cell): string {
  const { rank, probability, bucket } = piece;
  const [x, y] = [MARGIN + column * CHARACTER, MARGIN + LEGEND + line * LINE].map((n) => n.toFixed(1));
  const width = (Array.from(text).length * CHARACTER).toFixed(1);
  const box = `<rect width="${width}" height="18" fill="${BUCKET_STYLES[bucket]!.fill}"/>`;
  const label = `<text y="14" textLength="${width}" xml:space="preserve">${escapeMarkup(text)}</text>`;
  return `<g transform="translate(${x} ${y})"><title>rank ${rank}, p ${probability.toPrecision(2)}</title>${box}${label}</g>`;
}

/** Lays pieces out in lines of {@link COLUMNS} characters; a line feed starts a new line. */
function layOut(pieces: readonly Piece[]): Cell[] {
  const cells: Cell[] = [];
  let [column, line] = [0, 0];
  const newLine = (): void => {
    line++;
    column = 0;
  };
  for (const piece of pieces) {
    for (const [i, part] of piece.text.split("\n").entries()) {
      if (i > 0) newLine();
      const characters = Array.from(part.replaceAll("\t", " "));
      if (column + characters.length > COLUMNS && column > 0) newLine();
      for (let at = 0; at < characters.length; at += COLUMNS) {
        if (at > 0) newLine();
        const text = characters.slice(at, at + COLUMNS).join("");
        cells.push({ column, line, text, piece });
        column += Math.min(COLUMNS, characters.length - at);
      }
    }
  }
  return cells;
}
