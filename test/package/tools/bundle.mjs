/** Bundles a program with one of several bundlers: `node bundle.mjs BUNDLER PROGRAM TARGET FORMAT OUTDIR`. */
import { basename, dirname, join } from "node:path";

const [bundler, program, target, format, outDir] = process.argv.slice(2);
const browser = target === "browser";
const name = basename(program).replace(/\.\w+$/, "");
const fileName = `${name}.${browser ? "js" : format === "cjs" ? "cjs" : "mjs"}`;

const BUNDLERS = {
  async esbuild() {
    const { build } = await import("esbuild");
    const outfile = join(outDir, fileName);
    await build({ entryPoints: [program], bundle: true, format, platform: browser ? "browser" : "node", outfile });
  },

  async rollup() {
    const { rollup } = await import("rollup");
    const { nodeResolve } = await import("@rollup/plugin-node-resolve");
    const resolve = nodeResolve({ browser, preferBuiltins: !browser, exportConditions: browser ? [] : ["node"] });
    const onwarn = (warning) => {
      if (["UNRESOLVED_IMPORT", "MISSING_EXPORT"].includes(warning.code)) throw new Error(warning.message);
    };
    const external = browser ? [] : [/^node:/, "koffi", "commander"];
    const bundle = await rollup({ input: program, plugins: [resolve], external, onwarn });
    await bundle.write({
      dir: outDir,
      format,
      entryFileNames: fileName,
      chunkFileNames: `[name]-[hash].${format === "cjs" ? "cjs" : browser ? "js" : "mjs"}`,
    });
  },

  async webpack() {
    const { default: webpack } = await import("webpack");
    const module = format === "esm";
    const config = {
      mode: "production",
      context: dirname(program),
      entry: program,
      target: browser ? "web" : "node",
      output: {
        path: outDir,
        filename: fileName,
        module,
        ...(module && { chunkFormat: "module" }),
        library: { type: module ? "module" : "commonjs2" },
      },
      experiments: { outputModule: module },
      performance: { hints: false },
      // Code for Node is not sent over a network, so it is not minified, which would take most of the time.
      optimization: { minimize: browser },
    };
    const stats = await new Promise((done, fail) =>
      webpack(config, (error, result) => (error ? fail(error) : done(result))),
    );
    if (stats.hasErrors() || stats.hasWarnings())
      throw new Error(stats.toString({ all: false, errors: true, warnings: true }));
  },

  async vite() {
    const { build } = await import("vite");
    const output = { format: format === "cjs" ? "cjs" : "es", entryFileNames: fileName };
    await build({
      root: dirname(program),
      configFile: false,
      logLevel: "warn",
      build: {
        outDir,
        target: "es2022",
        ...(browser ? {} : { ssr: program }),
        rollupOptions: { input: program, output },
      },
      ...(browser ? {} : { ssr: { noExternal: ["gpt2-ts", "xxhash-wasm"] } }),
    });
  },
};

/** A development server that runs until its standard input ends, and prints its address. */
async function serve() {
  const { createServer } = await import("vite");
  const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
  const server = await createServer({
    root: dirname(program),
    configFile: false,
    logLevel: "error",
    server: { headers, host: "127.0.0.1" },
  });
  await server.listen();
  console.log(server.resolvedUrls.local[0]);
  process.stdin.resume().on("end", () => server.close());
}

await (bundler === "vite-dev" ? serve() : BUNDLERS[bundler]());
