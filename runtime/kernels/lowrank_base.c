/* runtime/kernels/lowrank_base.c -- the loops of low-rank sums for any processor. */
#include "runtime/kernels/lowrank_table.h"

#define WM_LANES 4
#define WM_LOOPS wm_lowrank_base
#include "runtime/kernels/lowrank_loops.h"
