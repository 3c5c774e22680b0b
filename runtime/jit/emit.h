/* runtime/jit/emit.h -- the plug-in's parts among themselves: from a nest to LLVM's IR.
 *
 *   plugin.c   the plug-in's table: engines, compiling, text
 *   nest.c     the loops of a movement
 *   weave.c    blocks of a movement as shuffles of vectors
 *   number.c   steps on one element
 *
 * Nothing here comes from a checkpoint but sizes and strides. */
#ifndef WM_RUNTIME_JIT_EMIT_H
#define WM_RUNTIME_JIT_EMIT_H

#include <llvm-c/Core.h>

#include "runtime/jit.h"

/* A function that is being written. */
struct emit {
    LLVMContextRef ctx;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMValueRef fn;
    LLVMTypeRef i1, i8, i32, i64, f32, f64;
    LLVMValueRef count[3];             /* slots of 32 bits, as in struct wm_cast_count */
    LLVMValueRef value[WM_JIT_STEPS]; /* doubles */
};

/* The function `name` for a nest, in a module of its own; NULL where there is no way to write it. */
LLVMModuleRef wm_emit_nest(LLVMContextRef ctx, const struct wm_jit_nest *nest, const char *name);

/* An element (an integer of its size) through the nest's steps. */
LLVMValueRef wm_emit_steps(struct emit *e, const struct wm_jit_nest *nest, LLVMValueRef code);

/* A block of the destination. */
void wm_emit_weave(struct emit *e, const struct weave *w, LLVMValueRef dst, LLVMValueRef src);

#endif
