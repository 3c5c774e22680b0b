/* runtime/format.c -- the table of containers, from formats.def. */
#include "runtime/format.h"

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

const struct wm_format *
wm_format_by_suffix(struct wm_str path, enum wm_format_id *id)
{
    for (int k = 0; k < WM_FMT_N; k++)
        if (wm_format_has_suffix(wm_formats[k], path))
            return found(k, id);
    return NULL;
}
