/* api/rank_meta.c -- mp_metadata_pp_rank_X.json (or .pt), which optimum-neuron's training leaves beside its shards (see ranks.h).
 *
 * In: one file a pipeline stage.  Out: the number of ranks, and for a tensor whether and how it is cut.  The files must
 * agree with each other; what they say of sizes is compared with the tensors by the caller. */
#include <cjson/cJSON.h>
#include <inttypes.h>

#include "api/ranks.h"
#include "compiler/value.h"

enum { MOST_STAGES = 1 << 16 };

static enum wm_status
bad(const struct wm_rank_meta *m, const char *name, const char *what, struct wm_err *err)
{
    return wm_fail(err, WM_EFORMAT, m->path.p, "\"%s\": %s", name, what);
}

/* A natural number below 2^31; `absent` where the key is not there. */
static bool
natural(const cJSON *object, const char *key, uint32_t absent, uint32_t *out)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);

    *out = absent;
    if (!v)
        return absent != WM_NONE;
    if (!cJSON_IsNumber(v) || v->valuedouble < 0 || v->valuedouble > INT32_MAX || v->valuedouble != (int32_t)v->valuedouble)
        return false;
    *out = (uint32_t)v->valuedouble;
    return true;
}

static const char *
word(const cJSON *object, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);

    return cJSON_IsString(v) ? v->valuestring : "";
}

/* ---- the number of ranks ---- */

static enum wm_status
same_tp(struct wm_ranks *r, const struct wm_rank_meta *m, const char *name, uint32_t tp, struct wm_err *err)
{
    if (r->count[WM_AX_TP] == 0)
        r->count[WM_AX_TP] = tp;
    if (r->count[WM_AX_TP] == tp && tp > 0)
        return WM_OK;
    return wm_fail(err, WM_EFORMAT, m->path.p, "\"%s\": of %" PRIu32 " tensor ranks, others of %" PRIu32, name, tp,
                   r->count[WM_AX_TP]);
}

static enum wm_status
check_specs(struct wm_ranks *r, const struct wm_rank_meta *m, struct wm_err *err)
{
    const cJSON *module, *spec;
    enum wm_status st = WM_OK;

    cJSON_ArrayForEach(module, m->specs) {
        const char *name = word(module, "module_fully_qualified_name");

        cJSON_ArrayForEach(spec, cJSON_GetObjectItemCaseSensitive(module, "specs")) {
            uint32_t tp;

            if (!cJSON_IsArray(spec) || cJSON_GetArraySize(spec) != 2 || !cJSON_IsString(cJSON_GetArrayItem(spec, 0)) ||
                !natural(cJSON_GetArrayItem(spec, 1), "tp_size", WM_NONE, &tp))
                return bad(m, name, "a specification is not [class, {.., \"tp_size\": ranks}]", err);
            st = same_tp(r, m, name, tp, err);
            if (st != WM_OK)
                return st;
        }
    }
    return st;
}

static enum wm_status
check_parameters(struct wm_ranks *r, const struct wm_rank_meta *m, struct wm_err *err)
{
    const cJSON *p;
    enum wm_status st = WM_OK;

    cJSON_ArrayForEach(p, m->parameters) {
        const cJSON *cut = cJSON_GetObjectItemCaseSensitive(p, "tensor_model_parallel");
        uint32_t dim, stride, n;

        if (!cJSON_IsBool(cut))
            return bad(m, p->string, "\"tensor_model_parallel\" is not there", err);
        if (!cJSON_IsTrue(cut))
            continue;
        if (!natural(p, "partition_dim", WM_NONE, &dim) || !natural(p, "partition_stride", 1, &stride) || stride == 0 ||
            !natural(p, "num_partitions", WM_NONE, &n))
            return bad(m, p->string, "its dimension, stride or number of partitions is no natural number", err);
        st = same_tp(r, m, p->string, n, err);
        if (st != WM_OK)
            return st;
    }
    return st;
}

static enum wm_status
read_stage(struct wmap_ctx *ctx, struct wm_ranks *r, struct wm_rank_meta *m, struct wm_err *err)
{
    const cJSON *json;
    enum wm_status st = wm_small_read(&ctx->cc, m->path, &json, err);

    m->path = wm_small_path(&ctx->cc, m->path);
    if (st != WM_OK)
        return st;
    m->parameters = cJSON_GetObjectItemCaseSensitive(json, "parameters");
    m->specs = cJSON_GetObjectItemCaseSensitive(json, "model_weight_transformation_specs");
    if (!cJSON_IsObject(m->parameters))
        return wm_fail(err, WM_EFORMAT, m->path.p, "no object \"parameters\"");
    st = check_parameters(r, m, err);
    return st == WM_OK ? check_specs(r, m, err) : st;
}

/* Where the files of ranks lie, with its slash. */
static struct wm_str
folder(const struct wm_ranks *r)
{
    struct wm_str s = r->file[0].name;

    while (s.n && s.p[s.n - 1] != '/')
        s.n--;
    return s;
}

/* The highest stage of which `dir` has a metadata file, and one; 0: there is none. */
static enum wm_status
count_stages(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_str dir, uint32_t *n, bool *unfinished, struct wm_err *err)
{
    struct wm_str *name;
    uint32_t nname;

    *n = 0;
    *unfinished = true;
    if (wm_list_dir(a, ctx->sys, dir, &name, &nname, err) != WM_OK)
        return err->status;
    for (uint32_t i = 0; i < nname; i++) {
        uint32_t at[WM_AX_N], has;

        if ((wm_rank_match("mp_metadata_pp_rank_{pp}.json", name[i], at, &has) ||
             wm_rank_match("mp_metadata_pp_rank_{pp}.pt", name[i], at, &has)) && at[WM_AX_PP] >= *n && at[WM_AX_PP] < MOST_STAGES)
            *n = at[WM_AX_PP] + 1;
        *unfinished &= !wm_str_eq(name[i], WM_STR("done"));
    }
    return WM_OK;
}

enum wm_status
wm_ranks_read_meta(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_ranks *r, struct wm_err *err)
{
    struct wm_str dir;
    uint32_t n;
    enum wm_status st;

    if (!(r->has & 1u << WM_AX_PP) || strcmp(r->layout, "optimum-neuron") != 0)
        return WM_OK;
    dir = wm_arena_printf(a, "%.*s/%.*s..", WM_STR_ARG(r->dir), WM_STR_ARG(folder(r)));
    st = count_stages(ctx, a, dir, &n, &r->unfinished, err);
    r->unfinished &= n > 0;
    if (st != WM_OK || n == 0)
        return st;
    r->meta = WM_NEW_N(a, struct wm_rank_meta, n);
    for (uint32_t k = 0; st == WM_OK && k < n; k++) {
        r->meta[k].path = wm_arena_printf(a, "%.*s/mp_metadata_pp_rank_%" PRIu32 ".json", WM_STR_ARG(dir), k);
        st = read_stage(ctx, r, &r->meta[k], err);
    }
    r->count[WM_AX_PP] = n;
    if (r->count[WM_AX_TP] == 0)
        r->count[WM_AX_TP] = 1; /* no tensor is cut */
    return st;
}

/* ---- a tensor ---- */

static void
add_part(struct wm_rank_said *s, struct wm_arena *a, const char *name, int64_t size)
{
    s->part[s->npart] = wm_arena_str(a, wm_str_c(name));
    s->part_size[s->npart++] = size;
}

/* `rest` is what follows the module in the name of the tensor. */
static bool
by_fused(struct wm_arena *a, const cJSON *v, struct wm_str rest, uint32_t tp, struct wm_rank_said *s)
{
    struct wm_str name = wm_str_c(word(v, "fused_linear_name"));
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(v, "linear_names"), *dims, *one;
    int k = 0;

    dims = cJSON_GetObjectItemCaseSensitive(v, "original_dims");
    if (!wm_str_starts(rest, name) || rest.n == name.n || rest.p[name.n] != '.' ||
        memmem(rest.p, rest.n, "lora_", 5)) /* an adapter's factor */
        return true;
    if (!cJSON_IsArray(names) || cJSON_GetArraySize(names) != cJSON_GetArraySize(dims) || cJSON_GetArraySize(names) > 3)
        return false;
    cJSON_ArrayForEach(one, names) {
        const cJSON *d = cJSON_GetArrayItem(dims, k++);

        if (!cJSON_IsString(one) || !cJSON_IsNumber(d) || d->valuedouble < 0 || d->valuedouble > INT32_MAX)
            return false;
        add_part(s, a, one->valuestring, (int64_t)d->valuedouble / tp);
    }
    return true;
}

static bool
by_gqa(struct wm_arena *a, const cJSON *v, struct wm_str rest, struct wm_rank_said *s)
{
    struct wm_str name = wm_str_c(word(v, "gqa_qkv_projection_name"));
    uint32_t q, kv, copies;

    if (!natural(v, "q_output_size_per_partition", WM_NONE, &q) || !natural(v, "kv_output_size_per_partition", WM_NONE, &kv) ||
        !natural(v, "kv_size_multiplier", WM_NONE, &copies))
        return false;
    if (!wm_str_starts(rest, name) || rest.n == name.n || rest.p[name.n] != '.' || memmem(rest.p, rest.n, "lora_", 5))
        return true;
    if (wm_str_ends(rest, WM_STR("_k")) || wm_str_ends(rest, WM_STR("_v"))) {
        s->copies = copies;
        add_part(s, a, word(v, wm_str_ends(rest, WM_STR("_k")) ? "key_projection_name" : "value_projection_name"), kv);
    } else if (wm_str_ends(rest, WM_STR("_q"))) {
        add_part(s, a, word(v, "query_projection_name"), q);
    } else if (wm_str_ends(rest, WM_STR("_qkv"))) {
        s->cut = true; /* the class says no: it is made anew after its attributes were set */
        add_part(s, a, word(v, "query_projection_name"), q);
        add_part(s, a, word(v, "key_projection_name"), kv);
        add_part(s, a, word(v, "value_projection_name"), kv);
    }
    return true;
}

static enum wm_status
by_specs(struct wm_arena *a, const struct wm_ranks *r, const struct wm_rank_meta *m, struct wm_str name,
         struct wm_rank_said *s, struct wm_err *err)
{
    const cJSON *module, *spec;

    cJSON_ArrayForEach(module, m->specs) {
        struct wm_str at = wm_str_c(word(module, "module_fully_qualified_name")), rest;

        if (!wm_str_starts(name, at) || name.n == at.n || name.p[at.n] != '.')
            continue;
        rest = (struct wm_str){name.p + at.n + 1, name.n - at.n - 1};
        cJSON_ArrayForEach(spec, cJSON_GetObjectItemCaseSensitive(module, "specs")) {
            const char *cls = cJSON_GetArrayItem(spec, 0)->valuestring;
            const cJSON *v = cJSON_GetArrayItem(spec, 1);
            bool ok = true;

            if (strcmp(cls, "FusedLinearsSpec") == 0)
                ok = by_fused(a, v, rest, r->count[WM_AX_TP], s);
            else if (strcmp(cls, "GQAQKVColumnParallelLinearSpec") == 0)
                ok = by_gqa(a, v, rest, s);
            if (!ok)
                return bad(m, wm_arena_cstr(a, at), "its specification lacks sizes, or has wrong ones", err);
        }
    }
    return WM_OK;
}

enum wm_status
wm_rank_said_of(struct wm_arena *a, const struct wm_ranks *r, uint32_t pp, struct wm_str name, struct wm_rank_said *out,
                struct wm_err *err)
{
    const cJSON *p;

    *out = (struct wm_rank_said){.stride = 1, .copies = 1};
    if (!r->meta || pp >= r->count[WM_AX_PP])
        return WM_OK;
    p = cJSON_GetObjectItemCaseSensitive(r->meta[pp].parameters, wm_arena_cstr(a, name));
    if (!p)
        return WM_OK;
    out->known = true;
    out->cut = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(p, "tensor_model_parallel"));
    natural(p, "partition_dim", 0, &out->dim);
    natural(p, "partition_stride", 1, &out->stride);
    return by_specs(a, r, &r->meta[pp], name, out, err);
}

enum wm_status
wm_rank_meta_names(struct wm_arena *a, const struct wm_ranks *r, const struct wm_map *have, struct wm_err *err)
{
    for (uint32_t pp = 0; pp < r->count[WM_AX_PP]; pp++) {
        const cJSON *p;

        cJSON_ArrayForEach(p, r->meta[pp].parameters) {
            struct wm_str key = wm_arena_printf(a, "%" PRIu32 ":%s", pp, p->string);

            if (wm_map_get(have, key) == WM_NONE)
                return wm_fail(err, WM_EFORMAT, r->dir.p, "rank pp %" PRIu32 " lacks the tensor \"%s\", which %s names", pp,
                               p->string, r->meta[pp].path.p);
        }
    }
    return WM_OK;
}
