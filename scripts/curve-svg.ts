import type { TrainEvent } from "../src/train/events.js";

const [W, H, LEFT, RIGHT, TOP, BOTTOM] = [760, 400, 60, 20, 20, 50];

/**
 * The loss curve of a run as an SVG image: training loss (smoothed, with the raw values behind it) and validation loss.
 */
export function curveSvg(events: readonly TrainEvent[]): string {
  const steps = events.filter((e) => e.type === "step");
  const validations = events.filter((e) => e.type === "validation");
  const last = steps.at(-1)?.step ?? 1;
  const all = [...steps, ...validations].map((e) => e.loss);
  const top = Math.ceil(Math.max(...all));
  const bottom = Math.floor(Math.min(...all) * 2) / 2;
  const x = (step: number): number => LEFT + ((W - LEFT - RIGHT) * step) / last;
  const y = (loss: number): number => TOP + ((H - TOP - BOTTOM) * (top - loss)) / (top - bottom);
  const path = (points: readonly { step: number; loss: number }[]): string =>
    points.map(({ step, loss }, i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`).join("");

  let average = steps[0]?.loss ?? 0;
  const smooth = steps.map(({ step, loss }, i) => {
    average += (loss - average) / Math.min(i + 1, 30);
    return { step, loss: average };
  });
  const thin = <T>(points: readonly T[]): T[] => points.filter((_, i) => i % Math.ceil(points.length / 700) === 0);
  const ticks: string[] = [];
  for (let loss = bottom; loss <= top; loss += top - bottom > 4 ? 1 : 0.5) {
    ticks.push(`<line x1="${LEFT}" x2="${W - RIGHT}" y1="${y(loss)}" y2="${y(loss)}" stroke="#ddd"/>`);
    ticks.push(`<text x="${LEFT - 8}" y="${y(loss) + 4}" text-anchor="end">${loss}</text>`);
  }
  for (let i = 0; i <= 5; i++) {
    const step = Math.round((last * i) / 5);
    ticks.push(`<text x="${x(step)}" y="${H - BOTTOM + 18}" text-anchor="middle">${step}</text>`);
  }
  const dots = validations.map(
    (e) => `<circle cx="${x(e.step).toFixed(1)}" cy="${y(e.loss).toFixed(1)}" r="3" fill="#c22"/>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${W} ${H}" font-family="sans-serif" font-size="12">
<title>Training and validation loss by step</title>
<rect width="${W}" height="${H}" fill="#fff"/>
${ticks.join("\n")}
<text x="${(W + LEFT) / 2}" y="${H - 12}" text-anchor="middle">optimizer step</text>
<text transform="translate(16 ${(H - BOTTOM + TOP) / 2}) rotate(-90)" text-anchor="middle">loss, nats per token</text>
<path d="${path(thin(steps))}" fill="none" stroke="#9bd" stroke-width="1"/>
<path d="${path(thin(smooth))}" fill="none" stroke="#06c" stroke-width="1.5"/>
<path d="${path(validations)}" fill="none" stroke="#c22" stroke-width="1.5"/>
${dots.join("\n")}
<text x="${W - RIGHT - 8}" y="${TOP + 16}" text-anchor="end" fill="#06c">training</text>
<text x="${W - RIGHT - 8}" y="${TOP + 34}" text-anchor="end" fill="#c22">validation (held-out books)</text>
</svg>
`;
}
