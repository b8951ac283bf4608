import { it } from "node:test";
import { assertNoLeak } from "../helpers/leaks.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const native = await nativeOrReason();

it(
  "100 models that were disposed of leave no memory, each with native threads of its own",
  {
    skip: typeof native === "string" && native,
  },
  () => assertNoLeak("native", 100, "own"),
);

it("30 models that were disposed of leave no memory, each with a WebAssembly worker of its own", () =>
  assertNoLeak("wasm", 30, "own"));
