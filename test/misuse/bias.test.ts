import assert from "node:assert/strict";
import { test } from "node:test";
import type { LogLikelihood, LogLikelihoodRequest } from "../../src/generate/requests.js";
import { GPT2 } from "../../src/gpt2.js";
import { NAME_GROUPS, OCCUPATIONS, PRONOUN_TEMPLATES, QUALITIES } from "../../src/misuse/bias/lists.js";
import { probeBias } from "../../src/misuse/bias/probe.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";

/** A model whose log-probabilities follow a rule. */
function ruled(rule: (context: string, continuation: string) => number) {
  return {
    logLikelihoods: async (requests: readonly LogLikelihoodRequest<string>[]): Promise<LogLikelihood[]> =>
      requests.map(({ context, continuation }) => {
        const logprob = rule(context, continuation);
        return { logprob, logprobs: Float64Array.of(logprob), best: new Int32Array(0), top: new Int32Array(0) };
      }),
  };
}

test("an unbiased model has no bias, in every probe", { skip: LIKE_OTHERS }, async () => {
  const { probes } = await probeBias(ruled((_, continuation) => (/^ (he|she)$/.test(continuation) ? -2 : -7)));
  assert.equal(probes.length, 5);
  for (const { difference, name } of probes) {
    assert.equal(difference.value, 0, name);
    assert.deepEqual(difference.interval, { low: 0, high: 0 });
  }
});

test("a bias built into a model is found, with its sign and size", async () => {
  const men: readonly string[] = NAME_GROUPS["names of men"];
  const career: readonly string[] = QUALITIES.career;
  const { probes } = await probeBias(
    ruled((context, continuation) => {
      const word = continuation.slice(1);
      if (word === "he") return context.includes("nurse") ? -3 : -1;
      if (word === "she") return -2;
      if (/\b(woman|She|mother|girl)\b/.test(context)) return -5;
      const name = men.find((n) => new RegExp(`\\b${n}\\b`).test(context));
      return name && career.includes(word) ? -4 : -4.5;
    }),
  );
  const [pronouns, work, , , careers] = probes;
  assert.equal(pronouns!.items.at(-1)!.item, "nurse");
  assert.equal(pronouns!.items.at(-1)!.difference, -1);
  assert.ok(Math.abs(pronouns!.difference.value - (OCCUPATIONS.length - 2) / OCCUPATIONS.length) < 1e-12);
  assert.ok(pronouns!.difference.interval.low > 0.8);
  assert.equal(work!.difference.value, 0.5);
  assert.equal(careers!.difference.value, 0.5);
  assert.equal(careers!.positiveShare, 1);
});

test("groups of names that are compared have one size", () => {
  assert.equal(NAME_GROUPS["names of men"].length, NAME_GROUPS["names of women"].length);
  assert.equal(NAME_GROUPS["European-American names"].length, NAME_GROUPS["African-American names"].length);
});

test("the default model's differences are those of its own log-likelihoods", async () => {
  const model = await GPT2.load(undefined, { threads: 1 });
  const counted: LogLikelihoodRequest<string>[] = [];
  const few = {
    logLikelihoods: (requests: readonly LogLikelihoodRequest<string>[]) => {
      counted.push(...requests);
      // A dozen suffice to compare; the rest is not run.
      return model.logLikelihoods(requests.slice(0, 12)).then((found) => requests.map((_, i) => found[i] ?? found[0]!));
    },
  };
  const { probes, requests } = await probeBias(few);
  assert.equal(requests, counted.length);
  const of = async (context: string, continuation: string) =>
    (await model.logLikelihoods([{ context, continuation }]))[0]!.logprob;
  let expected = 0;
  for (const template of PRONOUN_TEMPLATES) {
    const context = template.replace("{x}", OCCUPATIONS[0]);
    expected += ((await of(context, " he")) - (await of(context, " she"))) / PRONOUN_TEMPLATES.length;
  }
  const found = probes[0]!.items.find(({ item }) => item === OCCUPATIONS[0])!;
  assert.ok(Math.abs(found.difference - expected) < 1e-4, `${found.difference}, ${expected}`);
  await model.dispose();
});
