import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ModelConfig } from "../../src/architectures/config.js";
import { gpt2Config } from "../../src/architectures/gpt2/config.js";
import { type LoraRanks, loraRanks, loraTable, loraTargets } from "../../src/architectures/lora.js";
import { numel } from "../../src/architectures/tensor-spec.js";
import type { Backend } from "../../src/backend/backend.js";
import { WEIGHT_TYPES, type WeightType } from "../../src/dtype/dtype.js";
import { DisposedError, UsageError } from "../../src/errors.js";
import { Engine, type LogitsRow } from "../../src/generate/engine.js";
import type { Continuation, Job, Step } from "../../src/generate/job.js";
import { Sampler } from "../../src/generate/sampler.js";
import { LEAST_PROMPT, Scheduler, type SchedulerOptions } from "../../src/generate/scheduler.js";
import type { CachedScore } from "../../src/generate/slots.js";
import { LoadedAdapter } from "../../src/pretrained/loaded-adapter.js";
import { samplingSettings } from "../../src/pretrained/sampling-options.js";
import { loadWeights } from "../../src/pretrained/weights.js";
import { RandomStream } from "../../src/util/random.js";
import { RandomArrays } from "../helpers/random-arrays.js";
import { fastestBackend, NEO, ODD, seededWeights, storedTensors, testedBackends } from "./models.js";

const randomIds = (config: ModelConfig, length: number, seed: number): number[] => [
  ...new RandomArrays(seed).integers(length, config.vocabSize),
];

/** Samples `count` tokens, and keeps all logits. */
class Recording implements Continuation {
  readonly tokens: number[] = [];
  readonly logprobs: number[] = [];
  readonly rows: number[] = [];
  readonly #sampler: Sampler;

  constructor(
    readonly prompt: readonly number[],
    readonly count: number,
    vocabSize: number,
    seed: number,
    temperature = 1,
  ) {
    this.#sampler = new Sampler(samplingSettings({ temperature, topK: 0 }), vocabSize, new RandomStream(seed));
  }

  sample(row: LogitsRow): number {
    this.rows.push(...row);
    const token = this.#sampler.sample(row);
    this.tokens.push(token);
    return token;
  }

  accept(logprob: number): void {
    this.logprobs.push(logprob);
  }

  next(): Step | undefined {
    if (this.tokens.length === this.count) return undefined;
    return { tokens: this.tokens.slice(-1), keep: this.prompt.length + this.tokens.length - 1 };
  }

  get bits() {
    return { tokens: this.tokens, logprobs: this.logprobs, rows: this.rows };
  }
}

const schedulerOn = (backend: Backend, config: ModelConfig = ODD, options?: SchedulerOptions) =>
  new Scheduler(new Engine(backend, config, seededWeights(backend, config)), options);

function randomAdapter(backend: Backend, config: ModelConfig, ranks: LoraRanks, seed: number): LoadedAdapter {
  const tensors = new Map(
    loraTable(config, ranks).map(({ name, shape }, i) => {
      const random = new RandomStream(seed, i);
      const array = backend.alloc("f32", numel(shape));
      array.write(Float32Array.from({ length: numel(shape) }, () => 0.2 * random.normal()));
      return [name, array];
    }),
  );
  return new LoadedAdapter(backend, ranks, tensors, () => 1);
}

interface Request {
  readonly prompt: readonly number[];
  readonly count: number;
  readonly temperature: number;
  readonly adapter?: LoadedAdapter | undefined;
}

/** Prompts with and without common beginnings, short and long ones. */
function requestsFor(config: ModelConfig, count: number, adapters: readonly (LoadedAdapter | undefined)[]): Request[] {
  const { nCtx } = config;
  const stem = randomIds(config, nCtx, 99);
  return Array.from({ length: count }, (_, i) => {
    const length = 1 + ((i * 7) % (nCtx - 6));
    const own = randomIds(config, length, i);
    const shared = Math.floor(length * 0.7);
    const prompt = i % 3 === 0 ? own : [...stem.slice(0, shared), ...own.slice(shared)];
    return { prompt, count: 1 + (i % 5), temperature: i % 2, adapter: adapters[i % adapters.length] };
  });
}

async function run(scheduler: Scheduler, requests: readonly Request[]) {
  const { vocabSize } = scheduler.engine.config;
  const recordings = requests.map((r, i) => new Recording(r.prompt, r.count, vocabSize, i, r.temperature));
  await Promise.all(
    recordings.map((continuation, i) =>
      scheduler.submit({ tokens: requests[i]!.prompt, adapter: requests[i]!.adapter, continuation }),
    ),
  );
  return recordings.map(({ bits }) => bits);
}

/** Sizes at which kernels take every path: more keys than fit a block, rows of several blocks, heads of 32. */
const WIDE = gpt2Config({ vocabSize: 257, nCtx: 160, nEmbd: 96, nHead: 3, nLayer: 2, nInner: 160 });

async function sameBits(scheduler: Scheduler, alone: () => Scheduler, requests: readonly Request[], sample: number[]) {
  const together = await run(scheduler, requests);
  for (const i of sample) {
    const one = alone();
    const random = requests.map((request, j) => (j === i ? request : undefined));
    const { vocabSize } = one.engine.config;
    const request = random[i]!;
    const recording = new Recording(request.prompt, request.count, vocabSize, i, request.temperature);
    await one.submit({ tokens: request.prompt, adapter: request.adapter, continuation: recording });
    assert.deepEqual(together[i], recording.bits, `request ${i}`);
    await one.dispose();
  }
}

for (const backend of await testedBackends()) {
  describe(`requests side by side on ${backend.name}`, () => {
    const slow = backend.name === "reference";

    for (const dtype of slow ? (["f32"] as const) : WEIGHT_TYPES) {
      it(`have the same bits as alone, among 64 others, weights in ${dtype}`, async () => {
        const config = slow ? ODD : WIDE;
        const weights = await loadWeights(backend, config, storedTensors(config, 3), { dtype: dtype as WeightType });
        const engine = (maxTokens: number) => new Engine(backend, config, weights, { maxTokens });
        const requests = requestsFor(config, 65, [undefined]);
        const together = new Scheduler(engine(100), { slots: 40, promptBudget: 1 });
        await sameBits(together, () => new Scheduler(engine(512)), requests, [0, 7, 32, 33, 64]);
        assert.ok(together.status.cachedTokens > 0, "prefixes were shared");
        await together.dispose();
      });
    }

    if (!slow) {
      it("also in bf16, with keys and values in f16", async () => {
        const weights = await loadWeights(backend, WIDE, storedTensors(WIDE, 3), { dtype: "bf16" });
        const make = () => new Scheduler(new Engine(backend, WIDE, weights, { compute: "bf16", kv: "f16" }));
        await sameBits(make(), make, requestsFor(WIDE, 20, [undefined]), [0, 7, 13, 19]);
      });
    }

    it("also with adapters mixed, and with local layers", async () => {
      const targets = loraTargets({ architecture: "gpt2" });
      const adapters = [1, 2, 3].map((seed) => randomAdapter(backend, ODD, loraRanks(ODD, targets, seed), seed));
      const requests = requestsFor(ODD, 24, [undefined, ...adapters]);
      // The reference rounds GELU's argument where an adapter adds to it, but not where GELU is part of the layer.
      if (!slow) await sameBits(schedulerOn(backend), () => schedulerOn(backend), requests, [0, 1, 2, 3, 10, 15, 21]);
      const neo = { ...NEO, nCtx: 40 };
      const engine = () => new Engine(backend, neo, seededWeights(backend, neo), { maxTokens: 9 });
      const make = () => new Scheduler(engine(), { promptBudget: 1 });
      await sameBits(make(), make, requestsFor(neo, 20, [undefined]), [0, 4, 7, 10, 13, 16, 19]);
    });
  });
}

const backend = await fastestBackend();
const PROMPT = randomIds(ODD, 16, 5);
const greedy = (prompt: readonly number[], count = 3) => new Recording(prompt, count, ODD.vocabSize, 1, 0);

/** Scores all tokens of a text but the first. */
async function scored(scheduler: Scheduler, tokens: readonly number[], best = true, more: Partial<Job> = {}) {
  const scores: CachedScore[] = [];
  let cached = -1;
  const targets = tokens.slice(1);
  const score = (i: number, s: CachedScore): void => {
    scores[i] = s;
  };
  const scoring = { from: 0, targets, best, vocabLimit: ODD.vocabSize, score };
  const started = (n: number) => {
    cached = n;
  };
  await scheduler.submit({ tokens: tokens.slice(0, -1), scoring, started, ...more });
  return { scores, cached };
}

describe("the prefix cache", () => {
  const tail = (seed: number) => [...PROMPT.slice(0, 12), ...randomIds(ODD, 4, seed)];
  const cachedOf = async (scheduler: Scheduler, tokens: readonly number[], more: Partial<Job> = {}) => {
    let cached = -1;
    const started = (n: number) => {
      cached = n;
    };
    await scheduler.submit({ tokens, continuation: greedy(tokens), started, ...more });
    return cached;
  };

  it("gives a prompt the tokens that it shares with another, all but the last", async () => {
    const scheduler = schedulerOn(backend, ODD, { reserve: true, slots: 4 });
    assert.equal(await cachedOf(scheduler, PROMPT), 0);
    assert.equal(await cachedOf(scheduler, PROMPT), 15);
    assert.equal(await cachedOf(scheduler, tail(1)), 12);
    assert.equal(await cachedOf(scheduler, PROMPT), 15, "copying from it left it whole");
  });

  it("copies from sequences in use, and lets requests wait for a prefix that is being computed", async () => {
    const config = { ...ODD, nCtx: 90 };
    const scheduler = schedulerOn(backend, config, { reserve: true, slots: 4 });
    const stem = randomIds(config, 60, 1);
    const prompts = [1, 2, 3, 4].map((seed) => [...stem, ...randomIds(config, 5, seed)]);
    await Promise.all(prompts.map((tokens) => cachedOf(scheduler, tokens)));
    assert.deepEqual(scheduler.status.cachedTokens, 180);
  });

  it("does not cross scopes or adapters, and can be switched off", async () => {
    const scheduler = schedulerOn(backend, ODD, { reserve: true, slots: 4 });
    const adapter = randomAdapter(backend, ODD, loraRanks(ODD, loraTargets({ architecture: "gpt2" }), 2), 1);
    await cachedOf(scheduler, PROMPT, { scope: "a" });
    assert.equal(await cachedOf(scheduler, PROMPT, { scope: "b" }), 0);
    assert.equal(await cachedOf(scheduler, PROMPT, { scope: "a", adapter }), 0);
    assert.equal(await cachedOf(scheduler, PROMPT, { scope: "a", cache: false }), 0);
    assert.equal(await cachedOf(scheduler, PROMPT, { scope: "a" }), 15);
    const off = schedulerOn(backend, ODD, { prefixCache: false });
    await cachedOf(off, PROMPT);
    assert.equal(await cachedOf(off, PROMPT), 0);
    scheduler.forget();
    assert.equal(await cachedOf(scheduler, PROMPT, { scope: "a" }), 0);
  });

  it("keeps scores with the tokens: the same text costs nothing, another only from where it differs", async () => {
    const scheduler = schedulerOn(backend, ODD, { reserve: true, slots: 4 });
    const text = [...PROMPT, 7];
    const first = await scored(scheduler, text);
    const again = await scored(scheduler, text);
    assert.deepEqual([first.cached, again.cached], [0, 16]);
    assert.deepEqual(again.scores, first.scores);
    const other = [...text.slice(0, 12), 3, 4, 5, 6];
    const ending = await scored(scheduler, other);
    assert.equal(ending.cached, 11);
    assert.deepEqual(ending.scores, (await scored(schedulerOn(backend), other)).scores);
  });

  it("computes missing results for scores that are cached without them", async () => {
    const scheduler = schedulerOn(backend, ODD, { reserve: true, slots: 4 });
    await scored(scheduler, PROMPT, false);
    const { cached, scores } = await scored(scheduler, PROMPT, true);
    assert.equal(cached, 0);
    assert.ok(scores.every(({ best, logprob, bestLogprob }) => best >= 0 && bestLogprob >= logprob));
  });

  it("gives the likeliest token exactly the log-probability of the equal target", async () => {
    const scheduler = schedulerOn(backend, ODD, { reserve: true, slots: 4 });
    const text = greedy(PROMPT.slice(0, 10), 8);
    await scheduler.submit({ tokens: text.prompt, continuation: text });
    const { scores } = await scored(scheduler, [...text.prompt, ...text.tokens]);
    for (const { logprob, bestLogprob } of scores.slice(-8)) assert.equal(logprob, bestLogprob);
  });
});

describe("the order of requests", () => {
  it("is by priority, then by arrival", async () => {
    const scheduler = schedulerOn(backend, ODD, { slots: 1 });
    const order: string[] = [];
    const submit = (name: string, priority: number) => {
      const tokens = randomIds(ODD, 3, order.length);
      return scheduler.submit({ tokens, continuation: greedy(tokens), priority, started: () => order.push(name) });
    };
    await Promise.all([submit("a", 0), submit("b", 0), submit("c", 5), submit("d", -1)]);
    assert.deepEqual(order, ["c", "a", "b", "d"]);
  });

  it("lets sequences continue while a long prompt is computed, one piece per step", async () => {
    const config = { ...ODD, nCtx: 400 };
    const scheduler = schedulerOn(backend, config, { promptBudget: 0 });
    const [short, long] = [randomIds(config, 3, 1), randomIds(config, 320, 2)];
    const talking = new Recording(short, 60, config.vocabSize, 1);
    const reading = new Recording(long, 1, config.vocabSize, 2);
    let steps = 0;
    const whole = new Promise<void>((resolve) => {
      const accept = (logprob: number): void => {
        talking.accept(logprob);
        if (talking.tokens.length !== 5) return;
        resolve(
          scheduler.submit({ tokens: long, continuation: reading }).then(() => {
            steps = talking.tokens.length - 5;
          }),
        );
      };
      const continuation: Continuation = {
        sample: (row) => talking.sample(row),
        accept,
        next: () => talking.next(),
      };
      scheduler.submit({ tokens: short, continuation });
    });
    await whole;
    const pieces = 320 / LEAST_PROMPT;
    assert.ok(steps >= pieces - 1 && steps <= pieces + 2, `${steps} steps`);
    await scheduler.idle();
    assert.equal(talking.tokens.length, 60);
  });

  it("waits for jobs that are not ready until it is woken", async () => {
    const scheduler = schedulerOn(backend);
    let open = false;
    const recording = greedy(PROMPT);
    const continuation: Continuation = {
      sample: (row) => recording.sample(row),
      accept: (logprob) => recording.accept(logprob),
      next: () => recording.next(),
      ready: () => open,
    };
    const job = scheduler.submit({ tokens: PROMPT, continuation });
    await scheduler.idle();
    assert.equal(recording.tokens.length, 1);
    open = true;
    scheduler.wake();
    await job;
    assert.equal(recording.tokens.length, 3);
  });
});

describe("ending early", () => {
  it("an abort rejects at once, and frees the slot within a step, in the prompt too", async () => {
    const config = { ...ODD, nCtx: 600 };
    const engine = new Engine(backend, config, seededWeights(backend, config), { maxTokens: 32 });
    const scheduler = new Scheduler(engine, { slots: 1 });
    const controller = new AbortController();
    const reason = new Error("gone");
    const long = randomIds(config, 500, 1);
    const started = new Promise<void>((resolve) => {
      scheduler
        .submit({
          tokens: long,
          continuation: greedy(long),
          signal: controller.signal,
          started: () => resolve(),
        })
        .catch((error) => assert.equal(error, reason));
    });
    await started;
    const before = scheduler.status.steps;
    controller.abort(reason);
    let at = 0;
    const next = greedy(PROMPT);
    await scheduler.submit({
      tokens: PROMPT,
      continuation: next,
      started: () => {
        at = scheduler.status.steps;
      },
    });
    assert.ok(at - before <= 1, `${at - before} steps`);
    await assert.rejects(scheduler.submit({ tokens: PROMPT, signal: AbortSignal.abort(reason) }), reason);
  });

  it("an error in a job's own code affects only that job", async () => {
    const scheduler = schedulerOn(backend);
    const broken: Continuation = {
      ...greedy(PROMPT),
      sample: () => {
        throw new Error("mine");
      },
      accept: () => {},
      next: () => undefined,
    };
    const fine = greedy(PROMPT);
    const results = await Promise.allSettled([
      scheduler.submit({ tokens: PROMPT, continuation: broken }),
      scheduler.submit({ tokens: PROMPT, continuation: fine }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "fulfilled"],
    );
    assert.equal(fine.tokens.length, 3);
    assert.deepEqual([scheduler.status.running, scheduler.status.waiting], [0, 0]);
  });

  it("refuses impossible numbers of slots, and an impossible budget", () => {
    for (const [options, message] of [
      [{ slots: 0 }, /slots: expected an integer from 1 to 4096, got 0/],
      [{ slots: 1e9 }, /slots: expected an integer from 1 to 4096, got 1000000000/],
      [{ slots: 1.5 }, /slots/],
      [{ promptBudget: -1 }, /promptBudget: expected 0 or more milliseconds, got -1/],
      [{ promptBudget: Number.NaN }, /promptBudget/],
    ] as const) {
      assert.throws(() => schedulerOn(backend, ODD, options), { name: "UsageError", message });
    }
  });

  it("refuses invalid prompts, and everything once disposed of", async () => {
    const scheduler = schedulerOn(backend);
    for (const tokens of [[], randomIds(ODD, ODD.nCtx + 1, 1), [ODD.vocabSize]]) {
      await assert.rejects(scheduler.submit({ tokens }), UsageError);
    }
    const target = { best: false, vocabLimit: 1, score: () => {} };
    for (const scoring of [
      { ...target, from: 0, targets: [1, 2, 3] },
      { ...target, from: -1, targets: [1] },
      { ...target, from: 0, targets: [-1] },
    ]) {
      await assert.rejects(scheduler.submit({ tokens: [1, 2], scoring }), UsageError);
    }
    const running = scheduler.submit({ tokens: PROMPT, continuation: greedy(PROMPT, 4) });
    await Promise.all([assert.rejects(running, DisposedError), scheduler.dispose()]);
    await assert.rejects(scheduler.submit({ tokens: PROMPT }), DisposedError);
  });
});
