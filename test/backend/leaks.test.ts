import { it } from "node:test";
import { assertNoLeak } from "../helpers/leaks.js";
import { LIKE_OTHERS } from "../helpers/tested-isas.js";
import { nativeOrReason } from "../helpers/tiny-run.js";

const native = await nativeOrReason();

it(
  "30 models that were disposed of leave no memory, each with native threads of its own",
  {
    skip: typeof native === "string" ? native : LIKE_OTHERS,
  },
  () => assertNoLeak("native", 30, "own"),
);

it(
  "15 models that were disposed of leave no memory, each with a WebAssembly worker of its own",
  { skip: LIKE_OTHERS },
  () => assertNoLeak("wasm", 15, "own"),
);
