import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { OP_KINDS, type OpKind } from "../../src/program/ops.js";
import { assertClose, type Tolerance } from "./compare.js";
import { LAYOUTS, type OpCase, PreparedCase, readOnlyBuffers } from "./op-case.js";
import { OP_CASES } from "./op-cases.js";
import { PACKED_OP_CASES } from "./packed-op-cases.js";

const ALL_CASES = [...OP_CASES, ...PACKED_OP_CASES];

type Results = Record<string, ArrayLike<number>>;

const wanted = new Map<OpCase, Promise<Results>>();

/** What a case's buffers hold after the op, by the reference in double precision. */
function expected(test: OpCase): Promise<Results> {
  let results = wanted.get(test);
  if (!results) {
    results = new PreparedCase(referenceBackend({ precision: "f64" }), test, LAYOUTS[0]!).run();
    wanted.set(test, results);
  }
  return results;
}

/**
 * Runs every op kind on a backend, over the table of cases and in each layout, and compares all memory it can reach with
 * what the reference backend leaves there: within the op's tolerance where it may write, exactly elsewhere.
 */
export function conformance(
  name: string,
  makeBackend: () => Backend | Promise<Backend>,
  tolerances: Readonly<Record<OpKind, Tolerance>>,
): void {
  describe(`${name} conforms to the reference`, () => {
    let backend: Promise<Backend> | undefined;
    for (const kind of OP_KINDS) {
      const cases = ALL_CASES.filter((test) => test.kind === kind);
      it(`${kind} (${cases.length} cases)`, async () => {
        assert.ok(cases.length > 0);
        backend ??= Promise.resolve(makeBackend());
        for (const test of cases) await checkCase(await backend, test, tolerances[kind]);
      });
    }
  });
}

async function checkCase(backend: Backend, test: OpCase, tolerance: Tolerance): Promise<void> {
  const want = await expected(test);
  const readOnly = readOnlyBuffers(test);
  for (const layout of LAYOUTS) {
    const got = await new PreparedCase(backend, test, layout).run();
    for (const [buffer, values] of Object.entries(want)) {
      const exact = { relative: 0 };
      const what = `${test.kind} ${test.name}, ${layout.name}: ${buffer}`;
      assertClose(what, got[buffer]!, values, readOnly.has(buffer) ? exact : tolerance);
    }
  }
}

/** Every case on every backend: all leave the same bits. */
export function sameBits(name: string, makeBackends: () => readonly Backend[] | Promise<readonly Backend[]>): void {
  it(`${name}: the same bits`, async () => {
    const [one, ...others] = await makeBackends();
    for (const test of ALL_CASES) {
      const want = await new PreparedCase(one!, test, LAYOUTS[0]!).run();
      for (const other of others) {
        const got = await new PreparedCase(other, test, LAYOUTS[0]!).run();
        for (const [buffer, values] of Object.entries(want)) {
          const what = `${test.kind} ${test.name}: ${buffer}, ${one!.description} and ${other.description}`;
          assertClose(what, got[buffer]!, values, { relative: 0 });
        }
      }
    }
  });
}
