/** A process that fetches a model, for tests of several at once: `node fetch-process.js ENDPOINT CACHE NAME`. */
import { locateModel } from "../../src/pretrained/locate.js";

const [endpoint, cacheDir, name = ""] = process.argv.slice(2);
const onDownload = (event: unknown): boolean => process.stdout.write(`${JSON.stringify(event)}\n`);
const { path } = await locateModel(name, { endpoint, cacheDir, token: false, onDownload });
process.stdout.write(`${JSON.stringify({ type: "path", path })}\n`);
