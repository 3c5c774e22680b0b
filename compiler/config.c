/* compiler/config.c -- reads a config.json. */
#include <cjson/cJSON.h>

#include "compiler/json_tree.h"
#include "compiler/value.h"

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
