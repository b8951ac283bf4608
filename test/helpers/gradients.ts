import { referenceBackend } from "../../src/backend/reference/index.js";
import { type Program, Recorder, type Tensor } from "../../src/program/program.js";
import { assertClose } from "./compare.js";
import { RandomArrays } from "./random-arrays.js";

export interface GradientCase {
  /** Differentiable inputs, by name, each with its shape; filled with random numbers unless `values` gives others. */
  readonly inputs: Readonly<Record<string, readonly number[]>>;
  readonly values?: Readonly<Record<string, Float64Array>>;
  readonly integers?: Readonly<Record<string, Int32Array>>;
  /** Tensors that the forward pass keeps for the backward pass. */
  readonly saved?: Readonly<Record<string, readonly number[]>>;
  readonly out: readonly number[];
  /** The gradient that reaches `out`: random, or this number everywhere. */
  readonly dout?: number;
  /** Inputs whose gradient the backward pass overwrites; it adds to the others. */
  readonly overwrites?: readonly string[];
  /** Records the forward pass, which writes `out` and all of `saved`. */
  forward(k: Recorder, t: Readonly<Record<string, Tensor>>): void;
  /** Records the backward pass from `dout`, which leaves the gradient of input x in `dx`. */
  backward(k: Recorder, t: Readonly<Record<string, Tensor>>): void;
}

/** Central differences of width h err by about h² |f'''| / 6 + ε |f| / h: 1e-10 each at h = 1e-5 in float64. */
const H = 1e-5;
const TOLERANCE = { relative: 1e-8, floor: 1 };
/** Contents of a gradient before a backward pass that adds to it. */
const BEFORE = 0.25;

/** Compares the gradients of a backward pass, in float64, with central differences of ⟨dout, out⟩. */
export async function checkGradients(test: GradientCase, seed = 1): Promise<void> {
  const random = new RandomArrays(seed);
  const backend = await referenceBackend({ precision: "f64" });
  const gradients = Object.fromEntries(Object.entries(test.inputs).map(([name, shape]) => [`d${name}`, shape]));
  const shapes = { ...test.inputs, ...gradients, ...test.saved, out: test.out, dout: test.out };
  const size = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

  const floats = Object.entries(shapes).map(([name, s]) => [name, backend.alloc("f32", size(s))] as const);
  const integers = Object.entries(test.integers ?? {}).map(([name, values]) => {
    const array = backend.alloc("i32", values.length);
    array.write(values);
    return [name, array] as const;
  });
  const bindings = Object.fromEntries([...floats, ...integers]);
  const record = (name: string, pass: GradientCase["forward"]): Program => {
    const k = new Recorder(name);
    const tensors = Object.entries(shapes).map(([n, s]) => [n, k.external(n, s)] as const);
    const indices = integers.map(([n, array]) => [n, k.external(n, [array.length], "i32")] as const);
    pass(k, Object.fromEntries([...tensors, ...indices]));
    return k.build();
  };
  const forward = await backend.prepare(record("forward", test.forward), bindings);
  const backward = await backend.prepare(record("backward", test.backward), bindings);

  const host = (name: string) => bindings[name]!.host!;
  for (const [name, shape] of Object.entries(test.inputs)) {
    host(name).set(test.values?.[name] ?? random.doubles(size(shape)));
    host(`d${name}`).fill(test.overwrites?.includes(name) ? Number.NaN : BEFORE);
  }
  host("dout").set(random.doubles(size(test.out)));
  if (test.dout !== undefined) host("dout").fill(test.dout);
  const loss = async () => {
    await forward.run();
    let sum = 0;
    for (const [i, value] of host("out").entries()) sum += value * host("dout")[i]!;
    return sum;
  };

  await loss();
  await backward.run();
  for (const name of Object.keys(test.inputs)) {
    const x = host(name);
    const before = test.overwrites?.includes(name) ? 0 : BEFORE;
    const numeric = new Float64Array(x.length);
    for (let i = 0; i < x.length; i++) {
      const value = x[i]!;
      x[i] = value + H;
      const up = await loss();
      x[i] = value - H;
      const down = await loss();
      x[i] = value;
      numeric[i] = before + (up - down) / (2 * H);
    }
    assertClose(`gradient of ${name}`, host(`d${name}`), numeric, TOLERANCE, test.inputs[name]!);
  }
}
