/**
 * Runs the kernels on processors that lack a feature, emulated by qemu-user (Debian: apt-get install qemu-user), where a
 * missing instruction ends the process: for each feature of the AVX2 kernels, a processor with all others must choose other
 * kernels, and run them.
 *
 *     node dist/scripts/check-processors.js
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { nativeBackend } from "../src/backend/native/index.js";
import { referenceBackend } from "../src/backend/reference/index.js";
import { OP_KINDS } from "../src/program/ops.js";
import { assertClose } from "../test/helpers/compare.js";
import { LAYOUTS, type OpCase, PreparedCase } from "../test/helpers/op-case.js";
import { OP_TESTS } from "../test/helpers/ops/index.js";

const QEMU = "qemu-x86_64";

/** Features that the emulator lacks as well. */
const HASWELL = "Haswell,-hle,-rtm,-invpcid,-tsc-deadline,-x2apic,-pcid,-spec-ctrl";

/** qemu's names. Haswell has MOVBE, which the kernels do not use. */
const FEATURES = [
  ...["ssse3", "sse4.1", "sse4.2", "popcnt", "xsave", "avx", "f16c", "fma", "avx2", "bmi1", "bmi2", "lzcnt"],
];
const PROCESSORS: readonly (readonly [model: string, isa: string])[] = [
  ["qemu64", "baseline"],
  ["Nehalem", "baseline"],
  [HASWELL, "avx2"],
  [`${HASWELL},-movbe`, "avx2"],
  ...FEATURES.map((feature) => [`${HASWELL},-${feature}`, "baseline"] as const),
];

/** Maximum number of elements of a case that is emulated. */
const LARGE = 3000;
const isSmall = ({ buffers }: OpCase): boolean =>
  Object.values(buffers).reduce((sum, { length }) => sum + length, 0) < LARGE;

/** Runs the kernels that this processor (emulated or not) chooses over the conformance cases. */
async function runKernels(): Promise<void> {
  const backend = await nativeBackend({ threads: 1 });
  const reference = await referenceBackend({ precision: "f64" });
  for (const kind of OP_KINDS) {
    const { cases, tolerance: usual } = OP_TESTS[kind];
    for (const test of (cases as readonly OpCase[]).filter(isSmall)) {
      const want = await new PreparedCase(reference, test, LAYOUTS[0]!).run();
      const got = await new PreparedCase(backend, test, LAYOUTS[0]!).run();
      for (const [name, values] of Object.entries(want))
        assertClose(`${kind}: ${name}`, got[name]!, values, test.tolerance ?? usual);
    }
  }
  console.log(backend.isa);
}

function main(): void {
  let failed = 0;
  for (const [model, isa] of PROCESSORS) {
    const emulated = ["-cpu", model, process.execPath];
    // V8's own code assumes SSSE3 and SSE4.1 where AVX is present.
    if (spawnSync(QEMU, [...emulated, "-e", "0"]).signal === "SIGILL") {
      console.log(`-   ${model}: Node itself does not run there`);
      continue;
    }
    const args = [...emulated, fileURLToPath(import.meta.url), "--run"];
    const { status, signal, error, stdout, stderr } = spawnSync(QEMU, args, { encoding: "utf8" });
    if (error) throw error;
    const got = status === 0 ? stdout.trim() : (signal ?? `exit ${status}`);
    const ok = got === isa;
    console.log(`${ok ? "ok" : "FAILED"}  ${model}: ${got}${ok ? "" : `, not ${isa}\n${stderr.slice(-2000)}`}`);
    if (!ok) failed++;
  }
  process.exitCode = failed === 0 ? 0 : 1;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  if (process.argv.includes("--run")) await runKernels();
  else main();
}
