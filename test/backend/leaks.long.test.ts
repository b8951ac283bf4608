import { it } from "node:test";
import { assertNoLeak } from "../helpers/leaks.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const native = await nativeOrReason();

// Starting threads or a worker takes a hundred times as long as the model; among ten, one that stayed would show.
it(
  "200 models that were disposed of leave no memory, each with native threads of its own",
  {
    skip: typeof native === "string" && native,
  },
  () => assertNoLeak("native", 200, "own"),
);

it("200 models that were disposed of leave no memory, each with a WebAssembly worker of its own", () =>
  assertNoLeak("wasm", 200, "own"));

for (const backend of ["native", "wasm"] as const) {
  it(
    `1,000 models that were disposed of leave no memory, all on one ${backend} backend`,
    {
      skip: backend === "native" && typeof native === "string" && native,
    },
    () => assertNoLeak(backend, 1000, "shared"),
  );
}
