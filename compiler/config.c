/* compiler/config.c -- reads a config.json, and other small files of an input. */
#include <cjson/cJSON.h>

#include "compiler/json_tree.h"
#include "compiler/value.h"
#include "runtime/formats/torch.h"

enum { WM_CONFIG_MAX = 64 << 20 };

enum wm_status
wm_config_read(struct wm_cc *cc, struct wm_str path, const struct cJSON **out, struct wm_err *err)
{
    const char *file = wm_arena_cstr(cc->a, path);
    struct wm_str text;
    cJSON *json = NULL;
    enum wm_status st = wm_read_file(cc->a, cc->sys, path, WM_CONFIG_MAX, &text, err);

    if (st == WM_OK)
        st = wm_json_tree(cc, file, text, &json, err);
    if (st != WM_OK)
        return st;
    if (!cJSON_IsObject(json))
        return wm_fail(err, WM_EFORMAT, file, "not a JSON object");
    *out = json;
    return WM_OK;
}

struct wm_str
wm_small_path(struct wm_cc *cc, struct wm_str path)
{
    struct wm_str pt;
    struct stat st;

    if (!wm_str_ends(path, WM_STR(".json")))
        return path;
    pt = wm_arena_printf(cc->a, "%.*s.pt", (int)path.n - 5, path.p);
    return cc->sys->stat(pt.p, &st) == 0 ? pt : path;
}

static enum wm_status
read_pickled(struct wm_cc *cc, struct wm_str path, const struct cJSON **out, struct wm_err *err)
{
    const char *file = wm_arena_cstr(cc->a, path);
    struct wm_str text;
    cJSON *json = NULL;
    enum wm_status st = wm_torch_json(cc->a, cc->sys, path, WM_CONFIG_MAX, &text, err);

    if (st == WM_OK)
        st = wm_json_tree(cc, file, text, &json, err);
    if (st != WM_OK)
        return st;
    if (!cJSON_IsObject(json))
        return wm_fail(err, WM_EFORMAT, file, "not a dict of plain values");
    *out = json;
    return WM_OK;
}

enum wm_status
wm_small_read(struct wm_cc *cc, struct wm_str path, const struct cJSON **out, struct wm_err *err)
{
    struct wm_str real = wm_small_path(cc, path);

    return wm_str_eq(real, path) ? wm_config_read(cc, path, out, err) : read_pickled(cc, real, out, err);
}
