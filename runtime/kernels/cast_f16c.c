/* runtime/kernels/cast_f16c.c -- the loops of casts for processors with AVX2 and F16C. */
#include "runtime/kernels/cast_table.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#else
#pragma GCC target("avx2,f16c")
#endif

#define WM_LANES 8
#define WM_F16C
#define WM_LOOPS wm_cast_f16c
#include "runtime/kernels/cast_loops.h"

#ifdef __clang__
#pragma clang attribute pop
#endif
#endif
