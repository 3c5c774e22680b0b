/* runtime/jit/weave.c -- blocks of a movement as vectors: load stretches of the source, shuffle,
 * store.
 *
 * In: a block that wm_weave_choose() chose.  Out: its code; all masks are constants. */
#include "runtime/jit/emit.h"

enum { SOURCE = 128 };

static LLVMValueRef
place(struct emit *e, LLVMValueRef base, int64_t off)
{
    LLVMValueRef at = LLVMConstInt(e->i64, (uint64_t)off, 1);

    return off ? LLVMBuildGEP2(e->b, e->i8, base, &at, 1, "") : base;
}

void
wm_emit_weave(struct emit *e, const struct weave *w, LLVMValueRef dst, LLVMValueRef src)
{
    LLVMTypeRef unit = LLVMIntTypeInContext(e->ctx, 8 * w->element);
    LLVMValueRef mask[SOURCE], all = NULL, v;
    uint32_t have = 0;

    for (uint32_t k = 0; k < w->nwindow; k++) {
        uint32_t n = (uint32_t)w->window[k].n / w->element, wide = n > have ? n : have;

        v = LLVMBuildLoad2(e->b, LLVMVectorType(unit, n), place(e, src, w->window[k].at), "");
        LLVMSetAlignment(v, 1);
        if (!all) {
            all = v;
            have = n;
            continue;
        }
        for (uint32_t i = 0; i < wide; i++) /* both as wide as the wider one */
            mask[i] = i < n ? LLVMConstInt(e->i32, i, 0) : LLVMGetUndef(e->i32);
        v = LLVMBuildShuffleVector(e->b, v, LLVMGetUndef(LLVMTypeOf(v)), LLVMConstVector(mask, wide),
                                   "");
        for (uint32_t i = 0; i < wide; i++)
            mask[i] = i < have ? LLVMConstInt(e->i32, i, 0) : LLVMGetUndef(e->i32);
        all = LLVMBuildShuffleVector(e->b, all, LLVMGetUndef(LLVMTypeOf(all)),
                                     LLVMConstVector(mask, wide), "");
        for (uint32_t i = 0; i < have + n; i++)
            mask[i] = LLVMConstInt(e->i32, i < have ? i : wide + i - have, 0);
        have += n;
        all = LLVMBuildShuffleVector(e->b, all, v, LLVMConstVector(mask, have), "");
    }
    for (uint32_t i = 0; i < w->nindex; i++)
        mask[i] = LLVMConstInt(e->i32, w->index[i], 0);
    all = LLVMBuildShuffleVector(e->b, all, LLVMGetUndef(LLVMTypeOf(all)),
                                 LLVMConstVector(mask, w->nindex), "");
    LLVMSetAlignment(LLVMBuildStore(e->b, all, dst), 1);
}
