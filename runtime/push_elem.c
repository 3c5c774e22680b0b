/* runtime/push_elem.c -- a portion of an input, piece by piece.
 *
 * In: bytes of one input tensor.  Copies go to their places; casts are done chunk by chunk on the way; a fill that
 * must be there is looked at.  Two copies that must be equal need not come together: the first is held back whole,
 * and the other is compared as it comes, or when both are there. */
#include "runtime/piece.h"
#include "runtime/push_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A use of the portion that is being worked on. */
struct job {
    struct wm_push *s;
    const struct wm_use *use;
    const struct wm_plan_box *box;
    const struct wm_plan_elem *elem;
    uint32_t unit;     /* of the output, bytes */
    const char *op[2]; /* where unit 0 of the operands would be; NULL in a rehearsal */
};

enum wm_status
wm_push_take(struct wm_push *s, uint64_t n)
{
    if (!s->rehearsal && s->used + n > s->most)
        return wm_fail(s->err, WM_ELIMIT, NULL,
                       "%" PRIu64 " bytes that wait for others do not fit into the memory (%" PRIu64
                       " bytes are taken); give more, or push tensors that belong together one after the other",
                       n, s->used);
    s->used += n;
    s->peak = s->used > s->peak ? s->used : s->peak;
    return WM_OK;
}

typedef enum wm_status chunk(const struct job *j, struct wm_piece *p);

/* In parts of at most `max` units, in order of the output. */
static enum wm_status
in_chunks(const struct job *j, struct wm_piece *p, int64_t max, chunk *each)
{
    struct wm_piece half;
    enum wm_status st;

    if (wm_piece_count(p) <= max)
        return each(j, p);
    wm_piece_halve(p, &half);
    if ((st = in_chunks(j, &half, max, each)) != WM_OK)
        return st;
    return in_chunks(j, p, max, each);
}

/* Operand k of a chunk, packed. */
static void
pack(const struct job *j, const struct wm_piece *p, uint32_t k, uint32_t unit, char *to)
{
    struct wm_kdim dim[WM_PLAN_RANK];
    int64_t stride[WM_PLAN_RANK];

    wm_piece_packed(p, unit, stride);
    for (uint32_t i = 0; i < p->rank; i++)
        dim[i] = (struct wm_kdim){p->dim[i].extent, stride[i], p->dim[i].src[k] * unit};
    wm_permute(to, j->op[k] + p->src[k] * unit, dim, p->rank, unit);
}

/* ---- messages ---- */

static const char *
where(const struct job *j, struct wm_piece_text *t)
{
    return wm_piece_where(&j->s->x.plan, &j->s->x.out[j->use->out], t);
}

/* Operand k of the i-th unit of a piece: "'lm_head.weight'[3, 5]". */
static struct wm_piece_text
element(const struct job *j, const struct wm_piece *p, int64_t i, uint32_t k)
{
    const struct wm_scatter *x = &j->s->x;
    const struct wm_plan_in *in = &x->in[wm_scatter_in(x, j->use->out, j->box, k)];
    struct wm_str name = wm_plan_str(&x->plan, in->name);
    struct wm_piece_text index = wm_piece_index(&x->plan, in, wm_piece_unit(p, i, (int)k)), t;
    size_t n = (size_t)snprintf(t.s, sizeof(t.s), "'%.*s'", (int)(name.n < 150 ? name.n : 150), name.p);
    size_t room = sizeof(t.s) - 1 - n, more = strlen(index.s);

    more = more < room ? more : room;
    memcpy(t.s + n, index.s, more);
    t.s[n + more] = 0;
    return t;
}

/* ---- element operations ---- */

static enum wm_status
place(const struct job *j, struct wm_piece *p, const char *from)
{
    return j->s->to.fd ? wm_push_to_file(j->s, j->use->out, p, from)
                       : wm_push_to_mem(j->s, j->use->out, p, from);
}

static enum wm_status
copy(const struct job *j, struct wm_piece *p)
{
    p->src[0] *= j->unit;
    for (uint32_t k = 0; k < p->rank; k++)
        p->dim[k].src[0] *= j->unit;
    return place(j, p, j->op[0]);
}

static enum wm_status
chain(const struct job *j, struct wm_piece *p)
{
    struct wm_push *s = j->s;
    struct wm_cast_count count = {0};
    int64_t n = wm_piece_count(p), stride = j->unit;
    int from = 0;

    if (s->rehearsal)
        return place(j, p, NULL);
    pack(j, p, 0, j->elem->src_unit, s->pair[0]);
    for (uint32_t i = 0; i < j->elem->nstep; i++, from = !from) {
        const struct wm_plan_step *step = &s->x.step[j->elem->step + i];
        uint64_t ok = wm_step(step, s->pair[!from], s->pair[from], (uint64_t)n, &count);
        struct wm_piece_text file;

        if (ok < (uint64_t)n)
            return wm_fail(s->err, WM_NO, where(j, &file),
                           "%s has a value that does not survive the way from %s to %s (write: lossy)",
                           element(j, p, (int64_t)ok, 0).s, wm_dtype_info[step->from].name,
                           wm_dtype_info[step->to].name);
    }
    s->stats.cast_overflow += count.overflow;
    s->stats.cast_nan += count.nan;
    s->stats.cast_inexact += count.inexact;
    p->src[0] = 0;
    for (uint32_t k = p->rank; k-- > 0; stride *= p->dim[k].extent)
        p->dim[k].src[0] = stride;
    return place(j, p, s->pair[from]);
}

static enum wm_status
is_fill(const struct job *j, struct wm_piece *p)
{
    struct wm_push *s = j->s;
    struct wm_str note = wm_plan_str(&s->x.plan, j->elem->note);
    int64_t n = wm_piece_count(p), i;
    struct wm_piece_text file;

    if (s->rehearsal)
        return WM_OK;
    pack(j, p, 0, j->unit, s->pair[0]);
    i = (int64_t)wm_fill_differs(s->pair[0], (uint64_t)n, j->elem->pattern, j->unit);
    if (i == n)
        return WM_OK;
    return wm_fail(s->err, WM_NO, where(j, &file), "%.*s%s%s is not the value it should be filled with",
                   WM_STR_ARG(note), note.n ? ": " : "", element(j, p, i, 0).s);
}

static enum wm_status
equal(const struct job *j, struct wm_piece *p)
{
    struct wm_push *s = j->s;
    struct wm_str note = wm_plan_str(&s->x.plan, j->elem->note);
    const char *a = s->pair[0], *b = s->pair[1];
    int64_t n = wm_piece_count(p), i = 0;
    struct wm_piece_text file;

    if (s->rehearsal)
        return WM_OK;
    pack(j, p, 0, j->unit, s->pair[0]);
    pack(j, p, 1, j->unit, s->pair[1]);
    if (memcmp(a, b, (size_t)n * j->unit) == 0)
        return WM_OK;
    while (memcmp(a + i * j->unit, b + i * j->unit, j->unit) == 0)
        i++;
    return wm_fail(s->err, WM_NO, where(j, &file), "%.*s%s%s and %s differ", WM_STR_ARG(note), note.n ? ": " : "",
                   element(j, p, i, 0).s, element(j, p, i, 1).s);
}

static enum wm_status
run_piece(void *user, struct wm_piece *p)
{
    const struct job *j = user;

    switch ((enum wm_elem_kind)j->elem->kind) {
    case WM_EL_COPY:
        return copy(j, p);
    case WM_EL_CHAIN:
        return j->s->rehearsal ? chain(j, p) : in_chunks(j, p, WM_PUSH_PAIR / 8, chain);
    case WM_EL_EQUAL:
        return j->s->rehearsal ? WM_OK : in_chunks(j, p, WM_PUSH_PAIR / j->unit, equal);
    case WM_EL_IS_FILL:
        return j->s->rehearsal ? WM_OK : in_chunks(j, p, WM_PUSH_PAIR / j->unit, is_fill);
    case WM_EL_FILL:
    case WM_EL_LOWRANK:
    case WM_EL_SCALED: /* refused when the session is opened */
        break;
    }
    return WM_OK;
}

static struct job
job_of(struct wm_push *s, const struct wm_use *u)
{
    struct job j = {.s = s, .use = u, .box = &s->x.box[u->box]};

    j.elem = &s->x.elem[j.box->elem];
    j.unit = s->x.geom[s->x.out[u->out].geom].unit;
    return j;
}

/* ---- comparisons ---- */

/* The input that a use is compared with; WM_NONE: the use is no comparison. */
static uint32_t
partner(const struct wm_push *s, const struct wm_use *u)
{
    const struct wm_plan_box *b = &s->x.box[u->box];

    if (s->x.elem[b->elem].kind != WM_EL_EQUAL)
        return WM_NONE;
    return wm_scatter_in(&s->x, u->out, b, !u->operand);
}

void
wm_push_count(struct wm_push *s)
{
    memset(s->in, 0, s->x.nin * sizeof(*s->in));
    for (uint64_t i = 0; i < s->x.nin; i++)
        for (uint64_t k = s->x.first[i]; k < s->x.first[i + 1]; k++)
            s->in[i].pending += partner(s, &s->x.use[k]) != WM_NONE;
}

static bool
is_there(const struct wm_push *s, uint32_t in)
{
    return s->in[in].got == s->x.in[in].nbytes;
}

static void
drop(struct wm_push *s, uint32_t in)
{
    struct wm_push_in *t = &s->in[in];

    if (t->pending || !t->begun || t->compared)
        return;
    s->sys->free(t->held);
    t->held = NULL;
    t->compared = true; /* nothing is held any more */
    s->used -= s->x.in[in].nbytes;
}

/* The first bytes of an input that is compared: with others that are there, or does it wait for them? */
static enum wm_status
begin_input(struct wm_push *s, uint32_t in)
{
    struct wm_push_in *t = &s->in[in];
    enum wm_status st;

    t->begun = t->compared = true;
    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1]; k++) {
        uint32_t other = partner(s, &s->x.use[k]);

        if (other != WM_NONE && (other == in || !is_there(s, other)))
            t->compared = false;
    }
    if (t->compared)
        return WM_OK;
    if ((st = wm_push_take(s, s->x.in[in].nbytes)) != WM_OK || s->rehearsal)
        return st;
    t->held = s->sys->malloc(s->x.in[in].nbytes);
    return t->held ? WM_OK : wm_fail(s->err, WM_ENOMEM, NULL, "out of memory");
}

/* All of an input came: what could not be compared as it came. */
static enum wm_status
end_input(struct wm_push *s, uint32_t in)
{
    bool compared = s->in[in].compared;

    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1]; k++) {
        const struct wm_use *u = &s->x.use[k];
        uint32_t other = partner(s, u);
        struct job j = job_of(s, u);
        enum wm_status st;

        if (other == WM_NONE || !is_there(s, other) || (other == in && u->operand == 1))
            continue;
        if (!compared) {
            j.op[u->operand] = s->in[in].held;
            j.op[!u->operand] = s->in[other].held;
            if ((st = wm_scatter_cut(&s->x, u, INT64_MIN / 2, INT64_MAX / 2, run_piece, &j)) != WM_OK)
                return st;
        }
        s->in[in].pending--;
        s->in[other].pending--;
        if (other != in)
            drop(s, other);
    }
    if (!compared)
        drop(s, in);
    return WM_OK;
}

void
wm_push_let_go(struct wm_push *s)
{
    for (uint64_t i = 0; s->in && i < s->x.nin; i++) {
        s->sys->free(s->in[i].held);
        s->in[i].held = NULL;
    }
}

/* ---- portions ---- */

static enum wm_status
run_use(struct wm_push *s, const struct wm_use *u, uint32_t in, uint64_t lo, const char *p, uint64_t n)
{
    struct job j = job_of(s, u);
    uint32_t unit = wm_plan_src_unit(j.elem, j.unit, u->operand), other = partner(s, u);

    if (j.elem->kind != WM_EL_EQUAL && u->operand > 0)
        return wm_fail(s->err, WM_ESUPPORT, NULL, "'%.*s' is made of several tensors at once: that needs files",
                       WM_STR_ARG(wm_plan_str(&s->x.plan, s->x.out[u->out].name)));
    if (other != WM_NONE && !s->in[in].compared)
        return WM_OK; /* later */
    j.op[u->operand] = p ? p - lo : NULL;
    if (other != WM_NONE)
        j.op[!u->operand] = s->in[other].held;
    return wm_scatter_cut(&s->x, u, (int64_t)(lo / unit), (int64_t)((lo + n) / unit), run_piece, &j);
}

enum wm_status
wm_push_portion(struct wm_push *s, uint32_t in, uint64_t lo, const char *p, uint64_t n)
{
    struct wm_push_in *t = &s->in[in];
    enum wm_status st = WM_OK;

    if (t->pending && !t->begun)
        st = begin_input(s, in);
    if (st == WM_OK && t->held && p)
        memcpy(t->held + lo, p, n);
    if (!s->rehearsal || !s->to.fd)
        for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1] && st == WM_OK; k++)
            st = run_use(s, &s->x.use[k], in, lo, p, n);
    t->got += n;
    if (st == WM_OK && t->pending && is_there(s, in))
        st = end_input(s, in);
    if (st == WM_OK && s->to.write)
        st = wm_push_flow(s);
    return st;
}
