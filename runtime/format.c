/* runtime/format.c -- the table of containers, from formats.def. */
#include "runtime/format.h"

#include <inttypes.h>

const struct wm_format *const wm_formats[WM_FMT_N] = {
#define WM_FORMAT(id, name, suffix) &wm_format_##id,
#include "runtime/formats.def"
#undef WM_FORMAT
};

static const struct wm_format *
found(int k, enum wm_format_id *id)
{
    if (id)
        *id = (enum wm_format_id)k;
    return wm_formats[k];
}

const struct wm_format *
wm_format_by_name(struct wm_str name, enum wm_format_id *id)
{
    for (int k = 0; k < WM_FMT_N; k++)
        if (wm_str_eq(name, wm_str_c(wm_formats[k]->name)))
            return found(k, id);
    return NULL;
}

bool
wm_format_has_suffix(const struct wm_format *f, struct wm_str path)
{
    if (wm_str_ends(path, wm_str_c(f->suffix)))
        return true;
    for (const char *const *s = f->suffixes; s && *s; s++)
        if (wm_str_ends(path, wm_str_c(*s)))
            return true;
    return false;
}

struct wm_str
wm_format_shard_name(const struct wm_format *f, struct wm_arena *a, uint32_t shard, uint32_t nshard)
{
    if (nshard == 1)
        return wm_arena_printf(a, "%s%s", f->stem, f->suffix);
    return wm_arena_printf(a, "%s-%05" PRIu32 "-of-%05" PRIu32 "%s", f->stem, shard, nshard, f->suffix);
}

const struct wm_format *
wm_format_by_suffix(struct wm_str path, enum wm_format_id *id)
{
    for (int k = 0; k < WM_FMT_N; k++)
        if (wm_format_has_suffix(wm_formats[k], path))
            return found(k, id);
    return NULL;
}

static void
put_bytes(void *builder, struct wm_str text)
{
    wm_plan_add_bytes(builder, text.p, text.n);
}

struct wm_plan_bytes
wm_format_add_index(const struct wm_format *f, struct wm_plan_builder *b, struct wm_indexed *x, uint32_t n,
                    uint64_t total_size)
{
    struct wm_plan_bytes bytes = {.off = b->section[WM_PS_BLOB].n};

    f->index(b->a, x, n, total_size, put_bytes, b);
    bytes.len = b->section[WM_PS_BLOB].n - bytes.off;
    return bytes;
}
