import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Backend } from "../../src/backend/backend.js";
import { referenceBackend } from "../../src/backend/reference/index.js";
import { OP_KINDS, type OpKind } from "../../src/program/ops.js";
import { assertClose, type Tolerance } from "./compare.js";
import { LAYOUTS, type Layout, type OpCase, PreparedCase, readOnlyBuffers } from "./op-case.js";
import { OP_TESTS } from "./ops/index.js";
import type { OpTest } from "./ops/op-test.js";
import { TESTING_ALL } from "./tested-isas.js";

type Results = Record<string, ArrayLike<number>>;

/** From this number of elements on a case takes long. */
const LARGE = 15_000;
/** Of the large cases, `npm test` runs one in eleven: no size has a multiple of eleven variants, so their choice alternates. */
const STEP = 11;

function casesOf(kind: OpKind): readonly OpCase[] {
  const cases: readonly OpCase[] = OP_TESTS[kind].cases;
  if (TESTING_ALL) return cases;
  let large = 0;
  return cases.filter(({ buffers }) => {
    const elements = Object.values(buffers).reduce((sum, { length }) => sum + length, 0);
    return elements < LARGE || large++ % STEP === 0;
  });
}

const wanted = new Map<OpCase, Promise<Results>>();

/** The contents of a case's buffers after the op, by the reference in double precision. */
function expected(test: OpCase): Promise<Results> {
  let results = wanted.get(test);
  if (!results) {
    results = referenceBackend({ precision: "f64" }).then((backend) =>
      new PreparedCase(backend, test, LAYOUTS[0]!).run(),
    );
    wanted.set(test, results);
  }
  return results;
}

/**
 * Runs every operation on a backend, over its cases and in each layout, and compares all memory within its reach with the
 * reference backend's result: within the operation's tolerance where it may write, exactly elsewhere.
 */
export function conformance(
  name: string,
  makeBackend: () => Backend | Promise<Backend>,
  tolerance: "tolerance" | "referenceTolerance" = "tolerance",
  layouts: readonly Layout[] = LAYOUTS,
): void {
  describe(`${name} conforms to the reference`, () => {
    let backend: Promise<Backend> | undefined;
    for (const kind of OP_KINDS) {
      const test: OpTest<OpKind> = OP_TESTS[kind];
      const cases = casesOf(kind);
      it(`${kind} (${cases.length} cases)`, async () => {
        assert.ok(cases.length > 0);
        backend ??= Promise.resolve(makeBackend());
        for (const one of cases) await checkCase(await backend, one, one.tolerance ?? test[tolerance], layouts);
      });
    }
  });
}

async function checkCase(
  backend: Backend,
  test: OpCase,
  tolerance: Tolerance,
  layouts: readonly Layout[],
): Promise<void> {
  const want = await expected(test);
  const readOnly = readOnlyBuffers(test);
  for (const layout of layouts) {
    const got = await new PreparedCase(backend, test, layout).run();
    for (const [buffer, values] of Object.entries(want)) {
      const exact = { relative: 0 };
      const what = `${test.kind} ${test.name}, ${layout.name}: ${buffer}`;
      assertClose(what, got[buffer]!, values, readOnly.has(buffer) ? exact : tolerance);
    }
  }
}

/** Every case on every backend, or one of every `step` from `first` on: all leave the same bits. */
export function sameBits(
  name: string,
  makeBackends: () => readonly Backend[] | Promise<readonly Backend[]>,
  step = 1,
  first = 0,
): void {
  it(`${name}: the same bits`, async () => {
    const [one, ...others] = await makeBackends();
    for (const test of OP_KINDS.flatMap(casesOf).filter((_, i) => i % step === first % step)) {
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
