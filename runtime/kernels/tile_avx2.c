/* runtime/kernels/tile_avx2.c -- the blocks of transposes for processors with AVX2. */
#include "runtime/kernels/tile_table.h"

#ifdef __x86_64__
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#define WM_WIDTH 32
#define WM_LOOPS wm_tile_avx2
#include "runtime/kernels/tile_loops.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
