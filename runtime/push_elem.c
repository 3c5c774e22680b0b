/* runtime/push_elem.c -- a portion of an input, piece by piece.
 *
 * In: bytes of one input tensor.  Copies go to their places; what is computed is made by the executor, part by part, and
 * goes there then; a fill that must be there is looked at.  Inputs of one operation (copies that must be equal, values
 * and their scales) need not come together: what comes first is held back whole, and the rest is worked on as it
 * comes where all that it meets is there, or else when it is.  Inputs that are files are there from the beginning. */
#include "runtime/piece.h"
#include "runtime/push_priv.h"

#include <inttypes.h>
#include <string.h>

/* A piece of a use, on one thread. */
struct job {
    struct wm_push_hand *k;
    const struct wm_use *use;
    const struct wm_plan_box *box;
    const struct wm_plan_elem *elem;
    uint32_t unit;    /* of the output, bytes */
    const char *from; /* where unit 0 of operand 0 would be; NULL in a rehearsal, or where it is in a file */
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

/* ---- pieces ---- */

static enum wm_status
place(const struct job *j, struct wm_piece *p, const char *from)
{
    return j->k->s->to.fd ? wm_push_to_file(j->k, j->use->out, p, from)
                          : wm_push_to_mem(j->k->s, j->use->out, p, from);
}

static enum wm_status
copy(const struct job *j, struct wm_piece *p)
{
    p->src[0] *= j->unit;
    for (uint32_t k = 0; k < p->rank; k++)
        p->dim[k].src[0] *= j->unit;
    return place(j, p, j->from);
}

/* A part whose results fit: they are made side by side, and go to their places from there. */
static enum wm_status
compute(void *user, struct wm_piece *p)
{
    const struct job *j = user;
    struct wm_push_hand *h = j->k;
    const struct wm_plan_out *out = &h->s->x.out[j->use->out];
    struct wm_piece q = *p;
    int64_t stride[WM_PLAN_RANK], unit = j->from ? j->elem->src_unit : 1;
    enum wm_status st;

    wm_piece_packed(p, 1, stride);
    q.dst = 0;
    q.src[0] *= unit;
    for (uint32_t k = 0; k < q.rank; k++) {
        q.dim[k].dst = stride[k];
        q.dim[k].src[0] *= unit;
        p->dim[k].src[0] = stride[k] * j->unit;
    }
    p->src[0] = 0;
    if ((st = wm_piece_run(&h->w, out, j->box, &q, 0, h->made, j->from)) != WM_OK ||
        (st = wm_reads_flush(&h->w)) != WM_OK)
        return st;
    return place(j, p, h->made);
}

/* Where unit 0 of operand 0 is. */
static const char *
front(const struct wm_push_hand *k, uint32_t in)
{
    if (k->part.in == in)
        return k->part.p ? k->part.p - k->part.lo : NULL;
    return k->s->in[in].held;
}

static struct job
job_of(struct wm_push *s, const struct wm_use *u)
{
    struct job j = {.use = u, .box = &s->x.box[u->box]};

    j.elem = &s->x.elem[j.box->elem];
    j.unit = s->x.geom[s->x.out[u->out].geom].unit;
    return j;
}

enum wm_status
wm_push_piece(struct wm_push_hand *k, const struct wm_use *u, struct wm_piece *p)
{
    struct wm_push *s = k->s;
    struct job j = job_of(s, u);

    j.k = k;
    j.from = front(k, wm_scatter_in(&s->x, u->out, j.box, 0));
    switch ((enum wm_elem_kind)j.elem->kind) {
    case WM_EL_COPY:
        return copy(&j, p);
    case WM_EL_CHAIN:
    case WM_EL_LOWRANK:
    case WM_EL_SCALED:
        return s->rehearsal ? place(&j, p, NULL) : wm_piece_parts(p, (int64_t)(k->made_n / j.unit), compute, &j);
    case WM_EL_EQUAL:
    case WM_EL_IS_FILL:
        return s->rehearsal ? WM_OK : wm_piece_run(&k->w, &s->x.out[u->out], j.box, p, 0, NULL, NULL);
    case WM_EL_FILL:
        break;
    }
    return WM_OK;
}

/* ---- operations on several inputs ---- */

static bool
is_there(const struct wm_push *s, uint32_t in)
{
    return !wm_push_is_stream(s, in) || s->in[in].got == s->x.in[in].nbytes;
}

/* Input k of the box of a use. */
static uint32_t
operand(const struct wm_push *s, const struct wm_use *u, uint32_t k)
{
    return wm_scatter_in(&s->x, u->out, &s->x.box[u->box], k);
}

static uint32_t
operands(const struct wm_push *s, const struct wm_use *u)
{
    return s->x.box[u->box].nsrc;
}

/* Can its input be worked on in portions, where all others are there?  Either copy can be compared so; else it is the
 * first operand that the output follows. */
static bool
leads(const struct wm_push *s, const struct wm_use *u)
{
    return u->operand == 0 || s->x.elem[s->x.box[u->box].elem].kind == WM_EL_EQUAL;
}

/* Are all operands but this one (operands(): all) there? */
static bool
all_there(const struct wm_push *s, const struct wm_use *u, uint32_t but)
{
    for (uint32_t k = 0; k < operands(s, u); k++)
        if (k != but && (!is_there(s, operand(s, u, k)) || (but < operands(s, u) && operand(s, u, k) == operand(s, u, but))))
            return false;
    return true;
}

/* Do all operands come from files? */
static bool
all_files(const struct wm_push *s, const struct wm_use *u)
{
    for (uint32_t k = 0; k < operands(s, u); k++)
        if (wm_push_is_stream(s, operand(s, u, k)))
            return false;
    return true;
}

void
wm_push_count(struct wm_push *s)
{
    memset(s->in, 0, s->x.nin * sizeof(*s->in));
    for (uint64_t i = 0; i < s->x.nin; i++)
        for (uint64_t k = s->x.first[i]; k < s->x.first[i + 1] && wm_push_is_stream(s, (uint32_t)i); k++)
            s->in[i].pending += operands(s, &s->x.use[k]) > 1;
}

/* The first bytes of an input that meets others: are they there, or does it wait for them? */
static enum wm_status
begin_input(struct wm_push *s, uint32_t in)
{
    struct wm_push_in *t = &s->in[in];
    enum wm_status st;

    t->begun = t->passes = true;
    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1]; k++) {
        const struct wm_use *u = &s->x.use[k];

        if (operands(s, u) > 1 && (!leads(s, u) || !all_there(s, u, u->operand)))
            t->passes = false;
    }
    if (t->passes)
        return WM_OK;
    if ((st = wm_push_take(s, s->x.in[in].nbytes)) != WM_OK || s->rehearsal)
        return st;
    t->held = s->sys->malloc(s->x.in[in].nbytes);
    return t->held ? WM_OK : wm_fail(s->err, WM_ENOMEM, NULL, "out of memory");
}

/* Let go of an input that nothing waits for any more. */
static void
drop(struct wm_push *s, uint32_t in)
{
    struct wm_push_in *t = &s->in[in];

    if (t->pending || !t->begun || t->passes)
        return;
    s->sys->free(t->held);
    t->held = NULL;
    t->passes = true; /* nothing is held any more */
    s->used -= s->x.in[in].nbytes;
}

struct cutting {
    struct wm_push *s;
    const struct wm_use *use;
};

static enum wm_status
offer(void *user, struct wm_piece *p)
{
    const struct cutting *c = user;

    return wm_push_offer(c->s, c->use, p);
}

static enum wm_status
cut(struct wm_push *s, const struct wm_use *u, int64_t lo, int64_t hi)
{
    struct cutting c = {s, u};

    return wm_scatter_cut(&s->x, u, lo, hi, offer, &c);
}

/* An operation on several inputs, all of which are there now that this one is.  One that is several operands is asked for
 * the first. */
static bool
is_ready(const struct wm_push *s, const struct wm_use *u, uint32_t in)
{
    for (uint32_t i = 0; i < u->operand; i++)
        if (operand(s, u, i) == in)
            return false;
    return operands(s, u) > 1 && all_there(s, u, operands(s, u));
}

/* All of an input came: what could not be done as it came. */
static enum wm_status
end_input(struct wm_push *s, uint32_t in)
{
    bool late = !s->in[in].passes && !(s->rehearsal && s->to.fd);
    struct wm_push_part none = {.in = WM_NONE};
    enum wm_status st = WM_OK;

    if (s->crew)
        none.flight = &s->crew->other;
    s->hand[0].part = none;
    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1] && st == WM_OK && late; k++) {
        if (is_ready(s, &s->x.use[k], in))
            st = cut(s, &s->x.use[k], INT64_MIN / 2, INT64_MAX / 2);
    }
    if (st != WM_OK || (st = wm_push_drain(s)) != WM_OK)
        return st;
    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1]; k++) {
        const struct wm_use *u = &s->x.use[k];

        for (uint32_t i = 0; is_ready(s, u, in) && i < operands(s, u); i++)
            if (wm_push_is_stream(s, operand(s, u, i)) && --s->in[operand(s, u, i)].pending == 0 &&
                operand(s, u, i) != in)
                drop(s, operand(s, u, i));
    }
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

/* Is a use worked on as its input comes? */
static bool
is_run(const struct wm_push *s, const struct wm_use *u, uint32_t in)
{
    if (operands(s, u) < 2)
        return true;
    return wm_push_is_stream(s, in) ? s->in[in].passes : u->operand == 0 && all_files(s, u);
}

bool
wm_push_is_read(const struct wm_push *s, uint32_t in)
{
    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1]; k++)
        if (is_run(s, &s->x.use[k], in))
            return true;
    return false;
}

enum wm_status
wm_push_portion(struct wm_push *s, const struct wm_push_part *part, uint64_t n)
{
    uint32_t in = part->in;
    struct wm_push_in *t = &s->in[in];
    enum wm_status st = WM_OK;

    if (t->pending && !t->begun)
        st = begin_input(s, in);
    if (st == WM_OK && t->held && part->p)
        memcpy(t->held + part->lo, part->p, n);
    s->hand[0].part = *part;
    for (uint64_t k = s->x.first[in]; k < s->x.first[in + 1] && st == WM_OK && !(s->rehearsal && s->to.fd); k++) {
        const struct wm_use *u = &s->x.use[k];
        const struct job j = job_of(s, u);
        uint64_t unit = wm_plan_src_unit(j.elem, j.unit, u->operand);

        if (is_run(s, u, in))
            st = cut(s, u, (int64_t)(part->lo / unit), (int64_t)((part->lo + n) / unit));
    }
    t->got += n;
    if (st == WM_OK && t->pending && is_there(s, in))
        st = end_input(s, in);
    if (st == WM_OK && s->to.write)
        st = wm_push_flow(s);
    return st;
}
