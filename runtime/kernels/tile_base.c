/* runtime/kernels/tile_base.c -- the blocks of transposes for any processor. */
#define WM_WIDTH 16
#define WM_LOOPS wm_tile_base
#include "runtime/kernels/tile_loops.h"
