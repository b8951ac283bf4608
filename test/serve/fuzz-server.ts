/** The server of fuzz.long.test.ts, in its own process: prints its address, and ends with its standard input. */
import { nativeBackend } from "../../src/backend/native/index.js";
import { serve } from "../../src/serve/server.js";
import { CONFIG, servedModel } from "./client.js";

const backend = await nativeBackend({ threads: 1 });
// Texts end soon, whatever a request says.
const model = await servedModel({ slots: 16, reserve: true }, backend, { ...CONFIG, nCtx: 32 });
const server = await serve(model, { name: "tiny", port: 0, queue: 256, timeout: 20, stall: 2 });
console.log(server.url);
for await (const _ of process.stdin);
await server.close(5000);
await model.dispose();
