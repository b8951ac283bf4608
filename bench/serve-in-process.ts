/** The batches of `npm run bench -- serve` without a server: prints tokens per second. Its argument is JSON. */
import { GPT2 } from "../src/index.js";
import type { LoadRequest } from "./load-client.js";

const { file, threads, slots, concurrency, requests } = JSON.parse(process.argv[2]!) as {
  readonly file: string;
  readonly threads: number;
  readonly slots: number;
  readonly concurrency: number;
  readonly requests: readonly LoadRequest[];
};
const model = await GPT2.load(file, { threads, scheduling: { slots, reserve: true } });

async function run(list: readonly LoadRequest[]): Promise<number> {
  let [next, tokens] = [0, 0];
  const worker = async (): Promise<void> => {
    while (next < list.length) {
      const { prompt, maxTokens } = list[next++]!;
      const options = { maxNewTokens: maxTokens, temperature: 0, stopAtEndOfText: false, overflow: "stop" } as const;
      const completion = await model.complete(prompt, options);
      tokens += completion.tokens.length;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: concurrency }, worker));
  return (1000 * tokens) / (performance.now() - start);
}

await run(requests.slice(0, 4).map((request) => ({ ...request, maxTokens: 8 })));
console.log(await run(requests));
await model.dispose();
