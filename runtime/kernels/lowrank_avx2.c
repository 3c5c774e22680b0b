/* runtime/kernels/lowrank_avx2.c -- the loops of low-rank sums for processors with AVX2. */
#include "runtime/kernels/lowrank_table.h"

#ifdef __x86_64__
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#define WM_LANES 8
#define WM_LOOPS wm_lowrank_avx2
#include "runtime/kernels/lowrank_loops.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
