import { Agent, request as httpRequest } from "node:http";

/** A load on a server of OpenAI's API, measured as by vLLM's `vllm bench serve`. */

export interface LoadRequest {
  readonly prompt: string;
  readonly maxTokens: number;
  /** The prompt shares the cache only with requests of the same salt. */
  readonly salt?: string;
  /** Whether its answer is known, and is compared. */
  readonly known?: boolean;
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
  readonly prompt: string;
  readonly text: string;
}

const agent = new Agent({ keepAlive: true, maxSockets: 4096 });

/**
 * Sends one request and reads its stream. Tokens are those of its usage, as some have no text of their own. A server may close a
 * connection just when it is used once more, as llama.cpp's does: then the request is sent again.
 */
export function send(url: string, model: string, request: LoadRequest, key?: string): Promise<Timing> {
  const { prompt, maxTokens, salt = "" } = request;
  const body = JSON.stringify({
    ...{ model, prompt, max_tokens: maxTokens, temperature: 0, stream: true, ignore_eos: true, cache_salt: salt },
    ...{ stream_options: { include_usage: true } },
  });
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
  };
  return new Promise((resolve) => {
    const start = performance.now();
    const times: number[] = [];
    let [status, rest, text, tokens] = [0, "", "", 0];
    const end = (ok: boolean): void => {
      const whole = performance.now() - start;
      const between = times.slice(1).map((time, i) => time - times[i]!);
      resolve({
        ok: ok && times.length > 0,
        status,
        firstToken: times[0] ?? whole,
        between,
        whole,
        tokens: tokens || times.length,
        prompt,
        text,
      });
    };
    const sent = httpRequest(`${url}/v1/completions`, { method: "POST", headers, agent }, (response) => {
      status = response.statusCode ?? 0;
      response.setEncoding("utf8");
      response.on("data", (data: string) => {
        const parts = (rest + data).split("\n\n");
        rest = parts.pop()!;
        const now = performance.now() - start;
        for (const part of parts) {
          const piece = /"text":("(?:[^"\\]|\\.)*")/.exec(part)?.[1];
          if (piece !== undefined) {
            times.push(now);
            text += JSON.parse(piece) as string;
          }
          tokens = Number(/"completion_tokens":(\d+)/.exec(part)?.[1] ?? tokens);
        }
      });
      response.on("end", () => end(status === 200));
      response.on("error", () => end(false));
    });
    sent.on("error", () => {
      if (sent.reusedSocket && status === 0) resolve(send(url, model, request, key));
      else end(false);
    });
    sent.end(body);
  });
}

export interface Load {
  readonly requests: readonly LoadRequest[];
  /** Requests per second, as a Poisson process; undefined sends them as fast as `concurrency` allows. */
  readonly rate?: number;
  /** Maximum number of concurrent requests. */
  readonly concurrency: number;
  /** Number of first answers that are not measured. */
  readonly skip?: number;
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
  /** Requests refused with 429, and the time that took. */
  readonly refused: number;
  readonly refusals: Percentiles;
  /** Requests that failed in another way. */
  readonly failed: number;
  /** Answers that differ from the known ones. */
  readonly wrong?: number;
  /** Resident bytes of the server before and after. */
  readonly memory?: readonly [before: number | undefined, after: number | undefined];
  /** Output tokens per second. */
  readonly throughput: number;
  readonly requestsPerSecond: number;
  /** Requests per second that met the limits. */
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
export function summarize(timings: readonly Timing[], seconds: number, limits: Limits): LoadSummary {
  const good = timings.filter(({ ok }) => ok);
  const refused = timings.filter(({ status }) => status === 429);
  const perToken = good.filter(({ tokens }) => tokens > 1).map((t) => (t.whole - t.firstToken) / (t.tokens - 1));
  const met = good.filter(
    (t) => t.firstToken <= limits.firstToken && percentile(t.between, 0.99) <= limits.between,
  ).length;
  return {
    requests: timings.length,
    refused: refused.length,
    refusals: percentiles(refused.map(({ whole }) => whole)),
    failed: timings.length - good.length - refused.length,
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
