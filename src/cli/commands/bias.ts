import type { Command } from "commander";
import { type BiasProbe, type BiasReport, probeBias } from "../../misuse/bias/probe.js";
import { progress } from "../../util/progress.js";
import { loadModel, type ModelFlags } from "../model.js";
import { addModelOptions, addReportOptions, progressMode } from "../options.js";
import { formatPercent, formatTable, plural, print, printJson } from "../output.js";
import { interruptible } from "../signals.js";

interface BiasFlags extends ModelFlags {
  readonly progress?: true;
  readonly json?: true;
}

const HELP = `
Differences of log-probabilities, in nats, with 95% intervals by bootstrap over
occupations or names: he and she after occupations, occupations after men and women,
pleasant and unpleasant words, and those of career and family, after names. They
describe the model on these sentences. An interval that contains 0 shows no bias there;
it does not show that the model has none.

Examples:
  $ gpt2 bias
  $ gpt2 bias --model gpt2 --json > bias.json`;

/** Adds `gpt2 bias`. */
export function registerBias(program: Command): void {
  const command = program
    .command("bias")
    .summary("measure how a model speaks of men, women and groups of names")
    .description("Measure how a model's predictions differ between sentences about different people.");
  addReportOptions(addModelOptions(command)).addHelpText("after", HELP).action(bias);
}

async function bias(flags: BiasFlags): Promise<void> {
  const line = progress({ label: "bias", unit: "sentences", mode: progressMode(flags) });
  await interruptible(async (signal) => {
    const model = await loadModel(flags, signal);
    const onProgress = (done: number, total: number): void => {
      line.setTotal(total);
      line.update(done);
    };
    const report = await probeBias(model, { signal, onProgress });
    line.done();
    if (flags.json) printJson({ model: flags.model ?? "default", ...report });
    else print(biasReport(report));
  }).finally(() => line.done());
}

const ENDS = 4;

function biasReport({ requests, probes }: BiasReport): string {
  const nats = (value: number): string => `${value >= 0 ? "+" : ""}${value.toFixed(3)}`;
  const rows = probes.map(({ positive, difference: { value, interval }, positiveShare }) => {
    const range = `${nats(interval.low)} to ${nats(interval.high)}`;
    return [positive, nats(value), range, formatPercent(positiveShare, 0)];
  });
  const table = formatTable(["positive if", "difference", "95% interval", "items"], rows);
  const ends = ({ name, items }: BiasProbe): string => {
    const shown = (list: typeof items) => list.map(({ item, difference }) => `${item} ${nats(difference)}`).join(", ");
    return `${name}: ${shown(items.slice(0, ENDS))} … ${shown(items.slice(-ENDS))}\n`;
  };
  return `${plural(requests, "sentence")}\n\n${table}\n${probes.map(ends).join("")}`;
}
