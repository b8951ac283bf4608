import { bootstrap, type Interval } from "../../src/evaluate/metrics/metric.js";

/** A score's power to separate machine texts from human ones. */
export interface Separation {
  readonly human: number;
  readonly machine: number;
  /** Probability that a machine text scores higher than a human one; equal scores count half. */
  readonly auroc: Measured;
  /** Share of machine texts above the score that 1% and 5% of human texts reach. */
  readonly truePositives1: Measured;
  readonly truePositives5: Measured;
}

export interface Measured {
  readonly value: number;
  /** 95%, by bootstrap over the texts of both kinds. */
  readonly interval: Interval;
}

export function separation(human: readonly number[], machine: readonly number[]): Separation {
  const all = [...human, ...machine];
  const measured = (of: (human: Float64Array, machine: Float64Array) => number): Measured => {
    const value = of(Float64Array.from(human).sort(), Float64Array.from(machine).sort());
    const statistic = (indices: Int32Array): number => {
      const drawn = (isHuman: boolean) =>
        Float64Array.from(
          indices.filter((i) => i < human.length === isHuman),
          (i) => all[i]!,
        ).sort();
      const [people, machines] = [drawn(true), drawn(false)];
      // A resample of few texts may lack one kind, and is then uninformative.
      return people.length === 0 || machines.length === 0 ? value : of(people, machines);
    };
    return { value, interval: bootstrap(all.length, statistic, { resamples: 500 }) };
  };
  return {
    human: human.length,
    machine: machine.length,
    auroc: measured(auroc),
    truePositives1: measured((h, m) => truePositives(h, m, 0.01)),
    truePositives5: measured((h, m) => truePositives(h, m, 0.05)),
  };
}

/** Mann-Whitney's U of two ascending lists, divided by the number of pairs. */
export function auroc(human: Float64Array, machine: Float64Array): number {
  let [sum, below, equal] = [0, 0, 0];
  for (let i = 0; i < machine.length; i++) {
    if (i === 0 || machine[i] !== machine[i - 1]) {
      while (below < human.length && human[below]! < machine[i]!) below++;
      equal = 0;
      while (below + equal < human.length && human[below + equal] === machine[i]) equal++;
    }
    sum += below + equal / 2;
  }
  return sum / (human.length * machine.length);
}

/** The threshold is the highest that at most this share of human texts exceeds. */
export function truePositives(human: Float64Array, machine: Float64Array, falsePositives: number): number {
  const allowed = Math.floor(falsePositives * human.length);
  const threshold = human[human.length - 1 - allowed]!;
  let above = 0;
  for (const score of machine) if (score > threshold) above++;
  return above / machine.length;
}
