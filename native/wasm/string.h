/* What the kernels need of C's <string.h>, for clang's wasm32, which has no C library; it compiles these in place. */
#ifndef GPT2_WASM_STRING_H
#define GPT2_WASM_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memset(void *to, int byte, size_t n);

#endif
