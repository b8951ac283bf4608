/** Worker thread of building a filter: batches of text in, counts out; n-grams go into a filter in shared memory. */
import { serveWork } from "../../util/worker-pool.js";
import { scanHandler } from "./scan-pool.js";

serveWork(scanHandler);
