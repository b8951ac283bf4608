import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { devNull } from "node:os";
import { afterEach, describe, it } from "node:test";
import { localCompiler } from "../../src/backend/native/compile.js";
import { compilerFlags, INSTRUCTION_SETS } from "../../src/backend/native/instruction-sets.js";

const sets = INSTRUCTION_SETS[process.arch] ?? [];

/** The macros that the compiler defines with these options, or undefined if it does not know them, or there is none. */
function macros(flags: readonly string[]): Set<string> | undefined {
  const { command, args } = localCompiler();
  try {
    const options = [...args, ...flags, "-dM", "-E", "-x", "c", devNull];
    const text = execFileSync(command, options, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    return new Set([...text.matchAll(/^#define (\w+)/gm)].map(([, name]) => name!));
  } catch {
    return undefined;
  }
}

/**
 * Macros that follow from the features or the tuning and mean no further feature: CRC32 is part of SSE4.2, bf16 scalars
 * are part of bf16.
 */
const IMPLIED =
  /^__(FP_FAST_\w+|tune_\w+|CRC32__|EVEX\d+__|ARM_(FEATURE_)?BF16(_SCALAR_ARITHMETIC|_FORMAT_ALTERNATIVE)?)$/;

describe("an instruction set allows the compiler exactly the features that are checked on the processor", () => {
  const baseline = macros(sets[0] ? compilerFlags(sets[0]) : []);
  for (const set of sets.slice(1)) {
    it(set.name, (t) => {
      const defined = macros(compilerFlags(set));
      if (!baseline || !defined) return t.skip("no compiler that knows it");
      const more = [...defined].filter((name) => !baseline.has(name) && !IMPLIED.test(name));
      assert.deepEqual(more.sort(), set.features.map(({ macro }) => macro).sort());
    });
  }
});

describe("CC", () => {
  const { CC } = process.env;
  afterEach(() => {
    if (CC === undefined) delete process.env.CC;
    else process.env.CC = CC;
  });
  const commandOf = (cc: string) => {
    process.env.CC = cc;
    const { command, args } = localCompiler();
    return [command, ...args];
  };

  it("is a command with arguments, or empty", () => {
    assert.deepEqual(commandOf("gcc"), ["gcc"]);
    assert.deepEqual(commandOf("ccache gcc"), ["ccache", "gcc"]);
    assert.deepEqual(commandOf(" gcc -O2  -m64 "), ["gcc", "-O2", "-m64"]);
    for (const nothing of ["", "  "]) assert.deepEqual(commandOf(nothing), ["cc"]);
  });

  it("compiles with a wrapper before the compiler", { skip: process.platform === "win32" }, (t) => {
    if (!macros([])) return t.skip("no compiler");
    process.env.CC = `env ${CC || "cc"}`;
    assert.ok(macros([])?.has("__STDC__"));
  });
});
