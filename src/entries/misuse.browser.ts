/** gpt2-ts/misuse in browsers: watermarks. An index of a corpus needs files. */
export * from "../misuse/watermark/index.js";
