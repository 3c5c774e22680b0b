/* runtime/kernels/cast_base.c -- the loops of casts for any processor. */
#define WM_LANES 4
#define WM_LOOPS wm_cast_base
#include "runtime/kernels/cast_loops.h"
