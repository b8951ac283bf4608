import { Agent, request } from "node:http";

/** A load on a server of OpenAI's API, measured as vLLM's `vllm bench serve` does. */

export interface LoadRequest {
  readonly prompt: string | readonly number[];
  readonly maxTokens: number;
}

/** Times in milliseconds. */
export interface Timing {
  readonly ok: boolean;
  readonly status: number;
  /** From sending to the first token's event. */
  readonly firstToken: number;
  /** Gaps between the events of tokens after the first. */
  readonly between: readonly number[];
  readonly whole: number;
  readonly tokens: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 4096 });

/** Sends one request and reads its stream; an event is counted as a token. */
export function send(url: string, model: string, { prompt, maxTokens }: LoadRequest, key?: string): Promise<Timing> {
  const body = JSON.stringify({
    ...{ model, prompt, max_tokens: maxTokens, temperature: 0, stream: true, ignore_eos: true },
    // Of llama.cpp: what others call ignore_eos and cache.
    ...{ n_predict: maxTokens, cache_prompt: true },
  });
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
  };
  return new Promise((resolve) => {
    const start = performance.now();
    const times: number[] = [];
    let [status, rest] = [0, ""];
    const end = (ok: boolean): void => {
      const whole = performance.now() - start;
      const between = times.slice(1).map((time, i) => time - times[i]!);
      resolve({
        ok: ok && times.length > 0,
        status,
        firstToken: times[0] ?? whole,
        between,
        whole,
        tokens: times.length,
      });
    };
    const sent = request(`${url}/v1/completions`, { method: "POST", headers, agent }, (response) => {
      status = response.statusCode ?? 0;
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        const parts = (rest + text).split("\n\n");
        rest = parts.pop()!;
        const now = performance.now() - start;
        for (const part of parts) if (/"text":"/.test(part)) times.push(now);
      });
      response.on("end", () => end(status === 200));
      response.on("error", () => end(false));
    });
    sent.on("error", () => end(false));
    sent.end(body);
  });
}

export interface Load {
  readonly requests: readonly LoadRequest[];
  /** Requests a second, as a Poisson process; undefined sends them as fast as `concurrency` allows. */
  readonly rate?: number;
  /** Requests under way at most. */
  readonly concurrency: number;
}

/** Runs a load; returns the timings and how long it took, in seconds. */
export async function runLoad(
  { requests, rate, concurrency }: Load,
  one: (request: LoadRequest) => Promise<Timing>,
  random: () => number,
): Promise<{ readonly timings: Timing[]; readonly seconds: number }> {
  const start = performance.now();
  const timings: Timing[] = [];
  const running = new Set<Promise<void>>();
  let due = 0;
  for (const request of requests) {
    if (rate !== undefined) {
      due += (-Math.log(1 - random()) / rate) * 1000;
      const wait = due - (performance.now() - start);
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    while (running.size >= concurrency) await Promise.race(running);
    const run: Promise<void> = one(request).then((timing) => {
      timings.push(timing);
      running.delete(run);
    });
    running.add(run);
  }
  await Promise.all(running);
  return { timings, seconds: (performance.now() - start) / 1000 };
}

export interface LoadSummary {
  readonly requests: number;
  readonly failed: number;
  /** Output tokens a second. */
  readonly throughput: number;
  readonly requestsPerSecond: number;
  /** Requests a second that met the limits. */
  readonly goodput: number;
  readonly firstToken: Percentiles;
  readonly between: Percentiles;
  readonly perToken: Percentiles;
}

export interface Percentiles {
  readonly median: number;
  readonly p99: number;
}

export interface Limits {
  readonly firstToken: number;
  readonly between: number;
}

/** TPOT is (whole - first token) / (tokens - 1) of each request; gaps between tokens are pooled over all. */
export function summarise(timings: readonly Timing[], seconds: number, limits: Limits): LoadSummary {
  const good = timings.filter(({ ok }) => ok);
  const perToken = good.filter(({ tokens }) => tokens > 1).map((t) => (t.whole - t.firstToken) / (t.tokens - 1));
  const met = good.filter(
    (t) => t.firstToken <= limits.firstToken && percentile(t.between, 0.99) <= limits.between,
  ).length;
  return {
    requests: timings.length,
    failed: timings.length - good.length,
    throughput: good.reduce((sum, { tokens }) => sum + tokens, 0) / seconds,
    requestsPerSecond: good.length / seconds,
    goodput: met / seconds,
    firstToken: percentiles(good.map(({ firstToken }) => firstToken)),
    between: percentiles(good.flatMap(({ between }) => between)),
    perToken: percentiles(perToken),
  };
}

const percentiles = (values: readonly number[]): Percentiles => ({
  median: percentile(values, 0.5),
  p99: percentile(values, 0.99),
});

/** 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}
