/* compiler/op.c -- the table of named operations, and what their files share.
 *
 * Enters: evaluated arguments and shapes.  Leaves: plain numbers, shapes and boxes, or one
 * diagnostic that names the operation and both quantities. */
#include "compiler/op.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"

static const struct wm_op *const table[] = {
#define WM_OP(id) &wm_op_##id,
#include "compiler/ops.def"
#undef WM_OP
};

const struct wm_op *const *
wm_op_table(uint32_t *n)
{
    *n = (uint32_t)WM_COUNTOF(table);
    return table;
}

const struct wm_op *
wm_op_find(struct wm_str name)
{
    for (size_t i = 0; i < WM_COUNTOF(table); i++)
        if (wm_str_eq(name, wm_str_c(table[i]->name)))
            return table[i];
    return NULL;
}

bool
wm_ops_elementwise(const struct wm_rule_ast *r)
{
    for (uint32_t i = 0; i < r->nop; i++) {
        const struct wm_op *op = wm_op_find(r->op[i].name);

        if (op && op->class != WM_OP_ELEMENT)
            return false;
    }
    return true;
}

/* ---- reports ---- */

static struct wm_diag *
report(struct wm_opx *x, enum wm_code code, const char *fmt, va_list ap)
{
    char text[512];

    vsnprintf(text, sizeof text, fmt, ap);
    return wm_report(&x->g->cc->diags, code, x->call->span, "%.*s: %s", WM_STR_ARG(x->call->name),
                     text);
}

bool
wm_op_error(struct wm_opx *x, enum wm_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    report(x, code, fmt, ap);
    va_end(ap);
    return false;
}

void
wm_op_note(struct wm_opx *x, const char *fmt, ...)
{
    struct wm_diags *ds = &x->g->cc->diags;
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (ds->list.n > 0)
        wm_note(ds, ds->list.item[ds->list.n - 1], "%s", text);
}

/* ---- arguments ---- */

static bool
bad_arg(struct wm_opx *x, struct wm_span at, const char *want, struct wm_value v)
{
    struct wm_diags *ds = &x->g->cc->diags;

    if (v.kind == WM_V_NULL && v.absent.n > 0)
        wm_report(ds, WM_E_CONFIG_ABSENT, at, "%.*s: %.*s is not in the configuration",
                  WM_STR_ARG(x->call->name), WM_STR_ARG(v.absent));
    else if (v.kind != WM_V_ERROR)
        wm_report(ds, WM_E_OP_ARG, at, "%.*s: %s is needed here, this is %s",
                  WM_STR_ARG(x->call->name), want, wm_vkind_name(v.kind));
    return false;
}

/* An integer, or a float that is one. */
static bool
integer(struct wm_value v, int64_t *out)
{
    if (v.kind == WM_V_FLOAT && v.u.f == floor(v.u.f) && fabs(v.u.f) < 9007199254740992.0)
        return *out = (int64_t)v.u.f, true;
    if (v.kind != WM_V_INT)
        return false;
    *out = v.u.i;
    return true;
}

bool
wm_arg_int(struct wm_opx *x, uint32_t i, int64_t *out)
{
    return integer(x->arg[i].v, out) || bad_arg(x, x->arg[i].span, "an integer", x->arg[i].v);
}

bool
wm_arg_number(struct wm_opx *x, uint32_t i, double *out)
{
    struct wm_value v = x->arg[i].v;

    if (v.kind != WM_V_INT && v.kind != WM_V_FLOAT)
        return bad_arg(x, x->arg[i].span, "a number", v);
    *out = v.kind == WM_V_INT ? (double)v.u.i : v.u.f;
    return true;
}

bool
wm_arg_dim(struct wm_opx *x, uint32_t i, uint32_t rank, uint32_t *out)
{
    int64_t d;

    if (!wm_arg_int(x, i, &d))
        return false;
    if (d < -(int64_t)rank || d >= (int64_t)rank) {
        wm_report(&x->g->cc->diags, WM_E_OP_DIM, x->arg[i].span,
                  "%.*s: dimension %lld of a tensor with %u dimensions", WM_STR_ARG(x->call->name),
                  (long long)d, rank);
        return false;
    }
    *out = (uint32_t)(d < 0 ? d + (int64_t)rank : d);
    return true;
}

bool
wm_arg_is_list(const struct wm_opx *x, uint32_t i)
{
    return i < x->narg && x->arg[i].v.kind == WM_V_LIST;
}

bool
wm_arg_list(struct wm_opx *x, uint32_t i)
{
    return wm_arg_is_list(x, i) || bad_arg(x, x->arg[i].span, "a list of sizes", x->arg[i].v);
}

bool
wm_arg_sizes(struct wm_opx *x, uint32_t i, const int64_t **out, uint32_t *n, uint32_t *hole)
{
    struct wm_value v = x->arg[i].v;
    struct wm_diags *ds = &x->g->cc->diags;
    int64_t *size;

    if (!wm_arg_list(x, i))
        return false;
    size = WM_NEW_N(x->g->cc->a, int64_t, v.u.list.n);
    if (hole)
        *hole = WM_NONE;
    for (uint32_t k = 0; k < v.u.list.n; k++) {
        if (!integer(v.u.list.item[k], &size[k]))
            return bad_arg(x, x->arg[i].span, "a list of integers", v.u.list.item[k]);
        if (size[k] == -1 && hole && *hole == WM_NONE) {
            *hole = k;
        } else if (size[k] < 0) {
            wm_report(ds, WM_E_OP_ARG, x->arg[i].span, "%.*s: entry %u of the sizes is %lld%s",
                      WM_STR_ARG(x->call->name), k, (long long)size[k],
                      size[k] == -1 && hole ? ", but only one of them can be -1" : "");
            return false;
        }
    }
    *out = size;
    *n = v.u.list.n;
    return true;
}

/* ---- shapes ---- */

void
wm_shape_strides(const struct wm_shape *s, int64_t *stride)
{
    int64_t n = 1;

    for (uint32_t k = s->rank; k-- > 0;) {
        stride[k] = n;
        n *= s->dim[k] > 0 ? s->dim[k] : 1;
    }
}

bool
wm_shape_numel(const struct wm_shape *s, int64_t *n)
{
    int64_t all = 1;

    /* An empty tensor is no excuse for strides that overflow. */
    for (uint32_t k = 0; k < s->rank; k++)
        if (s->dim[k] > 0 && !wm_ck_mul(all, s->dim[k], &all))
            return false;
    *n = all;
    for (uint32_t k = 0; k < s->rank; k++)
        if (s->dim[k] == 0)
            *n = 0;
    return true;
}

struct wm_str
wm_shape_text(struct wm_arena *a, const struct wm_shape *s)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    wm_buf_putc(&b, '[');
    for (uint32_t k = 0; k < s->rank; k++)
        wm_buf_printf(&b, "%s%lld", k ? ", " : "", (long long)s->dim[k]);
    wm_buf_putc(&b, ']');
    return wm_buf_str(&b);
}

bool
wm_shape_splice(struct wm_opx *x, const struct wm_shape *in, uint32_t at, uint32_t count,
                const int64_t *dim, uint32_t n, struct wm_shape *out)
{
    struct wm_shape s;

    if (n > WM_MAX_RANK || in->rank - count + n > WM_MAX_RANK)
        return wm_op_error(x, WM_E_OP_LIMIT,
                           "a tensor with %llu dimensions; at most %d are supported",
                           (unsigned long long)in->rank - count + n, WM_MAX_RANK);
    s.rank = in->rank - count + n;
    memcpy(s.dim, in->dim, at * sizeof s.dim[0]);
    if (n > 0)
        memcpy(s.dim + at, dim, n * sizeof s.dim[0]);
    memcpy(s.dim + at + n, in->dim + at + count, (in->rank - at - count) * sizeof s.dim[0]);
    *out = s;
    return true;
}

bool
wm_sizes_solve(struct wm_opx *x, const int64_t *size, uint32_t n, uint32_t hole, int64_t total,
               int64_t *out)
{
    int64_t known = 1;

    for (uint32_t k = 0; k < n; k++) {
        out[k] = size[k];
        if (k != hole && !wm_ck_mul(known, size[k], &known))
            return wm_op_error(x, WM_E_OP_LIMIT,
                               "the product of the sizes does not fit in 64 bits");
    }
    if (hole != WM_NONE) {
        if (known == 0 || total % known != 0)
            return wm_op_error(x, WM_E_OP_UNEVEN,
                               "%lld elements do not divide by %lld, the product of "
                               "the other sizes",
                               (long long)total, (long long)known);
        out[hole] = total / known;
    } else if (known != total) {
        return wm_op_error(x, WM_E_OP_SHAPE, "the product of the sizes is %lld, but there are %lld",
                           (long long)known, (long long)total);
    }
    return true;
}

void
wm_index_box(struct wm_imap *map, uint32_t slot, uint32_t rank, const int64_t *extent,
             int64_t dst_base, const int64_t *dst, int64_t src_base, const int64_t *src)
{
    struct wm_dim dim[WM_MAX_RANK + 1];
    struct wm_box box = {.dst_base = dst_base,
                         .src_base = {src_base},
                         .slot = {slot},
                         .nsrc = 1,
                         .rank = (uint16_t)rank};

    for (uint32_t k = 0; k < rank; k++) {
        if (extent[k] == 0)
            return;
        dim[k] = (struct wm_dim){.extent = extent[k], .dst = dst[k], .src = {src[k]}};
    }
    wm_imap_add(map, &box, dim);
}

/* ---- elementwise ---- */

bool
wm_op_loses(const struct wm_opcall *call)
{
    (void)call;
    return true;
}

bool
wm_op_arithmetic(struct wm_opx *x, enum wm_dtype dtype, enum wm_step_kind kind, double value,
                 struct wm_plan_step *step, bool *has)
{
    const struct wm_dtype_info *d = &wm_dtype_info[dtype];

    if (d->kind != 'F' || d->bits < 8 || d->mantissa == 0) {
        wm_op_error(x, WM_E_OP_DTYPE, "it works on float types, this tensor is %s", d->name);
        wm_op_note(x, "cast it before");
        return false;
    }
    *step = (struct wm_plan_step){
        .kind = kind, .from = dtype, .to = dtype, .lossy = x->call->lossy, .value = value};
    *has = true;
    return true;
}
