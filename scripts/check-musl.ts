import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageFile } from "../src/util/package-root.js";
import { TARGETS, zigCompiler } from "./prebuilt.js";

/**
 * Loads the prebuilt kernels for musl into a small program linked against musl, because no Node for musl is available: it checks
 * that the loader finds all dependencies, threads start, memory is allocated, and this processor's best kernels compute.
 *
 *     npm run prebuilt -- linux-x64-musl
 *     node dist/scripts/check-musl.js
 *
 * Needs zig, as scripts/prebuilt.ts does, and musl's loader (Debian: apt-get install musl).
 */
const PROGRAM = `
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#define GET(name) (name = (typeof(name))dlsym(library, #name))
const char *(*gpt2_best_isa)(void);
int32_t (*gpt2_version)(void);
void *(*gpt2_team)(int32_t, const char *, bool);
void *(*gpt2_alloc)(int64_t);
char *(*gpt2_memory)(void *);
double (*gpt2_peak_flops)(void *);
void (*gpt2_release)(void *);
int main(int argc, char **argv) {
  void *library = dlopen(argv[1], RTLD_NOW);
  if (!library) return puts(dlerror()), 1;
  if (!GET(gpt2_best_isa) || !GET(gpt2_version) || !GET(gpt2_team) || !GET(gpt2_alloc)) return 2;
  if (!GET(gpt2_memory) || !GET(gpt2_peak_flops) || !GET(gpt2_release)) return 2;
  void *team = gpt2_team(2, gpt2_best_isa(), false), *block = gpt2_alloc(1 << 26);
  if (!team || !block) return 3;
  gpt2_memory(block)[(1 << 26) - 1] = 1;
  printf("version %d, %s, %.1f GFLOPS on 2 threads\\n", gpt2_version(), gpt2_best_isa(), gpt2_peak_flops(team) / 1e9);
  gpt2_release(block);
  gpt2_release(team);
  return argc - 2;
}`;

const target = TARGETS.find(({ name }) => name === "linux-x64-musl")!;
const { command, args } = zigCompiler(target);
const work = mkdtempSync(join(tmpdir(), "gpt2-musl-"));
try {
  const [source, program] = [join(work, "load.c"), join(work, "load")];
  writeFileSync(source, PROGRAM);
  execFileSync(command, [...args, "-dynamic", source, "-o", program]);
  const library = packageFile(`npm/kernels-${target.name}/libgpt2.so`);
  process.stdout.write(execFileSync(program, [library], { encoding: "utf8" }));
} finally {
  rmSync(work, { recursive: true });
}
