/* ops/cast.c -- cast(from, to), cast(to): another data type, as torch's .to() on the CPU: one
 * rounding to nearest even.
 *
 * A `<->` rule needs both types.  Where `to` has every value of `from` (it widens), going back
 * checks that each value survives (see uncast), unless the call is lossy.  Any other cast loses
 * something and must say `lossy`.  A type that the configuration names is known at bind only, and
 * checked there. */
#include "compiler/op.h"
#include "compiler/scalar.h"

static enum wm_dtype
type_of(const struct wm_opcall *call, uint32_t i)
{
    return wm_dtype_written(call->arg[i]);
}

static bool
check(struct wm_cc *cc, const struct wm_opcall *call)
{
    for (uint32_t i = 0; i < call->narg; i++)
        if (type_of(call, i) != WM_DT_N && !wm_scalar_has(type_of(call, i))) {
            wm_report(&cc->diags, WM_E_OP_ARG, call->arg[i]->span, "cast: type %s is not supported",
                      wm_dtype_info[type_of(call, i)].name);
            return false;
        }
    return true;
}

static const char *
one_way(const struct wm_opcall *call)
{
    return call->narg == 2 ? NULL : "the way back needs the type to go back to: cast(from, to)";
}

static bool
loses(const struct wm_opcall *call)
{
    if (type_of(call, 0) == WM_DT_N || type_of(call, 1) == WM_DT_N)
        return false; /* step() looks */
    return !wm_dtype_widens(type_of(call, 0), type_of(call, 1));
}

static bool
step(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *out, bool *has)
{
    enum wm_dtype to = x->arg[x->narg - 1].dtype, from = x->narg == 2 ? x->arg[0].dtype : dtype;
    enum wm_dtype expect = x->undo ? to : from;

    if (dtype != expect)
        return wm_op_error(x, WM_E_OP_DTYPE, "the tensor is %s, but the call says %s",
                           wm_dtype_info[dtype].name, wm_dtype_info[expect].name);
    if (!wm_scalar_has(from))
        return wm_op_error(x, WM_E_OP_DTYPE, "type %s is not supported", wm_dtype_info[from].name);
    if (x->both && !x->call->lossy && !wm_dtype_widens(from, to))
        return wm_op_error(x, WM_E_OP_LOSSY, "%s to %s loses information, and this rule goes both ways",
                           wm_dtype_info[from].name, wm_dtype_info[to].name);
    *out =
        (struct wm_plan_step){.kind = WM_SP_CAST, .from = from, .to = to, .lossy = x->call->lossy};
    *has = from != to;
    return true;
}

static bool
invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out)
{
    out->arg = wm_text_args(cc->a, 2, call->arg[1], call->arg[0], NULL);
    if (!call->lossy && (type_of(call, 0) == WM_DT_N || type_of(call, 0) != type_of(call, 1)))
        out->name = WM_STR("uncast");
    return true;
}

const struct wm_op wm_op_cast = {
    .name = "cast",
    .signature = "from, to",
    .doc = "another data type (torch's .to() on the CPU), rounded once to nearest even",
    .class = WM_OP_ELEMENT,
    .min_args = 1,
    .max_args = 2,
    .arg = {WM_ARG_DTYPE, WM_ARG_DTYPE},
    .check = check,
    .one_way = one_way,
    .loses = loses,
    .step = step,
    .invert = invert,
};
