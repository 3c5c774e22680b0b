/* api/rank_tensors.c -- each tensor over its ranks: compared byte for byte, then judged (see ranks.h).
 *
 * In: an open checkpoint whose files are known ranks.  Out: which ranks hold the same bytes, and from that, from the shapes
 * and from the metadata, whether the tensor is cut, where, or replicated.  All ranks of a tensor are read side by side, piece
 * by piece, and one that is like no other is not read on; memory is a few MiB whatever their size. */
#include <inttypes.h>
#include <stdlib.h>

#include "api/compare.h"
#include "api/fold.h"
#include "api/ranks.h"
#include "base/checked.h"

enum { FIRST = 4 << 10, MEMORY = 16 << 20, PIECE = 1 << 20 };

struct judge {
    struct wmap_ctx *ctx;
    struct wm_arena *a;
    struct wm_ranks *r;
    const struct wm_manifest *m;
    struct wm_reader reader;
    uint32_t nrank;             /* of a stage */
    unsigned char *buffer;      /* [nrank] pieces */
    uint64_t piece;
    uint32_t *members, *next, *size; /* [nrank] */
    bool *zero;                 /* [nrank] of those still like another one: nothing but zeros so far */
    int64_t hidden;             /* the length that most replicas have: the model's width; 0: none has */
    struct wm_err *err;
};

static const struct wm_mtensor *
tensor(const struct judge *j, const struct wm_rtensor *t, uint32_t k)
{
    return t->id[k] == WM_NONE ? NULL : &j->m->tensor.item[t->id[k]];
}

const struct wm_mtensor *
wm_rtensor_first(const struct wm_rtensor *t, const struct wm_ranks *r, const struct wm_manifest *m)
{
    for (uint32_t k = 0; k < r->count[WM_AX_EP] * r->count[WM_AX_TP]; k++)
        if (t->id[k] != WM_NONE)
            return &m->tensor.item[t->id[k]];
    return NULL;
}

/* ---- groups ---- */

static int
by_stage_and_name(const void *x, const void *y)
{
    const struct wm_rtensor *a = x, *b = y;

    return a->pp != b->pp ? (a->pp < b->pp ? -1 : 1) : wm_name_cmp(a->name, b->name);
}

static const struct wm_rank_file **
files_by_number(struct judge *j)
{
    const struct wm_rank_file **of = WM_NEW_N(j->a, const struct wm_rank_file *, j->m->file.n);
    struct wm_map by_name;

    wm_map_init(&by_name, j->a, j->m->file.n);
    for (uint32_t k = 0; k < j->m->file.n; k++)
        wm_map_put(&by_name, j->m->file.item[k].name, k);
    for (uint32_t k = 0; k < j->r->nfile; k++) {
        uint32_t file = wm_map_get(&by_name, j->r->file[k].name);

        if (file == WM_NONE)
            continue;
        j->r->file[k].file = file;
        of[file] = &j->r->file[k];
    }
    return of;
}

/* Which rank of its stage. */
static uint32_t
slot_of(const struct wm_ranks *r, const struct wm_rank_file *f)
{
    return f->at[WM_AX_EP] * r->count[WM_AX_TP] + f->at[WM_AX_TP] - r->base;
}

static enum wm_status
group(struct judge *j, struct wm_rank_tensors *out)
{
    const struct wm_rank_file **of = files_by_number(j);
    struct wm_map seen;

    wm_map_init(&seen, j->a, j->m->tensor.n / j->nrank);
    out->item = WM_NEW_N(j->a, struct wm_rtensor, j->m->tensor.n);
    for (uint32_t k = 0; k < j->m->tensor.n; k++) {
        const struct wm_mtensor *x = &j->m->tensor.item[k];
        const struct wm_rank_file *f = of[x->file];
        struct wm_str key = wm_arena_printf(j->a, "%" PRIu32 ":%.*s", f ? f->at[WM_AX_PP] : 0, WM_STR_ARG(x->name));
        uint32_t i = wm_map_put(&seen, key, out->n), slot;
        struct wm_rtensor *t = &out->item[i];

        if (!f)
            return wm_fail(j->err, WM_EFORMAT, j->m->file.item[x->file].path.p, "of no rank");
        if (i == out->n) {
            *t = (struct wm_rtensor){.name = x->name, .pp = f->at[WM_AX_PP]};
            t->id = WM_NEW_N(j->a, uint32_t, j->nrank);
            t->cls = WM_NEW_N(j->a, uint32_t, j->nrank);
            memset(t->id, 0xff, j->nrank * sizeof(*t->id));
            out->n++;
        }
        slot = slot_of(j->r, f);
        if (t->id[slot] != WM_NONE)
            return wm_fail(j->err, WM_EFORMAT, j->r->dir.p, "rank %.*s: tensor \"%.*s\" is in %.*s and in %.*s",
                           WM_STR_ARG(wm_rank_show(j->a, j->r, f->at, ~(1u << WM_AX_PART))), WM_STR_ARG(x->name),
                           WM_STR_ARG(j->m->file.item[j->m->tensor.item[t->id[slot]].file].name), WM_STR_ARG(f->name));
        t->id[slot] = k;
        t->nid++;
    }
    if (out->n > 1)
        qsort(out->item, out->n, sizeof(*out->item), by_stage_and_name);
    return WM_OK;
}

/* ---- bytes ---- */

static bool
same_form(const struct wm_mtensor *a, const struct wm_mtensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof(*a->shape)) == 0);
}

/* Ranks of one class whose pieces differ are of different ones from now on. */
static void
refine(struct judge *j, struct wm_rtensor *t, uint32_t n, uint64_t bytes)
{
    memcpy(j->next, t->cls, j->nrank * sizeof(*j->next));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = j->members[i];

        t->cls[k] = k;
        for (uint32_t p = 0; p < i; p++) {
            uint32_t q = j->members[p];

            if (t->cls[q] == q && j->next[q] == j->next[k] &&
                memcmp(j->buffer + q * j->piece, j->buffer + k * j->piece, (size_t)bytes) == 0) {
                t->cls[k] = q;
                break;
            }
        }
    }
}

/* Those that are like another one. */
static uint32_t
list_members(struct judge *j, const struct wm_rtensor *t)
{
    uint32_t n = 0;

    memset(j->size, 0, j->nrank * sizeof(*j->size));
    for (uint32_t k = 0; k < j->nrank; k++)
        if (t->id[k] != WM_NONE)
            j->size[t->cls[k]]++;
    for (uint32_t k = 0; k < j->nrank; k++)
        if (t->id[k] != WM_NONE && j->size[t->cls[k]] > 1)
            j->members[n++] = k;
    return n;
}

static bool
is_zero(const unsigned char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

static enum wm_status
compare(struct judge *j, struct wm_rtensor *t)
{
    uint64_t nbytes = 0, at = 0, len = FIRST;

    t->zero = WM_NONE;
    for (uint32_t k = 0; k < j->nrank; k++) {
        t->cls[k] = k;
        j->zero[k] = true;
        for (uint32_t q = 0; t->id[k] != WM_NONE && q < k; q++)
            if (t->id[q] != WM_NONE && t->cls[q] == q && same_form(tensor(j, t, q), tensor(j, t, k))) {
                t->cls[k] = q;
                nbytes = tensor(j, t, k)->nbytes > nbytes ? tensor(j, t, k)->nbytes : nbytes;
                break;
            }
    }
    for (; at < nbytes; at += len, len = j->piece) {
        uint32_t n = list_members(j, t);

        if (n == 0)
            break;
        if (wm_ctx_stopped(j->ctx, j->err))
            return j->err->status;
        len = len < j->piece ? len : j->piece;
        len = len < nbytes - at ? len : nbytes - at;
        for (uint32_t i = 0; i < n; i++) {
            const struct wm_mtensor *x = tensor(j, t, j->members[i]);
            uint64_t some = at >= x->nbytes ? 0 : len < x->nbytes - at ? len : x->nbytes - at;
            unsigned char *p = j->buffer + j->members[i] * j->piece;

            memset(p + some, 0, (size_t)(len - some)); /* those of a class are of one length */
            if (some && j->reader.read(j->reader.user, 0, t->id[j->members[i]], at, some, p, j->err) != WM_OK)
                return j->err->status;
            j->zero[j->members[i]] = j->zero[j->members[i]] && is_zero(p, (size_t)len);
        }
        refine(j, t, n, len);
    }
    for (uint32_t i = 0, n = list_members(j, t); i < n; i++)
        if (j->zero[j->members[i]])
            t->zero = t->cls[j->members[i]];
    return WM_OK;
}

/* ---- judgement ---- */

/* Do all ranks of [from, from + tp) hold the same? */
static bool
all_same(const struct judge *j, const struct wm_rtensor *t, uint32_t from)
{
    for (uint32_t k = 1; k < j->r->count[WM_AX_TP]; k++)
        if (t->cls[from + k] != t->cls[from])
            return false;
    return true;
}

/* Are expert ranks that have it unlike the first of them? */
static bool
eps_differ(const struct judge *j, const struct wm_rtensor *t, uint32_t from)
{
    uint32_t tp = j->r->count[WM_AX_TP];

    for (uint32_t k = from; k < j->nrank; k++)
        if (t->id[k] != WM_NONE && t->cls[k] != t->cls[from + k % tp])
            return true;
    return false;
}

/* The expert rank that has it, the first of them. */
static uint32_t
first_slot(const struct judge *j, const struct wm_rtensor *t)
{
    uint32_t tp = j->r->count[WM_AX_TP], k = 0;

    while (k < j->nrank && t->id[k] == WM_NONE)
        k++;
    return k / tp * tp;
}

/* A tensor is in all tensor ranks of an expert rank, or in none. */
static bool
is_lacking(const struct judge *j, const struct wm_rtensor *t)
{
    uint32_t tp = j->r->count[WM_AX_TP];

    for (uint32_t k = 0; k < j->nrank; k++)
        if ((t->id[k] == WM_NONE) != (t->id[k / tp * tp] == WM_NONE))
            return true;
    return false;
}

/* The dimensions in which the ranks' shapes differ: *n of them, *dim the last.  False: dtypes or ranks of shapes do. */
static bool
differing(const struct judge *j, const struct wm_rtensor *t, uint32_t from, uint32_t *n, int32_t *dim)
{
    const struct wm_mtensor *x = tensor(j, t, from);

    *n = 0;
    for (uint32_t k = 1; k < j->r->count[WM_AX_TP]; k++) {
        const struct wm_mtensor *y = tensor(j, t, from + k);

        if (y->dtype != x->dtype || y->rank != x->rank)
            return false;
    }
    for (uint32_t d = 0; d < x->rank; d++)
        for (uint32_t k = 1; k < j->r->count[WM_AX_TP]; k++)
            if (tensor(j, t, from + k)->shape[d] != x->shape[d]) {
                *dim = (int32_t)d;
                ++*n;
                break;
            }
    return true;
}

/* Which dimension of equal shards is cut, by the model's width: the others are whole. */
static int32_t
by_width(const struct judge *j, const struct wm_mtensor *x)
{
    uint32_t whole = 0, part = 0;
    int32_t is_whole = -1, is_part = -1;

    if (x->rank == 1 || x->rank == 0)
        return (int32_t)x->rank - 1;
    if (x->rank != 2 || j->hidden == 0)
        return -1;
    for (int32_t d = 0; d < 2; d++) {
        int64_t all;

        if (x->shape[d] == j->hidden) {
            is_whole = d;
            whole++;
        } else if (wm_ck_mul(x->shape[d], j->r->count[WM_AX_TP], &all) && all == j->hidden) {
            is_part = d;
            part++;
        }
    }
    return whole == 1 ? 1 - is_whole : whole == 0 && part == 1 ? is_part : -1;
}

static void
set_dim(struct judge *j, struct wm_rtensor *t, uint32_t from, int32_t dim)
{
    t->dim = dim;
    t->whole = 0;
    t->even = true;
    for (uint32_t k = 0; dim >= 0 && k < j->r->count[WM_AX_TP]; k++) {
        int64_t n = tensor(j, t, from + k)->shape[dim];

        t->even &= n == tensor(j, t, from)->shape[dim];
        if (!wm_ck_add(t->whole, n, &t->whole))
            t->whole = INT64_MAX;
    }
    if (t->said.copies > 1)
        t->whole /= t->said.copies;
}

/* Copies by the metadata: ranks a period apart hold the same. */
static bool
copies_agree(const struct judge *j, const struct wm_rtensor *t, uint32_t from)
{
    uint32_t tp = j->r->count[WM_AX_TP], period = t->said.copies ? tp / t->said.copies : tp;

    for (uint32_t k = period; period > 0 && k < tp; k++)
        if (t->cls[from + k] != t->cls[from + k % period])
            return false;
    return true;
}

/* More than half of the ranks hold the same, but not all.  Zeros in the last ranks of a matrix are padding. */
static bool
most_agree(const struct judge *j, const struct wm_rtensor *t, uint32_t from)
{
    uint32_t tp = j->r->count[WM_AX_TP], most = 0;
    bool padded = tensor(j, t, from)->rank > 1 && t->zero != WM_NONE && t->cls[from + tp - 1] == t->zero;

    for (uint32_t k = 0; k < tp; k++) {
        uint32_t n = 0;

        if (padded && t->cls[from + k] == t->zero)
            continue;
        for (uint32_t q = 0; q < tp; q++)
            n += t->cls[from + q] == t->cls[from + k];
        most = n > most ? n : most;
    }
    return 2 * most > tp;
}

/* What the metadata say of sizes, against the tensor. */
static enum wm_status
check_said(struct judge *j, const struct wm_rtensor *t, uint32_t from)
{
    const struct wm_mtensor *x = tensor(j, t, from);
    const char *path = j->r->meta[t->pp].path.p;
    int64_t sum = 0;

    if (t->said.cut && t->said.dim >= x->rank)
        return wm_fail(j->err, WM_EFORMAT, path, "tensor \"%.*s\": cut along dimension %" PRIu32 ", but it has %" PRIu32,
                       WM_STR_ARG(t->name), t->said.dim, x->rank);
    for (uint32_t k = 0; k < t->said.npart; k++)
        if (!wm_ck_add(sum, t->said.part_size[k], &sum))
            sum = INT64_MAX;
    if (t->said.npart && t->said.cut && sum != x->shape[t->said.dim])
        return wm_fail(j->err, WM_EFORMAT, path,
                       "tensor \"%.*s\": %" PRId64 " long along dimension %" PRIu32 " of a rank, but %.*s has %" PRId64,
                       WM_STR_ARG(t->name), sum, t->said.dim, WM_STR_ARG(j->m->file.item[x->file].name),
                       x->shape[t->said.dim]);
    return WM_OK;
}

static enum wm_status
judge_metadata(struct judge *j, struct wm_rtensor *t, uint32_t from)
{
    enum wm_status st = check_said(j, t, from);
    uint32_t n;
    int32_t dim;

    t->by_metadata = true;
    if (st != WM_OK)
        return st;
    t->kind = t->said.cut ? WM_RK_CUT : WM_RK_REPLICA;
    if (t->said.cut)
        set_dim(j, t, from, (int32_t)t->said.dim);
    t->agree = t->said.cut ? t->said.copies < 2 || copies_agree(j, t, from) : all_same(j, t, from);
    if (!differing(j, t, from, &n, &dim) || n > 1 || (n == 1 && t->said.cut && dim != t->dim))
        t->kind = WM_RK_LACKING, t->agree = false;
    return WM_OK;
}

static void
judge_files(struct judge *j, struct wm_rtensor *t, uint32_t from)
{
    uint32_t n;
    int32_t dim = -1;

    if (!differing(j, t, from, &n, &dim) || n > 1) {
        t->kind = WM_RK_LACKING;
        t->agree = false;
    } else if (all_same(j, t, from) || (n == 0 && most_agree(j, t, from))) {
        t->kind = WM_RK_REPLICA;
        t->agree = all_same(j, t, from);
    } else {
        t->kind = WM_RK_CUT;
        set_dim(j, t, from, n == 1 ? dim : by_width(j, tensor(j, t, from)));
    }
}

static enum wm_status
judge_one(struct judge *j, struct wm_rtensor *t)
{
    uint32_t from = first_slot(j, t);
    enum wm_status st = wm_rank_said_of(j->a, j->r, t->pp, t->name, &t->said, j->err);

    t->agree = true;
    t->dim = -1;
    if (st != WM_OK)
        return st;
    if (is_lacking(j, t)) {
        t->kind = WM_RK_LACKING;
        t->agree = false;
        return WM_OK;
    }
    t->ep_differ = eps_differ(j, t, from);
    if (t->said.known)
        st = judge_metadata(j, t, from);
    else if (j->r->count[WM_AX_TP] > 1)
        judge_files(j, t, from);
    if (j->r->count[WM_AX_TP] == 1)
        t->kind = WM_RK_WHOLE;
    return st;
}

/* The width of the model is the length that most vectors have which all ranks hold. */
static void
find_width(struct judge *j, const struct wm_rank_tensors *all)
{
    struct {
        int64_t length;
        uint32_t n;
    } seen[16] = {{0, 0}};
    uint32_t most = 0;

    for (uint32_t i = 0; i < all->n; i++) {
        const struct wm_rtensor *t = &all->item[i];
        const struct wm_mtensor *x = wm_rtensor_first(t, j->r, j->m);

        if (x->rank != 1 || is_lacking(j, t) || !all_same(j, t, first_slot(j, t)))
            continue;
        for (uint32_t k = 0; k < 16; k++)
            if (seen[k].n == 0 || seen[k].length == x->shape[0]) {
                seen[k].length = x->shape[0];
                if (++seen[k].n > most) {
                    most = seen[k].n;
                    j->hidden = x->shape[0];
                }
                break;
            }
    }
}

/* A pipeline stage has the embedding or not; expert ranks have all of them one. */
static void
settle_second(struct wm_ranks *r, const struct wm_manifest *m)
{
    bool here[2] = {false, false};

    for (uint32_t k = 0; r->second_is_open && k < m->tensor.n; k++) {
        const struct wm_mtensor *t = &m->tensor.item[k];

        for (uint32_t i = 0; i < r->nfile; i++)
            if (r->file[i].at[WM_AX_PP] < 2 && wm_str_eq(r->file[i].name, m->file.item[t->file].name) &&
                memmem(t->name.p, t->name.n, "word_embeddings.weight", 22))
                here[r->file[i].at[WM_AX_PP]] = true;
    }
    r->second_is_open = false;
    if (!here[0] || !here[1])
        return;
    for (uint32_t i = 0; i < r->nfile; i++) {
        r->file[i].at[WM_AX_EP] = r->file[i].at[WM_AX_PP];
        r->file[i].at[WM_AX_PP] = 0;
    }
    r->count[WM_AX_EP] = r->count[WM_AX_PP];
    r->count[WM_AX_PP] = 1;
    r->has = (r->has | 1u << WM_AX_EP) & ~(1u << WM_AX_PP);
}

/* All that the metadata name is there. */
static enum wm_status
check_named(struct judge *j, const struct wm_rank_tensors *all)
{
    struct wm_map have;

    if (!j->r->meta)
        return WM_OK;
    wm_map_init(&have, j->a, all->n);
    for (uint32_t i = 0; i < all->n; i++)
        wm_map_put(&have, wm_arena_printf(j->a, "%" PRIu32 ":%.*s", all->item[i].pp, WM_STR_ARG(all->item[i].name)), 0);
    return wm_rank_meta_names(j->a, j->r, &have, j->err);
}

static enum wm_status
judge_all(struct judge *j, struct wm_rank_tensors *out)
{
    enum wm_status st = group(j, out);

    if (st == WM_OK)
        st = check_named(j, out);
    for (uint32_t i = 0; st == WM_OK && i < out->n; i++)
        st = compare(j, &out->item[i]);
    if (st == WM_OK)
        find_width(j, out);
    for (uint32_t i = 0; st == WM_OK && i < out->n; i++)
        st = judge_one(j, &out->item[i]);
    return st;
}

enum wm_status
wm_ranks_judge(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_ranks *r, const struct wmap_checkpoint *c,
               struct wm_rank_tensors *out, struct wm_err *err)
{
    struct judge j = {.ctx = ctx, .a = a, .r = r, .m = c->m, .err = err};
    struct wm_file_reader file;
    enum wm_status st, closed;

    *out = (struct wm_rank_tensors){0};
    settle_second(r, c->m);
    j.nrank = r->count[WM_AX_EP] * r->count[WM_AX_TP];
    j.piece = MEMORY / j.nrank < PIECE ? MEMORY / j.nrank : PIECE;
    j.piece = j.piece < FIRST ? FIRST : j.piece;
    j.buffer = wm_arena_array(a, j.nrank, (size_t)j.piece);
    j.members = WM_NEW_N(a, uint32_t, j.nrank);
    j.next = WM_NEW_N(a, uint32_t, j.nrank);
    j.size = WM_NEW_N(a, uint32_t, j.nrank);
    j.zero = WM_NEW_N(a, bool, j.nrank);
    st = wm_file_reader_open(&file, a, ctx->sys, c->m, err);
    j.reader = wm_file_reader(&file);
    if (st == WM_OK)
        st = judge_all(&j, out);
    closed = wm_file_reader_close(&file, err);
    return st == WM_OK ? closed : st;
}
