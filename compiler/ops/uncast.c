/* ops/uncast.c -- uncast(from, to): back from a type that has every value of `to`; a value that
 * `to` lacks fails the run.
 *
 * It is cast(to, from) undone: uncast(f32, bf16) undoes cast(bf16, f32). */
#include "compiler/op.h"
#include "compiler/scalar.h"

static bool
check(struct wm_cc *cc, const struct wm_opcall *call)
{
    enum wm_dtype from = wm_dtype_written(call->arg[0]), to = wm_dtype_written(call->arg[1]);

    if (from == WM_DT_N || to == WM_DT_N || wm_dtype_widens(to, from))
        return true;
    wm_report(&cc->diags, WM_E_OP_ARG, call->span, "uncast: %s does not have every value of %s",
              wm_dtype_info[from].name, wm_dtype_info[to].name);
    return false;
}

static bool
step(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *out, bool *has)
{
    enum wm_dtype from = x->arg[0].dtype, to = x->arg[1].dtype, expect = x->undo ? to : from;

    if (dtype != expect)
        return wm_op_error(x, WM_E_OP_DTYPE, "the tensor is %s, but the call says %s",
                           wm_dtype_info[dtype].name, wm_dtype_info[expect].name);
    if (!wm_dtype_widens(to, from))
        return wm_op_error(x, WM_E_OP_ARG, "%s does not have every value of %s", wm_dtype_info[from].name,
                           wm_dtype_info[to].name);
    *out = (struct wm_plan_step){.kind = WM_SP_UNCAST, .from = from, .to = to};
    *has = from != to;
    return true;
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    out->name = WM_STR("cast");
    out->lossy = false;
    out->arg = wm_text_args(cc->a, 2, call->arg[1], call->arg[0], NULL);
    return true;
}

const struct wm_op wm_op_uncast = {
    .name = "uncast",
    .signature = "from, to",
    .doc = "back from a wider data type; a value that does not survive fails the run",
    .class = WM_OP_ELEMENT,
    .min_args = 2,
    .max_args = 2,
    .arg = {WM_ARG_DTYPE, WM_ARG_DTYPE},
    .check = check,
    .step = step,
    .invert = invert,
};
