/** Metrics in Prometheus' text format. */

type Labels = Readonly<Record<string, string>>;

const escaped = (text: string): string => text.replace(/[\\"\n]/g, (c) => (c === "\n" ? "\\n" : `\\${c}`));
const labelText = (labels: Labels): string => {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return parts.length > 0 ? `{${parts.join(",")}}` : "";
};

/** A counter with labels. Labels should take few values. */
export class Counter {
  readonly #values = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(count = 1, labels: Labels = {}): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + count);
  }

  text(): string {
    const values = this.#values.size > 0 ? [...this.#values] : [["", 0] as const];
    const lines = values.map(([labels, value]) => `${this.name}${labels} ${value}\n`);
    return `# HELP ${this.name} ${this.help}\n# TYPE ${this.name} counter\n${lines.join("")}`;
  }
}

/** A current value. */
export const gauge = (name: string, help: string, value: number): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;

const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** A histogram of seconds. */
export class Histogram {
  readonly #counts = new Array<number>(BOUNDS.length + 1).fill(0);
  #sum = 0;

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  observe(seconds: number): void {
    const at = BOUNDS.findIndex((bound) => seconds <= bound);
    this.#counts[at < 0 ? BOUNDS.length : at]!++;
    this.#sum += seconds;
  }

  text(): string {
    let total = 0;
    const buckets = this.#counts.map((count, i) => {
      total += count;
      return `${this.name}_bucket{le="${BOUNDS[i] ?? "+Inf"}"} ${total}\n`;
    });
    const head = `# HELP ${this.name} ${this.help}\n# TYPE ${this.name} histogram\n`;
    return `${head}${buckets.join("")}${this.name}_sum ${this.#sum}\n${this.name}_count ${total}\n`;
  }
}

/** The server's measurements. */
export class Metrics {
  readonly requests = new Counter("gpt2_requests_total", "Requests answered, by path and status.");
  readonly promptTokens = new Counter("gpt2_prompt_tokens_total", "Prompt tokens.");
  readonly cachedTokens = new Counter("gpt2_cached_prompt_tokens_total", "Prompt tokens found in the cache.");
  readonly generatedTokens = new Counter("gpt2_generated_tokens_total", "Generated tokens.");
  readonly draftedTokens = new Counter(
    "gpt2_drafted_tokens_total",
    "Tokens proposed by a draft model or prompt lookup.",
  );
  readonly acceptedTokens = new Counter("gpt2_accepted_draft_tokens_total", "Drafted tokens that the model accepted.");
  readonly refused = new Counter("gpt2_requests_refused_total", "Requests refused because the queue was full.");
  readonly firstToken = new Histogram("gpt2_time_to_first_token_seconds", "From the request to its first token.");
  readonly between = new Histogram("gpt2_inter_token_seconds", "Between tokens of a text.");
  readonly queue = new Histogram("gpt2_queue_seconds", "From the request to the start of its computation.");
  readonly whole = new Histogram("gpt2_request_seconds", "From the request to the end of its answer.");

  text(): string {
    const { requests, promptTokens, cachedTokens, generatedTokens, draftedTokens, acceptedTokens, refused } = this;
    const { firstToken, between, queue, whole } = this;
    const counters = [requests, promptTokens, cachedTokens, generatedTokens, draftedTokens, acceptedTokens, refused];
    return [...counters, firstToken, between, queue, whole].map((metric) => metric.text()).join("");
  }
}
