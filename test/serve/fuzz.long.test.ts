/**
 * Mutated requests, many at once: the server does not crash, hang or grow, and finally answers as before.
 *
 *     FUZZ_REQUESTS=1000000 FUZZ_SEED=7 node dist/scripts/test.js --all serve/fuzz
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Mutator } from "../checkpoint/mutator.js";
import { type RawAnswer, RawConnection } from "./raw-connection.js";

const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 4000);
const SEED = Number(process.env.FUZZ_SEED ?? 0);
const CONNECTIONS = 12;
/** Requests written at once to a connection. */
const PIPELINED = 8;
/** Seconds within which every answer comes, longer than the server's own deadline. */
const PATIENCE = 120;
/** Growth of resident memory after the first half, in bytes: the largest bodies and answers come and go. */
const GROWTH = 64 * 2 ** 20;

const sampling =
  '"temperature":0.7,"top_k":5,"top_p":0.9,"min_p":0.1,"typical_p":0.9,"seed":3,"presence_penalty":0.5,"frequency_penalty":-0.5,"repetition_penalty":1.1,"logit_bias":{"65":1},"stop":["x","yz"],"stop_token_ids":[7],"min_tokens":1,"mirostat_tau":5,"dry_multiplier":1,"xtc_probability":0.5,"n":2,"sampler_order":["penalties","temperature","top_k"],"bad_words_ids":[[1,2]],"allowed_token_ids":[65,66,67],"prompt_lookup":2,"priority":1,"cache_salt":"s"';
const POSTS: readonly (readonly [path: string, body: string])[] = [
  ["/v1/completions", '{"prompt":"Hi","max_tokens":2}'],
  ["/v1/completions", '{"prompt":[[1,2],[3]],"max_tokens":3,"echo":true,"logprobs":2,"temperature":0}'],
  ["/v1/completions", `{"prompt":["a","b"],"max_tokens":4,"best_of":3,${sampling}}`],
  [
    "/v1/completions",
    '{"prompt":"Hi","max_tokens":4,"stream":true,"stream_options":{"include_usage":true},"logprobs":1}',
  ],
  [
    "/v1/completions",
    '{"prompt":"Hi","suffix":"","user":"me","model":"tiny","truncate_prompt":true,"max_tokens":0,"echo":true}',
  ],
  [
    "/v1/chat/completions",
    '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":3,"logprobs":true,"top_logprobs":2}',
  ],
  [
    "/v1/chat/completions",
    `{"messages":[{"role":"system","content":[{"type":"text","text":"x"}]},{"role":"user","content":"Hi"}],"stream":true,"max_tokens":3,"reply_token_ids":[65],${sampling}}`,
  ],
  [
    "/v1/chat/completions",
    '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":2,"tools":[],"response_format":{"type":"text"}}',
  ],
  ["/v1/responses", '{"input":"Hi","instructions":"x","max_output_tokens":3,"temperature":0.5,"seed":1}'],
  ["/v1/responses", '{"input":[{"role":"user","content":"Hi"}],"stream":true,"max_output_tokens":3}'],
  ["/v1/embeddings", '{"input":["a","bc"],"encoding_format":"base64"}'],
  ["/v1/embeddings", '{"input":[[1,2],[3]],"dimensions":null,"truncate_prompt":true}'],
  ["/v1/score", '{"text_1":"a","text_2":["b","c"],"kind":"logprob"}'],
  ["/v1/score", '{"text_1":["a","b"],"text_2":["b","c"]}'],
  ["/v1/classify", '{"input":"x"}'],
  ["/tokenize", '{"prompt":"Hi <|endoftext|>","add_special_tokens":true,"return_token_strs":true}'],
  ["/tokenize", '{"messages":[{"role":"user","content":"Hi"}]}'],
  ["/detokenize", '{"tokens":[72,105]}'],
];
const GETS = [
  "/",
  "/health",
  "/ready",
  "/slots",
  "/v1/models",
  "/v1/models/tiny",
  "/openapi.json",
  "/tokenizer_info",
  "/version",
];
const HEADERS = [
  "Origin: https://evil.example",
  "Authorization: Bearer x",
  "X-Request-Id: mine",
  "Accept-Encoding: gzip",
  "Expect: 100-continue",
  `X-Long: ${"y".repeat(4000)}`,
];
/** The allowed statuses; 500 is not among them. */
const STATUSES = new Set([200, 204, 400, 403, 404, 405, 408, 411, 413, 414, 415, 417, 429, 431, 501, 503, 504, 505]);

interface Piece {
  readonly bytes: Buffer;
  /** Whether the next bytes on the connection are certainly a separate request. */
  readonly framed: boolean;
}

function makeRequest(mutator: Mutator): Piece {
  const kind = mutator.below(20);
  if (kind === 0)
    return { bytes: Buffer.from(`GET ${mutator.pick(GETS)} HTTP/1.1\r\nHost: localhost\r\n\r\n`), framed: true };
  const [path, text] = mutator.pick(POSTS);
  let body = Buffer.from(kind < 3 ? text : mutator.json(text));
  if (kind > 16) body = Buffer.from(mutator.bytes(body, body.length));
  const more = mutator.below(8) === 0 ? `${mutator.pick(HEADERS)}\r\n` : "";
  const fields = `Host: localhost\r\nContent-Type: application/json\r\n${more}Content-Length: ${body.length}\r\n\r\n`;
  const head = Buffer.from(`POST ${path} HTTP/1.1\r\n${fields}`);
  if (kind !== 3) return { bytes: Buffer.concat([head, body]), framed: true };
  return { bytes: Buffer.concat([mutator.bytes(head, head.length), body]), framed: false };
}

function check({ status, type, body }: RawAnswer): void {
  assert.ok(STATUSES.has(status), `${status}: ${body.slice(0, 300)}`);
  if (type.startsWith("application/json")) {
    const answer = JSON.parse(body) as { error?: { message: string; type: string } };
    if (status < 400 || status === 503) return;
    assert.equal(typeof answer.error?.message, "string", body.slice(0, 300));
    assert.ok(answer.error!.message.length < 2000);
    assert.doesNotMatch(answer.error!.message, /node:|\.js|\/home|at \w+ \(/, "says nothing of the inside");
  } else if (type.startsWith("text/event-stream")) {
    const events = body.split("\n\n").filter((event) => event !== "");
    const data = events.flatMap((event) => event.split("\n").filter((line) => line.startsWith("data: ")));
    for (const line of data) if (line !== "data: [DONE]") JSON.parse(line.slice(6));
    assert.match(data.at(-1) ?? "", /^data: (\[DONE\]|\{"error"|\{"type":"response\.(completed|incomplete)")/);
  }
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing for ${PATIENCE} seconds`)), 1000 * PATIENCE);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

describe("mutated requests", () => {
  it(`${REQUESTS} of them`, { timeout: 240_000 + 100 * REQUESTS }, async () => {
    const program = fileURLToPath(new URL("./fuzz-server.js", import.meta.url));
    const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    child.stderr.on("data", (data) => (said += data));
    const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
    const ended = exited.then((code) => assert.fail(`the server ended with ${code}: ${said}`));
    ended.catch(() => {});
    const url = await new Promise<string>((resolve) => createInterface({ input: child.stdout }).once("line", resolve));

    const fixed = async (): Promise<string> => {
      const body = JSON.stringify({
        prompt: "a fixed question",
        max_tokens: 12,
        temperature: 0,
        logprobs: 3,
        echo: true,
      });
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/v1/completions`, { method: "POST", headers, body });
      return JSON.stringify(((await answer.json()) as { choices: unknown }).choices);
    };
    const resident = async (): Promise<number> =>
      Number(/^process_resident_memory_bytes (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())![1]);

    const before = await fixed();
    const statuses: Record<number, number> = {};
    const memory: number[] = [];
    let [sent, left] = [0, 0];
    /** The work of a connection until all requests are sent. */
    const worker = async (): Promise<void> => {
      let connection = new RawConnection(url);
      while (sent < REQUESTS) {
        const seed = SEED + sent;
        const mutator = new Mutator(seed);
        const pieces: Piece[] = [];
        do pieces.push(makeRequest(mutator));
        while (pieces.length < PIPELINED && pieces.at(-1)!.framed);
        sent += pieces.length;
        if (connection.closed) connection = new RawConnection(url);
        connection.write(Buffer.concat(pieces.map(({ bytes }) => bytes)));
        const broken = !pieces.at(-1)!.framed;
        // Some clients disconnect before the answer, or during it.
        if (mutator.below(16) === 0) {
          if (mutator.below(2) === 0) await within(`seed ${seed}`, connection.answer());
          connection.destroy();
          left += pieces.length;
          connection = new RawConnection(url);
          continue;
        }
        if (broken) connection.end();
        for (let i = 0; i < pieces.length || broken; i++) {
          const answer = await within(`seed ${seed}`, connection.answer());
          if (!answer) break;
          check(answer);
          statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
        }
        if (broken) connection = new RawConnection(url);
      }
      connection.destroy();
    };
    const start = performance.now();
    let next = 0;
    const watch = async (): Promise<void> => {
      while (sent < REQUESTS) {
        if (sent >= next) {
          memory.push(await resident());
          next += REQUESTS / 40;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const work = [watch(), ...Array.from({ length: CONNECTIONS }, worker)];
    try {
      await Promise.race([Promise.all(work), ended]);
      // Nothing of their requests remains.
      for (let i = 0; ; i++) {
        const slots = (await (await fetch(`${url}/slots`)).json()) as { busy: boolean }[];
        if (slots.every(({ busy }) => !busy)) break;
        assert.ok(i < 100 * PATIENCE, "slots stay busy");
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal(await fixed(), before);
      assert.equal(said, "");
      const half = memory.length >> 1;
      const [early, late] = [memory.slice(0, half), memory.slice(half)].map((part) => Math.max(...part)) as [
        number,
        number,
      ];
      const seconds = (performance.now() - start) / 1000;
      const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
      const figures = `${sent} requests in ${seconds.toFixed(0)} s, ${left} of them left; first half ${mib(early)}, second ${mib(late)}`;
      console.log(`${figures}; ${JSON.stringify(statuses)}`);
      assert.ok(late <= early + GROWTH, figures);
      assert.ok((statuses[200] ?? 0) > REQUESTS / 10 && (statuses[400] ?? 0) > REQUESTS / 10, JSON.stringify(statuses));
    } finally {
      child.stdin.end();
      child.kill("SIGTERM");
    }
  });
});
