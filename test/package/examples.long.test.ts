/** The programs in the documentation on a machine without a C compiler, which GPT2_BACKEND=wasm stands for. */
import { examplesRun } from "./examples-run.js";

examplesRun("wasm");
