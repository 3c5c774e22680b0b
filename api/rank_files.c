/* api/rank_files.c -- rank files by their names (see ranks.h).
 *
 * In: the names in a directory.  Out: the numbers in them, as numbers; every combination of them is there once.  Layouts
 * that are known are a table of name templates; others are told by files that are alike but for numbers. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "api/ranks.h"
#include "base/buf.h"

const char *const wm_rank_axis_name[WM_AX_N] = {"tp", "pp", "ep", "dp", "part"};

enum { DIGITS = 6, MOST_NUMBERS = 16 };

/* {axis} stands for a number.  The second one of Megatron is a stage or an expert rank: see second_is_open. */
static const struct layout {
    const char *name, *dir, *file;
} layouts[] = {
    {"optimum-neuron", "shards/model/", "dp_rank_{dp}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "shards/model/", "dp_rank_{dp}_ep_rank_{ep}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "adapter_shards/model/", "dp_rank_{dp}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "model/", "dp_rank_{dp}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "model/", "dp_rank_{dp}_ep_rank_{ep}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "", "dp_rank_{dp}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "", "dp_rank_{dp}_ep_rank_{ep}_tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "", "tp_rank_{tp}_pp_rank_{pp}.pt"},
    {"optimum-neuron", "", "tp_rank_{tp}_pp_rank_{pp}/checkpoint.pt"},
    {"Megatron", "", "mp_rank_{tp}/model_optim_rng.pt"},
    {"Megatron", "", "mp_rank_{tp}_{pp}/model_optim_rng.pt"},
    {"Megatron", "", "mp_rank_{tp}_{pp}_{ep}/model_optim_rng.pt"},
    {"vLLM", "", "model-rank-{tp}-part-{part}.safetensors"},
    {"Meta", "", "consolidated.{tp}.pth"},
    {"DeepSpeed", "", "mp_rank_{tp}_model_states.pt"},
};

/* A number of at most DIGITS digits at the start of s; its length, 0: none. */
static size_t
number(struct wm_str s, uint32_t *out)
{
    size_t n = 0;

    *out = 0;
    while (n < s.n && isdigit((unsigned char)s.p[n])) {
        if (n == DIGITS)
            return 0;
        *out = *out * 10 + (uint32_t)(s.p[n++] - '0');
    }
    return n;
}

static enum wm_rank_axis
axis_of(const char *word, size_t n)
{
    enum wm_rank_axis k = WM_AX_TP;

    while (strlen(wm_rank_axis_name[k]) != n || memcmp(wm_rank_axis_name[k], word, n) != 0)
        k++;
    return k;
}

bool
wm_rank_match(const char *tmpl, struct wm_str s, uint32_t *at, uint32_t *has)
{
    *has = 0;
    memset(at, 0, WM_AX_N * sizeof(*at));
    while (*tmpl) {
        const char *end;
        enum wm_rank_axis k;
        size_t n;

        if (*tmpl != '{') {
            if (s.n == 0 || *s.p != *tmpl)
                return false;
            s.p++, s.n--, tmpl++;
            continue;
        }
        end = strchr(tmpl, '}');
        k = axis_of(tmpl + 1, (size_t)(end - tmpl) - 1);
        n = number(s, &at[k]);
        if (n == 0)
            return false;
        *has |= 1u << k;
        s.p += n;
        s.n -= n;
        tmpl = end + 1;
    }
    return s.n == 0;
}

struct wm_str
wm_rank_show(struct wm_arena *a, const struct wm_ranks *r, const uint32_t *at, uint32_t axes)
{
    static const enum wm_rank_axis order[] = {WM_AX_TP, WM_AX_PP, WM_AX_EP, WM_AX_DP, WM_AX_PART};
    struct wm_buf b;

    wm_buf_init(&b, a);
    for (size_t k = 0; k < WM_COUNTOF(order); k++)
        if (axes & r->has & 1u << order[k])
            wm_buf_printf(&b, "%s%s%s %" PRIu32, b.n ? ", " : "", wm_rank_axis_name[order[k]],
                          order[k] == WM_AX_PP && r->second_is_open ? " (or ep)" : "", at[order[k]]);
    return wm_buf_str(&b);
}

/* ---- is every rank there, once? ---- */

static int
by_rank(const void *x, const void *y)
{
    static const enum wm_rank_axis order[] = {WM_AX_DP, WM_AX_PP, WM_AX_EP, WM_AX_TP, WM_AX_PART};
    const struct wm_rank_file *a = x, *b = y;

    for (size_t k = 0; k < WM_COUNTOF(order); k++)
        if (a->at[order[k]] != b->at[order[k]])
            return a->at[order[k]] < b->at[order[k]] ? -1 : 1;
    return wm_str_cmp(a->name, b->name);
}

static enum wm_status
stray(struct wm_arena *a, const struct wm_ranks *r, const struct wm_rank_file *f, const char *why, struct wm_err *err)
{
    return wm_fail(err, WM_EFORMAT, wm_arena_cstr(a, r->dir), "rank %.*s is stray: %.*s %s",
                   WM_STR_ARG(wm_rank_show(a, r, f->at, ~0u)), WM_STR_ARG(f->name), why);
}

static enum wm_status
missing(struct wm_arena *a, const struct wm_ranks *r, const uint32_t *at, struct wm_err *err)
{
    return wm_fail(err, WM_EFORMAT, wm_arena_cstr(a, r->dir), "rank %.*s is missing (%" PRIu32 " file%s of ranks)",
                   WM_STR_ARG(wm_rank_show(a, r, at, ~0u)), r->nfile, r->nfile == 1 ? "" : "s");
}

/* Highest numbers, and what is never there twice. */
static enum wm_status
count(struct wm_arena *a, struct wm_ranks *r, struct wm_err *err)
{
    for (uint32_t i = 0; i < r->nfile; i++) {
        const struct wm_rank_file *f = &r->file[i];

        if (f->at[WM_AX_DP])
            return stray(a, r, f, "is of another data-parallel rank than 0, which alone saves the model", err);
        for (int k = 0; k < WM_AX_PART; k++) {
            uint32_t n = f->at[k] + 1 - (k == WM_AX_TP ? r->base : 0);

            if (r->meta && (k == WM_AX_TP || k == WM_AX_PP) && n > r->count[k])
                return stray(a, r, f, "is of more ranks than the metadata tell", err);
            r->count[k] = n > r->count[k] ? n : r->count[k];
        }
        if (i && memcmp(r->file[i - 1].at, f->at, sizeof(f->at)) == 0)
            return stray(a, r, f, "has the numbers of another file", err);
    }
    return WM_OK;
}

enum wm_status
wm_ranks_complete(struct wm_arena *a, struct wm_ranks *r, struct wm_err *err)
{
    uint32_t at[WM_AX_N] = {0}, i = 0;

    qsort(r->file, r->nfile, sizeof(*r->file), by_rank);
    if (count(a, r, err) != WM_OK)
        return err->status;
    /* no more turns than files: the first that lacks one ends it */
    for (at[WM_AX_PP] = 0; at[WM_AX_PP] < r->count[WM_AX_PP]; at[WM_AX_PP]++)
        for (at[WM_AX_EP] = 0; at[WM_AX_EP] < r->count[WM_AX_EP]; at[WM_AX_EP]++)
            for (uint32_t tp = 0; tp < r->count[WM_AX_TP]; tp++) {
                at[WM_AX_TP] = tp + r->base;
                for (at[WM_AX_PART] = 0;; at[WM_AX_PART]++, i++)
                    if (i == r->nfile || memcmp(r->file[i].at, at, sizeof(at)) != 0)
                        break;
                if (at[WM_AX_PART] == 0)
                    return missing(a, r, at, err);
                if (i < r->nfile && r->file[i].at[WM_AX_TP] == at[WM_AX_TP] && r->file[i].at[WM_AX_PP] == at[WM_AX_PP] &&
                    r->file[i].at[WM_AX_EP] == at[WM_AX_EP])
                    return missing(a, r, at, err); /* a part before it */
            }
    return WM_OK;
}

/* ---- known layouts ---- */

static bool
is_checkpoint(struct wm_str name)
{
    enum wm_format_id id;

    return name.n && name.p[0] != '.' && wm_format_by_suffix(name, &id) &&
           !(wm_formats[id]->aside && wm_formats[id]->aside(name));
}

static bool
has_checkpoint(const struct wm_str *name, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (is_checkpoint(name[i]))
            return true;
    return false;
}

/* Files of the directory itself that are read before those of the template. */
static bool
is_shadowed(const char *file, const struct wm_str *name, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (memchr(name[i].p, '/', name[i].n) || name[i].p[0] == '.')
            continue;
        if (wm_str_ends(name[i], WM_STR(".index.json")))
            return true;
        if (wm_str_ends(name[i], WM_STR(".safetensors")) && !strstr(file, ".safetensors"))
            return true;
    }
    return false;
}

static void
fill(struct wm_arena *a, const struct layout *l, const struct wm_str *name, uint32_t n, struct wm_ranks *r)
{
    size_t dir = strlen(l->dir);

    r->layout = l->name;
    r->file = WM_NEW_N(a, struct wm_rank_file, n);
    r->left_out = WM_NEW_N(a, struct wm_str, n);
    for (uint32_t i = 0; i < n; i++) {
        struct wm_rank_file f = {.name = name[i], .file = WM_NONE};
        uint32_t has;
        bool here = wm_str_starts(name[i], wm_str_c(l->dir));

        if (here && wm_rank_match(l->file, (struct wm_str){name[i].p + dir, name[i].n - dir}, f.at, &has)) {
            r->has = has;
            r->file[r->nfile++] = f;
        } else if (here && !memchr(name[i].p + dir, '/', name[i].n - dir) &&
                   is_checkpoint((struct wm_str){name[i].p + dir, name[i].n - dir})) {
            r->left_out[r->nleft++] = name[i];
        }
    }
}

static struct wm_ranks *
find(struct wm_arena *a, const struct wm_str *name, uint32_t n)
{
    for (size_t k = 0; k < WM_COUNTOF(layouts); k++) {
        struct wm_ranks *r = WM_NEW(a, struct wm_ranks);

        if (!layouts[k].dir[0] && !strchr(layouts[k].file, '/') && is_shadowed(layouts[k].file, name, n))
            continue;
        fill(a, &layouts[k], name, n, r);
        if (r->nfile == 0)
            continue;
        r->second_is_open = strstr(layouts[k].file, "{tp}_{pp}/model") != NULL;
        return r;
    }
    return NULL;
}

/* ---- other names ---- */

/* The numbers of a name, each with where it begins. */
static uint32_t
numbers(struct wm_str s, uint32_t *value, size_t *at, size_t *len)
{
    uint32_t n = 0;

    for (size_t i = 0; i < s.n && n < MOST_NUMBERS;) {
        size_t k = number((struct wm_str){s.p + i, s.n - i}, &value[n]);

        if (k) {
            at[n] = i;
            len[n++] = k;
        }
        i += k ? k : 1;
    }
    return n;
}

/* Is it the same text around the same count of numbers? */
static bool
same_text(struct wm_str s, struct wm_str t)
{
    uint32_t value[2][MOST_NUMBERS];
    size_t at[2][MOST_NUMBERS], len[2][MOST_NUMBERS], i = 0, j = 0;
    uint32_t n = numbers(s, value[0], at[0], len[0]);

    if (numbers(t, value[1], at[1], len[1]) != n)
        return false;
    for (uint32_t k = 0; k <= n; k++) {
        size_t a = (k < n ? at[0][k] : s.n) - i, b = (k < n ? at[1][k] : t.n) - j;

        if (a != b || memcmp(s.p + i, t.p + j, a) != 0)
            return false;
        if (k < n) {
            i = at[0][k] + len[0][k];
            j = at[1][k] + len[1][k];
        }
    }
    return true;
}

/* What a number counts, by the words before it: "pp_rank_", "stage-"; WM_AX_N: nothing that a rank is called. */
static enum wm_rank_axis
axis_before(struct wm_str s, size_t end)
{
    static const struct {
        const char *word;
        enum wm_rank_axis axis;
    } words[] = {{"pp", WM_AX_PP}, {"stage", WM_AX_PP}, {"pipeline", WM_AX_PP}, {"ep", WM_AX_EP}, {"expert", WM_AX_EP},
                 {"dp", WM_AX_DP}, {"part", WM_AX_PART}, {"tp", WM_AX_TP}, {"mp", WM_AX_TP}, {"r", WM_AX_TP},
                 {"shard", WM_AX_TP}, {"gpu", WM_AX_TP}, {"device", WM_AX_TP}, {"worker", WM_AX_TP}};
    bool rank = false;

    for (int turn = 0; turn < 2; turn++) {
        size_t from, to = end;

        while (to > 0 && strchr("_-.", s.p[to - 1]))
            to--;
        for (from = to; from > 0 && isalpha((unsigned char)s.p[from - 1]);)
            from--;
        for (size_t k = 0; k < WM_COUNTOF(words); k++)
            if (wm_str_eq((struct wm_str){s.p + from, to - from}, wm_str_c(words[k].word)))
                return words[k].axis;
        if (!wm_str_eq((struct wm_str){s.p + from, to - from}, WM_STR("rank")))
            break;
        rank = true;
        end = from;
    }
    return rank ? WM_AX_TP : WM_AX_N;
}

/* Do two files have a tensor of the same name? */
static bool
has_repeats(struct wm_arena *a, const struct wm_manifest *m)
{
    struct wm_map seen;

    wm_map_init(&seen, a, m->tensor.n);
    for (uint32_t k = 0; k < m->tensor.n; k++)
        if (wm_map_put(&seen, m->tensor.item[k].name, k) != k)
            return true;
    return false;
}

/* The numbers that differ among the files become their ranks; false: they don't make ranks. */
static bool
guess(struct wm_ranks *r)
{
    struct wm_str s = r->file[0].name;
    uint32_t first[MOST_NUMBERS], value[MOST_NUMBERS], n;
    size_t at[MOST_NUMBERS], len[MOST_NUMBERS];
    bool vary[MOST_NUMBERS] = {0};

    n = numbers(s, first, at, len);
    for (uint32_t i = 1; i < r->nfile; i++) {
        if (!same_text(s, r->file[i].name))
            return false;
        numbers(r->file[i].name, value, at, len);
        for (uint32_t k = 0; k < n; k++)
            vary[k] |= value[k] != first[k];
    }
    for (uint32_t k = 0; k < n; k++) {
        enum wm_rank_axis axis;

        if (!vary[k])
            continue;
        numbers(s, value, at, len);
        axis = axis_before(s, at[k]);
        if (axis == WM_AX_N || r->has & 1u << axis)
            return false;
        r->has |= 1u << axis;
        for (uint32_t i = 0; i < r->nfile; i++) {
            numbers(r->file[i].name, value, at, len);
            r->file[i].at[axis] = value[k];
        }
    }
    return r->has != 0;
}

/* Some count from 1. */
static uint32_t
set_base(const struct wm_ranks *r)
{
    for (uint32_t k = 0; k < r->nfile; k++)
        if (r->file[k].at[WM_AX_TP] == 0)
            return 0;
    return 1;
}

/* rank0/model.safetensors, rank1/model.safetensors, where the directory itself has no checkpoint. */
static struct wm_ranks *
guess_below(struct wm_arena *a, const struct wm_str *name, uint32_t n)
{
    struct wm_ranks *r = WM_NEW(a, struct wm_ranks);

    r->layout = "numbered directories";
    r->file = WM_NEW_N(a, struct wm_rank_file, n);
    for (uint32_t i = 0; i < n; i++) {
        const char *slash = memchr(name[i].p, '/', name[i].n);
        struct wm_str file = slash ? (struct wm_str){slash + 1, name[i].n - (size_t)(slash - name[i].p) - 1} : name[i];

        if (memchr(file.p, '/', file.n) || !is_checkpoint(file))
            continue;
        if (!slash)
            return NULL;
        r->file[r->nfile++] = (struct wm_rank_file){.name = name[i], .file = WM_NONE};
    }
    if (r->nfile < 2 || !guess(r))
        return NULL;
    r->base = set_base(r);
    return r;
}

enum wm_status
wm_ranks_guess(struct wm_arena *a, const struct wm_manifest *m, struct wm_ranks **out, struct wm_err *err)
{
    struct wm_ranks *r = WM_NEW(a, struct wm_ranks);
    enum wm_status st;

    *out = NULL;
    if (!m->is_dir || !m->repeats || m->file.n < 2 || !has_repeats(a, m))
        return WM_OK;
    r->layout = "numbered files";
    r->dir = m->path;
    r->file = WM_NEW_N(a, struct wm_rank_file, m->file.n);
    for (uint32_t k = 0; k < m->file.n; k++)
        if (!memmem(m->file.item[k].name.p, m->file.item[k].name.n, ".tensors/", 9))
            r->file[r->nfile++] = (struct wm_rank_file){.name = m->file.item[k].name, .file = k};
    if (!guess(r))
        return WM_OK;
    r->base = set_base(r);
    st = wm_ranks_complete(a, r, err);
    *out = r;
    return st;
}

enum wm_status
wm_ranks_list(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_str dir, struct wm_ranks **out, struct wm_err *err)
{
    struct wm_str *name;
    uint32_t n;
    struct wm_ranks *r;
    enum wm_status st;

    *out = NULL;
    if (wm_list_dir(a, ctx->sys, dir, &name, &n, err) != WM_OK)
        return err->status;
    r = find(a, name, n);
    if (!r && !has_checkpoint(name, n)) {
        if (wm_list_tree(a, ctx->sys, dir, 2, &name, &n, err) != WM_OK)
            return err->status;
        r = find(a, name, n);
        if (!r)
            r = guess_below(a, name, n);
    }
    if (!r)
        return WM_OK;
    r->dir = dir;
    st = wm_ranks_read_meta(ctx, a, r, err);
    if (st == WM_OK)
        st = wm_ranks_complete(a, r, err);
    *out = r;
    return st;
}
