/* runtime/jit/nest.c -- a nest as a function: constant strides and extents, all loops but the
 * outermost of known length.
 *
 *   void NAME(char *dst, const char *src, int64_t n, const double *value, uint64_t *count)
 *
 * Without steps, and where a block of the destination is a shuffle of a few vectors, the innermost
 * loops are such blocks (weave.c); else one element at a time, which the optimiser unrolls and
 * vectorises. */
#include <string.h>

#include "runtime/jit/emit.h"

struct loop {
    LLVMValueRef at; /* slot of the counter */
    LLVMBasicBlockRef head, done;
};

static LLVMValueRef
k64(struct emit *e, int64_t v)
{
    return LLVMConstInt(e->i64, (uint64_t)v, 1);
}

static LLVMBasicBlockRef
block(struct emit *e)
{
    return LLVMAppendBasicBlockInContext(e->ctx, e->fn, "");
}

/* A slot in the entry block. */
static LLVMValueRef
slot(struct emit *e, LLVMTypeRef t)
{
    LLVMBasicBlockRef now = LLVMGetInsertBlock(e->b), entry = LLVMGetEntryBasicBlock(e->fn);
    LLVMValueRef first = LLVMGetFirstInstruction(entry), v;

    if (first)
        LLVMPositionBuilderBefore(e->b, first);
    else
        LLVMPositionBuilderAtEnd(e->b, entry);
    v = LLVMBuildAlloca(e->b, t, "");
    LLVMPositionBuilderAtEnd(e->b, now);
    return v;
}

/* for (i = 0; i < n; i++); returns i in the body, where the builder is then. */
static LLVMValueRef
loop_begin(struct emit *e, struct loop *l, LLVMValueRef n)
{
    LLVMBasicBlockRef body;
    LLVMValueRef i;

    l->at = slot(e, e->i64);
    LLVMBuildStore(e->b, k64(e, 0), l->at);
    l->head = block(e);
    body = block(e);
    l->done = block(e);
    LLVMBuildBr(e->b, l->head);
    LLVMPositionBuilderAtEnd(e->b, l->head);
    i = LLVMBuildLoad2(e->b, e->i64, l->at, "");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, i, n, ""), body, l->done);
    LLVMPositionBuilderAtEnd(e->b, body);
    return i;
}

static void
loop_end(struct emit *e, struct loop *l)
{
    LLVMValueRef i = LLVMBuildLoad2(e->b, e->i64, l->at, "");

    LLVMBuildStore(e->b, LLVMBuildNSWAdd(e->b, i, k64(e, 1), ""), l->at);
    LLVMBuildBr(e->b, l->head);
    LLVMPositionBuilderAtEnd(e->b, l->done);
}

static LLVMValueRef
step_by(struct emit *e, LLVMValueRef p, LLVMValueRef i, int64_t stride)
{
    LLVMValueRef off = LLVMBuildNSWMul(e->b, i, k64(e, stride), "");

    return LLVMBuildGEP2(e->b, e->i8, p, &off, 1, "");
}

static void
element(struct emit *e, const struct wm_jit_nest *nest, LLVMValueRef dst, LLVMValueRef src)
{
    bool is_int = nest->in <= 8 && (nest->in & (nest->in - 1)) == 0;
    LLVMTypeRef t = is_int ? LLVMIntTypeInContext(e->ctx, 8 * nest->in)
                           : LLVMVectorType(e->i8, nest->in);
    LLVMValueRef v;

    if (!is_int && (nest->in > 64 || (nest->in & (nest->in - 1)))) {
        LLVMBuildMemCpy(e->b, dst, 1, src, 1, k64(e, nest->in));
        return;
    }
    v = LLVMBuildLoad2(e->b, t, src, "");
    LLVMSetAlignment(v, 1);
    if (nest->nstep)
        v = wm_emit_steps(e, nest, v);
    LLVMSetAlignment(LLVMBuildStore(e->b, v, dst), 1);
}

/* Dims [k, end) as loops of single steps, then the block or the element. */
static void
loops(struct emit *e, const struct wm_jit_nest *nest, uint32_t k, uint32_t end, const struct weave *w,
      LLVMValueRef dst, LLVMValueRef src)
{
    struct loop l[WM_JIT_RANK];
    uint32_t n = 0;

    for (; k < end; k++, n++) {
        LLVMValueRef i = loop_begin(e, &l[n], k == 0 ? LLVMGetParam(e->fn, 2)
                                                     : k64(e, nest->dim[k].n));

        dst = step_by(e, dst, i, nest->dim[k].dst);
        src = step_by(e, src, i, nest->dim[k].src);
    }
    if (w)
        wm_emit_weave(e, w, dst, src);
    else
        element(e, nest, dst, src);
    while (n-- > 0)
        loop_end(e, &l[n]);
}

/* Whole blocks of w->factor steps of dim w->first - 1, then what is left of it one step at a time. */
static void
blocks(struct emit *e, const struct wm_jit_nest *nest, const struct weave *w, LLVMValueRef dst,
       LLVMValueRef src)
{
    const uint32_t k = w->first - 1;
    LLVMValueRef f = k64(e, w->factor), i, n, whole, rest;
    struct loop l[WM_JIT_RANK], in;
    struct weave one;
    bool has_one = wm_weave_make(nest, w->first, 1, &one);

    for (uint32_t d = 0; d < k; d++) {
        i = loop_begin(e, &l[d], d == 0 ? LLVMGetParam(e->fn, 2) : k64(e, nest->dim[d].n));
        dst = step_by(e, dst, i, nest->dim[d].dst);
        src = step_by(e, src, i, nest->dim[d].src);
    }
    n = k == 0 ? LLVMGetParam(e->fn, 2) : k64(e, nest->dim[k].n);
    whole = LLVMBuildUDiv(e->b, n, f, "");
    i = loop_begin(e, &in, whole);
    wm_emit_weave(e, w, step_by(e, dst, i, nest->dim[k].dst * w->factor),
                  step_by(e, src, i, nest->dim[k].src * w->factor));
    loop_end(e, &in);
    rest = LLVMBuildNSWMul(e->b, whole, f, "");
    dst = step_by(e, dst, rest, nest->dim[k].dst);
    src = step_by(e, src, rest, nest->dim[k].src);
    i = loop_begin(e, &in, LLVMBuildSub(e->b, n, rest, ""));
    loops(e, nest, w->first, has_one ? w->first : nest->rank, has_one ? &one : NULL,
          step_by(e, dst, i, nest->dim[k].dst), step_by(e, src, i, nest->dim[k].src));
    loop_end(e, &in);
    for (uint32_t d = k; d-- > 0;)
        loop_end(e, &l[d]);
}

/* Values of steps and slots of counts; afterwards, counts are added to the caller's. */
static void
begin_steps(struct emit *e, const struct wm_jit_nest *nest)
{
    for (int i = 0; i < 3; i++) {
        e->count[i] = slot(e, e->i32);
        LLVMBuildStore(e->b, LLVMConstInt(e->i32, 0, 0), e->count[i]);
    }
    for (uint32_t i = 0; i < nest->nstep; i++) {
        LLVMValueRef at = k64(e, i);

        e->value[i] = LLVMBuildLoad2(
            e->b, e->f64, LLVMBuildGEP2(e->b, e->f64, LLVMGetParam(e->fn, 3), &at, 1, ""), "");
    }
}

static void
end_steps(struct emit *e)
{
    for (int i = 0; i < 3; i++) {
        LLVMValueRef at = k64(e, i), n = LLVMBuildLoad2(e->b, e->i32, e->count[i], ""), to;

        to = LLVMBuildGEP2(e->b, e->i64, LLVMGetParam(e->fn, 4), &at, 1, "");
        n = LLVMBuildZExt(e->b, n, e->i64, "");
        LLVMBuildStore(
            e->b, LLVMBuildAdd(e->b, LLVMBuildLoad2(e->b, e->i64, to, ""), n, ""), to);
    }
}

static void
declare(struct emit *e, const char *name)
{
    LLVMTypeRef ptr = LLVMPointerTypeInContext(e->ctx, 0);
    LLVMTypeRef param[] = {ptr, ptr, e->i64, ptr, ptr};
    unsigned kind = LLVMGetEnumAttributeKindForName("noalias", 7);

    e->fn = LLVMAddFunction(
        e->module, name,
        LLVMFunctionType(LLVMVoidTypeInContext(e->ctx), param, 5, 0));
    for (unsigned i = 1; i <= 5; i++)
        if (i != 3)
            LLVMAddAttributeAtIndex(e->fn, i, LLVMCreateEnumAttribute(e->ctx, kind, 0));
    LLVMPositionBuilderAtEnd(e->b, block(e));
}

LLVMModuleRef
wm_emit_nest(LLVMContextRef ctx, const struct wm_jit_nest *nest, const char *name)
{
    struct emit e = {.ctx = ctx,
                     .module = LLVMModuleCreateWithNameInContext(name, ctx),
                     .b = LLVMCreateBuilderInContext(ctx),
                     .i1 = LLVMInt1TypeInContext(ctx),
                     .i8 = LLVMInt8TypeInContext(ctx),
                     .i32 = LLVMInt32TypeInContext(ctx),
                     .i64 = LLVMInt64TypeInContext(ctx),
                     .f32 = LLVMFloatTypeInContext(ctx),
                     .f64 = LLVMDoubleTypeInContext(ctx)};
    struct weave w;
    LLVMValueRef dst, src;
    LLVMBasicBlockRef start;

    declare(&e, name);
    start = block(&e); /* the entry block has the slots alone, until the end */
    LLVMPositionBuilderAtEnd(e.b, start);
    dst = LLVMGetParam(e.fn, 0);
    src = LLVMGetParam(e.fn, 1);
    if (nest->nstep)
        begin_steps(&e, nest);
    if (wm_weave_choose(nest, &w))
        blocks(&e, nest, &w, dst, src);
    else
        loops(&e, nest, 0, nest->rank, NULL, dst, src);
    if (nest->nstep)
        end_steps(&e);
    LLVMBuildRetVoid(e.b);
    LLVMPositionBuilderAtEnd(e.b, LLVMGetEntryBasicBlock(e.fn));
    LLVMBuildBr(e.b, start);
    LLVMDisposeBuilder(e.b);
    return e.module;
}
