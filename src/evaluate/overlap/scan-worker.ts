/** Worker thread of `gpt2 overlap build`: batches of text in, counts out; n-grams go into a filter that all share. */
import { serveWork } from "../../util/worker-pool.js";
import { scanHandler } from "./scan-pool.js";

serveWork(scanHandler);
