import { it } from "node:test";
import { assertNoLeak } from "../helpers/leaks.js";

it("1,000 models that were disposed of leave no memory, each with a WebAssembly worker of its own", () =>
  assertNoLeak("wasm", 1000, "own"));
