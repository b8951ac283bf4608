import { it } from "node:test";
import { assertNoLeak } from "../helpers/leaks.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const native = await nativeOrReason();

/** Models of a test, and models that share a backend. A longer run: `GPT2_LEAKS="200 1000"`. */
const [OWN, SHARED] = (process.env.GPT2_LEAKS ?? "60 300").split(" ").map(Number) as [number, number];

// Starting threads or a worker takes a hundred times as long as the model; among ten, one that stayed would show.
it(
  `${OWN} models that were disposed of leave no memory, each with native threads of its own`,
  {
    skip: typeof native === "string" && native,
  },
  () => assertNoLeak("native", OWN, "own"),
);

it(`${OWN} models that were disposed of leave no memory, each with a WebAssembly worker of its own`, () =>
  assertNoLeak("wasm", OWN, "own"));

for (const backend of ["native", "wasm"] as const) {
  it(
    `${SHARED} models that were disposed of leave no memory, all on one ${backend} backend`,
    {
      skip: backend === "native" && typeof native === "string" && native,
    },
    () => assertNoLeak(backend, SHARED, "shared"),
  );
}
