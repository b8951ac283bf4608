/** Worker thread of `gpt2 data`: batches of text in, batches of tokens out. */
import { serveWork } from "../util/worker-pool.js";
import { encodeHandler } from "./encode-pool.js";

serveWork(encodeHandler);
