/* compiler/config.c -- reads a config.json.
 *
 * cJSON makes the tree, but it is no validator (it lets duplicates, trailing text and bad UTF-8 pass), so the text
 * goes through the strict reader first. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "compiler/value.h"
#include "runtime/json.h"

enum { WM_CONFIG_MAX = 64 << 20 };

/* One object is open per depth; its keys so far, to refuse duplicates. */
static enum wm_status
validate(struct wm_cc *cc, struct wm_str path, struct wm_str text, struct wm_err *err)
{
    const char *file = wm_arena_cstr(cc->a, path);
    struct wm_map keys[WM_JSON_MAX_DEPTH + 1];
    struct wm_json j;

    wm_json_init(&j, cc->a, text.p, text.n);
    for (;;) {
        enum wm_json_tok t = wm_json_next(&j);

        if (t == WM_JS_END)
            return WM_OK;
        if (t == WM_JS_ERROR)
            return wm_fail(err, WM_EFORMAT, file, "not valid JSON at offset %zu: %s", j.tok_at, j.why);
        if (t == WM_JS_OBJECT)
            wm_map_init(&keys[j.depth], cc->a, 16);
        if (t == WM_JS_KEY) {
            if (wm_map_get(&keys[j.depth], j.str) != WM_NONE)
                return wm_fail(err, WM_EFORMAT, file, "duplicate key \"%.*s\" at offset %zu",
                               WM_STR_ARG(j.str), j.tok_at);
            wm_map_put(&keys[j.depth], j.str, 0);
        }
    }
}

enum wm_status
wm_config_read(struct wm_cc *cc, struct wm_str path, const struct cJSON **out, struct wm_err *err)
{
    const char *file = wm_arena_cstr(cc->a, path);
    struct wm_str text;
    enum wm_status st = wm_read_file(cc->a, cc->sys, path, WM_CONFIG_MAX, &text, err);
    cJSON *json;

    if (st == WM_OK)
        st = validate(cc, path, text, err);
    if (st != WM_OK)
        return st;
    json = cJSON_ParseWithLength(text.p, text.n);
    if (!json)
        return wm_fail(err, WM_EFORMAT, file, "not valid JSON");
    wm_cc_own_json(cc, json);
    if (!cJSON_IsObject(json))
        return wm_fail(err, WM_EFORMAT, file, "not a JSON object");
    *out = json;
    return WM_OK;
}
