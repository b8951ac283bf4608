/**
 * Generates the definitions that C shares with TypeScript: from src/program/ops.ts native/ops.h (the enumerations, the size of an
 * encoded operation, and a struct of named arguments for each) and native/kernel-table.h (the table that fills those structs and
 * calls the kernels); from src/backend/native/instruction-sets.ts native/instruction-sets.h. All are kept in the repository; a
 * test compares them with their sources.
 *
 *     npm run generate
 */
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import {
  DTYPES_AT,
  KERNELS_VERSION,
  MAX_DIMS,
  MAX_SCALARS,
  MAX_TENSORS,
  OP_BYTES,
} from "../src/backend/kernels/op-layout.js";
import { INSTRUCTION_SETS, type InstructionSet, kernelsSymbol } from "../src/backend/native/instruction-sets.js";
import { DTYPE_NAMES } from "../src/dtype/dtype.js";
import { ACTIVATIONS } from "../src/program/activations.js";
import { KERNEL_PATHS } from "../src/program/kernel-paths.js";
import { isWritten, type NumberSpec, type OpTensor } from "../src/program/op-spec.js";
import { OP_KINDS, type OpKind, specOf } from "../src/program/ops.js";
import { packageFile } from "../src/util/package-root.js";

/** linearForward → linear_forward, LinearForwardArgs. */
const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const structOf = (kind: OpKind): string => `${kind[0]!.toUpperCase()}${kind.slice(1)}Args`;

const enumeration = (prefix: string, names: readonly string[]): string =>
  `enum { ${names.map((name) => `${prefix}${snakeCase(name).toUpperCase()}`).join(", ")} };`;

function typeOf(tensor: OpTensor): string {
  if (tensor.dtype === "weight") return "Weights ";
  if (tensor.dtype === "cached") return "Cached ";
  const element = tensor.dtype === "i32" ? "int32_t" : "float";
  return `${isWritten(tensor) ? "" : "const "}${element} *`;
}

/** A comment about a tensor. */
function about({ optional, shape, stride, range }: OpTensor): string {
  const parts = [`[${shape.join(", ")}]`];
  if (stride !== undefined) parts.push(`rows ${stride} apart`);
  if (range)
    parts.push("classes" in range ? `below ${range.classes}, or negative` : `rows of ${range.rowsOf.join(" and ")}`);
  if (optional) parts.push("or NULL");
  return parts.join(", ");
}

const numberType = (spec: NumberSpec): string =>
  spec === "real" ? "double" : spec === "uint32" ? "uint32_t" : spec === "boolean" ? "bool" : "int";

function struct(kind: OpKind): string {
  const { tensors, dims, scalars } = specOf(kind);
  const lines = Object.entries(tensors).map(([role, tensor]) => `${typeOf(tensor)}${role}; /* ${about(tensor)} */`);
  lines.push(`Index ${dims.join(", ")};`);
  for (const [name, spec] of Object.entries(scalars)) {
    lines.push(
      `${numberType(spec)} ${name};${Array.isArray(spec) ? " /* ACT_... */" : spec === "path" ? " /* PATH_... */" : ""}`,
    );
  }
  return `typedef struct {\n${lines.map((line) => `  ${line}\n`).join("")}} ${structOf(kind)};`;
}

/** native/ops.h. */
export function opsHeader(): string {
  return `/* Generated from src/program/ops.ts by scripts/generate-c.ts (npm run generate): do not edit. */
#ifndef GPT2_OPS_H
#define GPT2_OPS_H

#include <stdbool.h>
#include <stdint.h>

/* Identifies this file's contents to TypeScript, src/backend/kernels/op-layout.ts. */
#define KERNELS_VERSION (${KERNELS_VERSION})

/* Maxima over all operations. */
#define MAX_TENSORS ${MAX_TENSORS}
#define MAX_DIMS ${MAX_DIMS}
#define MAX_SCALARS ${MAX_SCALARS}

/* Size of an encoded operation, and the offset of its tensors' dtypes. */
#define OP_BYTES ${OP_BYTES}
#define DTYPES_AT ${DTYPES_AT}

${enumeration("", DTYPE_NAMES)}
${enumeration("ACT_", ACTIVATIONS)}
${enumeration("PATH_", KERNEL_PATHS)}

enum {
${OP_KINDS.map((kind) => `  OP_${snakeCase(kind).toUpperCase()},\n`).join("")}  OP_COUNT
};

/* A matrix of any dtype but I32. */
typedef struct {
  const void *data;
  int type;
} Weights;

/* Keys or values, F32 or F16. */
typedef struct {
  void *data;
  int type;
} Cached;

${OP_KINDS.map(struct).join("\n\n")}

#endif
`;
}

function field(name: string, value: string): string {
  return `.${name} = ${value}`;
}

function tensorValue({ dtype }: OpTensor, i: number): string {
  return dtype === "weight" || dtype === "cached" ? `{a->tensor[${i}], a->dtype[${i}]}` : `a->tensor[${i}]`;
}

/** All numbers of a run are float64; a negative key stands for its two's complement. */
function numberValue(spec: NumberSpec, i: number): string {
  if (spec === "real") return `a->scalar[${i}]`;
  if (spec === "uint32") return `(uint32_t)(int64_t)a->scalar[${i}]`;
  return spec === "boolean" ? `a->scalar[${i}] != 0` : `(int)a->scalar[${i}]`;
}

function caller(kind: OpKind): string {
  const { tensors, dims, scalars } = specOf(kind);
  const fields = [
    ...Object.entries(tensors).map(([role, tensor], i) => field(role, tensorValue(tensor, i))),
    ...dims.map((name, i) => field(name, `a->dim[${i}]`)),
    ...Object.entries(scalars).map(([name, spec], i) => field(name, numberValue(spec, i))),
  ];
  return `static void run_${snakeCase(kind)}(Ctx *ctx, const Args *a) {
  ${snakeCase(kind)}(ctx, &(${structOf(kind)}){
${fields.map((line) => `      ${line},\n`).join("")}  });
}`;
}

/** native/kernel-table.h. */
export function kernelTable(): string {
  return `/*
 * Generated from src/program/ops.ts by scripts/generate-c.ts (npm run generate): do not edit. Included by kernels.c after
 * the kernels.
 */
${OP_KINDS.map(caller).join("\n\n")}

/* In the order of the enumeration. */
#define KERNEL_TABLE {${OP_KINDS.map((kind) => `run_${snakeCase(kind)}`).join(", ")}}
`;
}

/**
 * The instruction sets of an architecture, best first. All except the baseline, which every compiler supports, are
 * present only if they were compiled.
 */
function choices(sets: readonly InstructionSet[]): string {
  const [baseline, ...others] = sets;
  const tables = others.map((set) => {
    const bits = set.features.map(({ bit }) => bit).join(", ");
    return `static const Feature features_of_${kernelsSymbol(set)}[] = {${bits}};\n`;
  });
  const rows = others.toReversed().map((set) => {
    const symbol = kernelsSymbol(set);
    const choice = `{&${symbol}, features_of_${symbol}, ${set.features.length}, ${set.vectorBits}, ${set.tiles ?? false}, ${set.slowOn ? JSON.stringify(set.slowOn) : "NULL"}}`;
    return `#if defined(HAVE_${symbol})\n    ${choice},\n#endif\n`;
  });
  return `extern const KernelSet ${sets.map(kernelsSymbol).join(", ")};
${tables.join("")}
static const Choice best_first[] = {
${rows.join("")}    {&${kernelsSymbol(baseline!)}, NULL, 0, ${baseline!.vectorBits}, false, NULL},
};
`;
}

/** native/instruction-sets.h. */
export function instructionSetsHeader(): string {
  return `/*
 * Generated from src/backend/native/instruction-sets.ts by scripts/generate-c.ts (npm run generate): do not edit. Included
 * by processor.h.
 */
#if defined(__x86_64__)
${choices(INSTRUCTION_SETS.x64!)}
#else
${choices(INSTRUCTION_SETS.arm64!)}
#endif
`;
}

/** The contents of each generated file, by its path in the package. */
export const GENERATED: Readonly<Record<string, () => string>> = {
  "native/instruction-sets.h": instructionSetsHeader,
  "native/ops.h": opsHeader,
  "native/kernel-table.h": kernelTable,
};

function main(): void {
  for (const [path, contents] of Object.entries(GENERATED)) {
    const file = packageFile(path);
    const text = contents();
    if (readFileSync(file, { encoding: "utf8", flag: "a+" }) === text) continue;
    writeFileSync(file, text);
    console.log(`wrote ${path}`);
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) main();
