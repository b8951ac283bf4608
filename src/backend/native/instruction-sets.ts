/**
 * The instruction sets for which the kernels are compiled, each with the features it may use: build.ts allows the compiler
 * exactly these, and the library offers a set only if the processor has all of them. native/instruction-sets.h is
 * generated from this list (`npm run generate`).
 */

export interface Feature {
  /** The compiler's option that allows its instructions. */
  readonly flag: string;
  /** The macro that the compiler then defines. */
  readonly macro: string;
  /** An initializer of Feature in native/processor.h. */
  readonly bit: string;
}

export interface InstructionSet {
  /** The name in GPT2_ISA. */
  readonly name: string;
  /** The features that it needs beyond the architecture's baseline. */
  readonly features: readonly Feature[];
  /** The width of the vector registers, which the system has to save. */
  readonly vectorBits: number;
  /** Whether it uses tile registers, which the system has to save, and to permit. */
  readonly tiles?: true;
  /** CPUID's vendor name of processors on which the previous set is faster: there this one is used only on request. */
  readonly slowOn?: string;
  /** Compiler options that allow no additional instructions. */
  readonly tuning: readonly string[];
}

/** A bit of the result of x86's CPUID instruction. */
function cpuid(name: string, leaf: number, register: "EAX" | "EBX" | "ECX" | "EDX", bit: number, subleaf = 0): Feature {
  const macro = `__${name.toUpperCase().replace(/[.-]/, "_")}__`;
  return { flag: `-m${name}`, macro, bit: `{0x${leaf.toString(16)}, ${subleaf}, ${register}, ${bit}}` };
}

const SSE: readonly Feature[] = [
  cpuid("sse3", 1, "ECX", 0),
  cpuid("ssse3", 1, "ECX", 9),
  cpuid("sse4.1", 1, "ECX", 19),
  cpuid("sse4.2", 1, "ECX", 20),
  cpuid("popcnt", 1, "ECX", 23),
];
const AVX2: readonly Feature[] = [
  ...SSE,
  cpuid("xsave", 1, "ECX", 26),
  cpuid("avx", 1, "ECX", 28),
  cpuid("f16c", 1, "ECX", 29),
  cpuid("fma", 1, "ECX", 12),
  cpuid("avx2", 7, "EBX", 5),
  cpuid("bmi", 7, "EBX", 3),
  cpuid("bmi2", 7, "EBX", 8),
  cpuid("lzcnt", 0x80000001, "ECX", 5),
];
const AVX512: readonly Feature[] = [
  ...AVX2,
  cpuid("avx512f", 7, "EBX", 16),
  cpuid("avx512dq", 7, "EBX", 17),
  cpuid("avx512bw", 7, "EBX", 30),
  cpuid("avx512vl", 7, "EBX", 31),
];
const AVX512_BF16: readonly Feature[] = [
  ...AVX512,
  cpuid("avx512vnni", 7, "ECX", 11),
  cpuid("avx512bf16", 7, "EAX", 5, 1),
];
const WIDE = "-mprefer-vector-width=512";

/** Bit 20 of Linux's HWCAP, ASIMDDP. */
const DOTPROD: Feature = { flag: "-march=armv8-a+dotprod", macro: "__ARM_FEATURE_DOTPROD", bit: "20" };

/** Bit 14 of its HWCAP2, BF16. */
const BF16: Feature = {
  flag: "-march=armv8-a+dotprod+bf16",
  macro: "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC",
  bit: "64 + 14",
};

/** By Node's names of architectures; every processor of an architecture has the first set, and the best comes last. */
export const INSTRUCTION_SETS: Readonly<Record<string, readonly InstructionSet[]>> = {
  x64: [
    { name: "baseline", features: [], vectorBits: 128, tuning: ["-march=x86-64"] },
    { name: "avx2", features: AVX2, vectorBits: 256, tuning: ["-march=x86-64", "-mtune=haswell"] },
    {
      name: "avx-vnni",
      features: [...AVX2, cpuid("avxvnni", 7, "EAX", 4, 1)],
      vectorBits: 256,
      tuning: ["-march=x86-64", "-mtune=haswell"],
    },
    {
      name: "avx512",
      features: AVX512,
      vectorBits: 512,
      tuning: ["-march=x86-64", "-mtune=skylake-avx512", WIDE],
    },
    {
      name: "avx512-vnni",
      features: [...AVX512, cpuid("avx512vnni", 7, "ECX", 11)],
      vectorBits: 512,
      tuning: ["-march=x86-64", "-mtune=cascadelake", WIDE],
    },
    {
      // Intel's multiply pairs of bf16 at half the rate of multiply-adds, so that twice as many products take as long, or longer.
      name: "avx512-bf16",
      features: AVX512_BF16,
      vectorBits: 512,
      slowOn: "GenuineIntel",
      tuning: ["-march=x86-64", "-mtune=cascadelake", WIDE],
    },
    {
      name: "amx-bf16",
      features: [...AVX512_BF16, cpuid("amx-tile", 7, "EDX", 24), cpuid("amx-bf16", 7, "EDX", 22)],
      vectorBits: 512,
      tiles: true,
      tuning: ["-march=x86-64", "-mtune=cascadelake", WIDE],
    },
  ],
  arm64: [
    { name: "neon", features: [], vectorBits: 128, tuning: [] },
    { name: "neon-dotprod", features: [DOTPROD], vectorBits: 128, tuning: [] },
    { name: "neon-bf16", features: [DOTPROD, BF16], vectorBits: 128, tuning: [] },
  ],
};

/** The compiler's options for a set. */
export const compilerFlags = ({ features, tuning }: InstructionSet): string[] => [
  ...tuning,
  ...features.map(({ flag }) => flag),
];

/** The name of a set's kernels in C; after HAVE_, the macro that says that they were compiled. */
export const kernelsSymbol = ({ name }: InstructionSet): string => `kernels_${name.replaceAll("-", "_")}`;
