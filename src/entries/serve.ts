/** gpt2-ts/serve: OpenAI's API over HTTP. Node only. */

export { type RequestLine, type RunningServer, type ServeOptions, serve } from "../serve/server.js";
export type { ServiceLimits } from "../serve/service.js";
