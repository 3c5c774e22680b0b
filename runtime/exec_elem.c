/* runtime/exec_elem.c -- pieces by their element operation.
 *
 * Copies and fills go straight to their places in the window.  Chains and checks need their
 * operands side by side in memory first: they are done in chunks, packed in the order of the
 * output. */
#include "runtime/piece.h"

/* A piece, and what it belongs to. */
struct job {
    struct wm_worker *w;
    const struct wm_plan_out *out;
    const struct wm_plan_box *box;
    const struct wm_plan_elem *elem;
    uint32_t unit; /* bytes of a dst unit */
    int64_t lo;    /* the unit that `to` stands for */
    char *to;
    const char *held; /* the operand in memory, or NULL */
};

static char *
place(const struct job *j, const struct wm_piece *p)
{
    return j->to + (p->dst - j->lo) * j->unit;
}

/* ---- copies and fills ---- */

/* Operand s to `to`, with strides `dst` in bytes. */
static enum wm_status
operand_to(const struct job *j, const struct wm_piece *p, uint32_t s, const int64_t *dst, char *to)
{
    struct wm_kdim dim[WM_PLAN_RANK];

    if (!j->held)
        return wm_fetch_piece(j->w, j->out, j->box, p, s, dst, to);
    for (uint32_t k = 0; k < p->rank; k++)
        dim[k] = (struct wm_kdim){p->dim[k].extent, dst[k], p->dim[k].src[0]};
    if (j->w->tally)
        wm_tally_permute(j->w, dim, p->rank, wm_plan_src_unit(j->elem, j->unit, s));
    else
        wm_jit_permute(j->w->x->jit, to, j->held + p->src[0], dim, p->rank, wm_plan_src_unit(j->elem, j->unit, s));
    return WM_OK;
}

static enum wm_status
copy(const struct job *j, const struct wm_piece *p)
{
    int64_t stride[WM_PLAN_RANK];

    for (uint32_t k = 0; k < p->rank; k++)
        stride[k] = p->dim[k].dst * j->unit;
    return operand_to(j, p, 0, stride, place(j, p));
}

/* The weight goes to its place like a copy, and the product is added there. */
static enum wm_status
lowrank(const struct job *j, const struct wm_piece *p)
{
    int64_t stride[WM_PLAN_RANK];
    enum wm_status st;

    for (uint32_t k = 0; k < p->rank; k++)
        stride[k] = p->dim[k].dst * j->unit;
    if ((st = operand_to(j, p, 0, stride, place(j, p))) != WM_OK || (st = wm_reads_flush(j->w)) != WM_OK)
        return st;
    return wm_lowrank_add(j->w, j->out, j->box, p, stride, place(j, p));
}

static void
fill(const struct job *j, const struct wm_piece *p)
{
    struct wm_kdim dim[WM_PLAN_RANK];
    uint32_t n = 0;

    if (j->w->tally) {
        j->w->tally->n[WM_T_FILLED] += (uint64_t)wm_piece_count(p) * j->unit;
        return;
    }
    for (uint32_t k = 0; k < p->rank; k++) {
        struct wm_kdim d = {p->dim[k].extent, p->dim[k].dst * j->unit, 0};

        if (n && dim[n - 1].dst == d.n * d.dst)
            d.n *= dim[--n].n;
        if (d.n > 1)
            dim[n++] = d;
    }
    wm_fill(place(j, p), dim, n, j->elem->pattern, j->unit);
}

/* ---- messages ---- */

/* Where the map says so: a file name for the message. */
static const char *
where(const struct job *j, struct wm_piece_text *t)
{
    return wm_piece_where(&j->w->x->plan, j->out, t);
}

static const struct wm_plan_in *
operand(const struct job *j, uint32_t s)
{
    return &j->w->x->in[j->w->x->slot[j->out->slot + j->box->slot[s]]];
}

/* ---- chunks ---- */

static enum wm_status
fetch_packed(const struct job *j, const struct wm_piece *p, uint32_t s, uint32_t size, char *to)
{
    int64_t stride[WM_PLAN_RANK];

    wm_piece_packed(p, size, stride);
    return operand_to(j, p, s, stride, to);
}

/* ---- chains ---- */

static enum wm_status
not_survived(const struct job *j, const struct wm_piece *p, const struct wm_plan_step *step,
             int64_t i)
{
    const struct wm_exec *x = j->w->x;
    const struct wm_plan_in *in = operand(j, 0);
    struct wm_piece_text at, file;
    int64_t place = wm_piece_unit(p, i, 0);

    if (j->held && j->w->there) { /* bytes from the tensor's first */
        place /= j->elem->src_unit;
    } else if (j->held) { /* the same again from the file, where places are places in the tensor */
        char unit[16];
        int64_t u = wm_piece_unit(p, i, -1);

        wm_slab_end(j->w);
        return wm_window_units(j->w, j->out, u, u + 1, unit);
    }
    at = wm_piece_index(&x->plan, in, place);
    return wm_fail(
        j->w->err, WM_NO, where(j, &file),
        "'%.*s'%s has a value that does not survive the way from %s to %s (write: lossy)",
        WM_STR_ARG(wm_plan_str(&x->plan, in->name)), at.s, wm_dtype_info[step->from].name,
        wm_dtype_info[step->to].name);
}

/* All steps at once by a compiled kernel, from `src` with strides to the window: true where there
 * is one.  Else the caller does them, and ends `use` then. */
static bool
chain_compiled(const struct job *j, const struct wm_piece *p, const char *src,
               const int64_t *stride, struct wm_jit_use *use)
{
    struct wm_cast_count count = {0};
    struct wm_kdim dim[WM_PLAN_RANK];

    for (uint32_t k = 0; k < p->rank; k++)
        dim[k] = (struct wm_kdim){p->dim[k].extent, p->dim[k].dst * j->unit, stride[k]};
    if (!wm_jit_chain(j->w->x->jit, use, place(j, p), src, dim, p->rank, j->elem,
                      &j->w->x->step[j->elem->step], &count))
        return false;
    j->w->stats.cast_overflow += count.overflow;
    j->w->stats.cast_nan += count.nan;
    j->w->stats.cast_inexact += count.inexact;
    return true;
}

/* The steps on what lies in pair[0], packed; then to the window. */
static enum wm_status
chain_packed(const struct job *j, const struct wm_piece *p)
{
    const struct wm_plan_step *step = &j->w->x->step[j->elem->step];
    struct wm_cast_count count = {0};
    struct wm_kdim dim[WM_PLAN_RANK];
    int64_t n = wm_piece_count(p), stride[WM_PLAN_RANK];
    int from = 0;
    bool straight = true;

    wm_piece_packed(p, j->unit, stride);
    for (uint32_t k = 0; k < p->rank; k++) {
        dim[k] = (struct wm_kdim){p->dim[k].extent, p->dim[k].dst * j->unit, stride[k]};
        straight = straight && (dim[k].dst == dim[k].src || dim[k].n == 1);
    }
    if (j->w->tally) {
        wm_tally_chain(j->w, dim, p->rank, j->elem, straight);
        return WM_OK;
    }
    for (uint32_t i = 0; i < j->elem->nstep; i++) {
        bool last = i + 1 == j->elem->nstep;
        char *to = last && straight ? place(j, p) : j->w->pair[!from];
        uint64_t ok = wm_step(&step[i], to, j->w->pair[from], (uint64_t)n, &count);

        if (ok < (uint64_t)n)
            return not_survived(j, p, &step[i], (int64_t)ok);
        from = !from;
    }
    j->w->stats.cast_overflow += count.overflow;
    j->w->stats.cast_nan += count.nan;
    j->w->stats.cast_inexact += count.inexact;
    if (!straight || j->elem->nstep == 0)
        wm_permute(place(j, p), j->w->pair[from], dim, p->rank, j->unit);
    return WM_OK;
}

/* From where the operand is to the window in one pass where there is a compiled kernel, or all of
 * its steps in one pass from a packed copy. */
static enum wm_status
chain(void *user, struct wm_piece *p)
{
    const struct job *j = user;
    int64_t stride[WM_PLAN_RANK];
    struct wm_jit_use held = {0}, use;
    enum wm_status st;

    if (j->held && j->elem->kind == WM_EL_CHAIN) {
        for (uint32_t k = 0; k < p->rank; k++)
            stride[k] = p->dim[k].src[0];
        if (chain_compiled(j, p, j->held + p->src[0], stride, &held))
            return WM_OK;
    }
    if ((st = fetch_packed(j, p, 0, j->elem->src_unit, j->w->pair[0])) != WM_OK ||
        (st = wm_reads_flush(j->w)) != WM_OK)
        return st;
    wm_piece_packed(p, j->elem->src_unit, stride);
    if (j->elem->kind == WM_EL_LOWRANK &&
        (st = wm_lowrank_add(j->w, j->out, j->box, p, stride, j->w->pair[0])) != WM_OK)
        return st;
    if (!chain_compiled(j, p, j->w->pair[0], stride, &use)) {
        st = chain_packed(j, p);
        wm_jit_end(&use);
    }
    wm_jit_end(&held);
    return st;
}

/* A chain that begins with a product. */
static enum wm_status
scaled(void *user, struct wm_piece *p)
{
    const struct job *j = user;
    enum wm_status st = fetch_packed(j, p, 0, j->elem->src_unit, j->w->pair[1]);

    if (st != WM_OK || (st = wm_reads_flush(j->w)) != WM_OK ||
        (st = wm_scale_piece(j->w, j->out, j->box, p)) != WM_OK)
        return st;
    return chain_packed(j, p);
}

/* ---- checks ---- */

/* So many units, in a dry run. */
static void
compared(const struct job *j, int64_t n)
{
    j->w->tally->n[WM_T_COMPARED] += (uint64_t)n * j->unit;
    j->w->tally->n[WM_T_MEMORY] += (uint64_t)n * j->unit * WM_COST_COMPARE;
}

/* The file that holds the bytes of an input. */
static const struct wm_plan_infile *
held_in(const struct wm_exec *x, const struct wm_plan_in *in)
{
    const struct wm_plan_infile *f = &x->infile[in->file];

    return f->codec == WM_CODEC_RAW || f->codec == WM_CODEC_BLOB ? f : &x->infile[f->of];
}

static enum wm_status
equal(void *user, struct wm_piece *p)
{
    const struct job *j = user;
    const struct wm_exec *x = j->w->x;
    const struct wm_plan_in *in[2] = {operand(j, 0), operand(j, 1)};
    const struct wm_plan_infile *from[2] = {held_in(x, in[0]), held_in(x, in[1])};
    const char *a = j->w->pair[0], *b = j->w->pair[1];
    struct wm_str note = wm_plan_str(&x->plan, j->elem->note);
    struct wm_str of[2] = {WM_STR(""), WM_STR("")};
    struct wm_piece_text at[2], file;
    int64_t n = wm_piece_count(p), i = 0;
    enum wm_status st;

    for (uint32_t s = 0; s < 2; s++)
        if ((st = fetch_packed(j, p, s, j->unit, j->w->pair[s])) != WM_OK)
            return st;
    if ((st = wm_reads_flush(j->w)) != WM_OK)
        return st;
    if (j->w->tally)
        compared(j, n);
    if (j->w->tally || memcmp(a, b, (size_t)n * j->unit) == 0)
        return WM_OK;
    while (memcmp(a + i * j->unit, b + i * j->unit, j->unit) == 0)
        i++;
    for (int s = 0; s < 2; s++) {
        at[s] = wm_piece_index(&x->plan, in[s], wm_piece_unit(p, i, s));
        if (from[0] != from[1])
            of[s] = wm_plan_str(&x->plan, from[s]->path);
    }
    return wm_fail(j->w->err, WM_NO, where(j, &file), "%.*s%s'%.*s'%s%s%.*s and '%.*s'%s%s%.*s differ",
                   WM_STR_ARG(note), note.n ? ": " : "",
                   WM_STR_ARG(wm_plan_str(&x->plan, in[0]->name)), at[0].s, of[0].n ? " of " : "", WM_STR_ARG(of[0]),
                   WM_STR_ARG(wm_plan_str(&x->plan, in[1]->name)), at[1].s, of[1].n ? " of " : "", WM_STR_ARG(of[1]));
}

static enum wm_status
is_fill(void *user, struct wm_piece *p)
{
    const struct job *j = user;
    const struct wm_exec *x = j->w->x;
    const struct wm_plan_in *in = operand(j, 0);
    struct wm_str note = wm_plan_str(&x->plan, j->elem->note);
    struct wm_piece_text at, file;
    int64_t n = wm_piece_count(p), i;
    enum wm_status st;

    if ((st = fetch_packed(j, p, 0, j->unit, j->w->pair[0])) != WM_OK ||
        (st = wm_reads_flush(j->w)) != WM_OK)
        return st;
    if (j->w->tally) {
        compared(j, n);
        return WM_OK;
    }
    i = (int64_t)wm_fill_differs(j->w->pair[0], (uint64_t)n, j->elem->pattern, j->unit);
    if (i == n)
        return WM_OK;
    at = wm_piece_index(&x->plan, in, wm_piece_unit(p, i, 0));
    return wm_fail(j->w->err, WM_NO, where(j, &file),
                   "%.*s%s'%.*s'%s is not the value it should be filled with", WM_STR_ARG(note),
                   note.n ? ": " : "", WM_STR_ARG(wm_plan_str(&x->plan, in->name)), at.s);
}

enum wm_status
wm_piece_run(struct wm_worker *w, const struct wm_plan_out *out, const struct wm_plan_box *box,
             struct wm_piece *piece, int64_t lo, char *to, const char *held)
{
    struct job j = {.w = w,
                    .out = out,
                    .box = box,
                    .elem = &w->x->elem[box->elem],
                    .unit = w->x->geom[out->geom].unit,
                    .lo = lo,
                    .to = to,
                    .held = held};

    switch ((enum wm_elem_kind)j.elem->kind) {
    case WM_EL_COPY:
        return copy(&j, piece);
    case WM_EL_FILL:
        if (out->file != WM_NONE)
            fill(&j, piece);
        return WM_OK;
    case WM_EL_CHAIN: /* no number type is wider than 8 bytes */
        return wm_piece_parts(piece, (int64_t)(w->pair_n / 8), chain, &j);
    case WM_EL_EQUAL:
        return wm_piece_parts(piece, (int64_t)(w->pair_n / j.unit), equal, &j);
    case WM_EL_IS_FILL:
        return wm_piece_parts(piece, (int64_t)(w->pair_n / j.unit), is_fill, &j);
    case WM_EL_LOWRANK:
        return j.elem->nstep ? wm_piece_parts(piece, (int64_t)(w->pair_n / 8), chain, &j) : lowrank(&j, piece);
    case WM_EL_SCALED:
        return wm_piece_parts(piece, (int64_t)(w->pair_n / 8), scaled, &j);
    }
    return WM_OK;
}
