/** Worker thread of `gpt2 data`: receives batches of text, returns batches of tokens. */
import { serveWork } from "../util/worker-pool.js";
import { encodeHandler } from "./encode-pool.js";

serveWork(encodeHandler);
