/* compiler/json_tree.c -- texts to cJSON's trees, and back.
 *
 * cJSON's own parser is no validator (it lets duplicates, trailing text and bad UTF-8 pass) and rounds integers to
 * doubles, so the tree is built from the tokens of the strict reader. */
#include "compiler/json_tree.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "runtime/json.h"

struct cJSON *
wm_json_number(struct wm_arena *a, struct wm_str text)
{
    const char *s = wm_arena_cstr(a, text);
    cJSON *j = cJSON_CreateRaw(s);

    if (!j)
        return NULL;
    j->type = cJSON_Number;
    cJSON_SetNumberHelper(j, strtod(s, NULL));
    return j;
}

/* ---- reading ---- */

/* The brackets that are open. */
struct level {
    cJSON *node;
    struct wm_map keys; /* of an object: to refuse duplicates */
};

static cJSON *
node_of(struct wm_arena *a, const struct wm_json *j, enum wm_json_tok t)
{
    switch (t) {
    case WM_JS_OBJECT:
        return cJSON_CreateObject();
    case WM_JS_ARRAY:
        return cJSON_CreateArray();
    case WM_JS_STRING:
        return cJSON_CreateString(wm_arena_cstr(a, j->str));
    case WM_JS_UINT:
    case WM_JS_NUMBER:
        return wm_json_number(a, j->str);
    case WM_JS_TRUE:
    case WM_JS_FALSE:
        return cJSON_CreateBool(t == WM_JS_TRUE);
    default:
        return cJSON_CreateNull();
    }
}

/* Put a value where it stands; false: out of memory. */
static bool
attach(const struct level *in, const char *key, cJSON *node)
{
    bool ok = node && (cJSON_IsObject(in->node) ? cJSON_AddItemToObject(in->node, key, node)
                                                : cJSON_AddItemToArray(in->node, node));

    if (!ok)
        cJSON_Delete(node);
    return ok;
}

enum wm_status
wm_json_tree(struct wm_cc *cc, const char *file, struct wm_str text, struct cJSON **out, struct wm_err *err)
{
    struct level level[WM_JSON_MAX_DEPTH + 1];
    const char *key = NULL;
    struct wm_json j;

    /* level[0] is around the value: an array of one */
    level[0].node = cJSON_CreateArray();
    if (!level[0].node)
        return wm_fail(err, WM_ENOMEM, file, "out of memory");
    wm_cc_own_json(cc, level[0].node);
    wm_json_init(&j, cc->a, text.p, text.n);
    for (;;) {
        uint32_t depth = j.depth;
        enum wm_json_tok t = wm_json_next(&j);
        cJSON *node;

        if (t == WM_JS_END)
            break;
        if (t == WM_JS_ERROR)
            return wm_fail(err, WM_EFORMAT, file, "not valid JSON at offset %zu: %s", j.tok_at, j.why);
        if (t == WM_JS_OBJECT_END || t == WM_JS_ARRAY_END)
            continue;
        if (t == WM_JS_KEY) {
            if (wm_map_get(&level[depth].keys, j.str) != WM_NONE)
                return wm_fail(err, WM_EFORMAT, file, "duplicate key \"%.*s\" at offset %zu", WM_STR_ARG(j.str),
                               j.tok_at);
            wm_map_put(&level[depth].keys, j.str, 0);
            key = wm_arena_cstr(cc->a, j.str);
            continue;
        }
        node = node_of(cc->a, &j, t);
        if (!attach(&level[depth], key, node))
            return wm_fail(err, WM_ENOMEM, file, "out of memory");
        if (j.depth > depth)
            level[j.depth].node = node;
        if (t == WM_JS_OBJECT)
            wm_map_init(&level[j.depth].keys, cc->a, 16);
    }
    *out = level[0].node->child;
    return WM_OK;
}

/* ---- printing ---- */

/* What stands there is the text of a number. */
static void
numbers_as_written(cJSON *j)
{
    for (; j; j = j->next) {
        if (cJSON_IsNumber(j) && j->valuestring)
            j->type = cJSON_Raw;
        numbers_as_written(j->child); /* as deep as the reader and the language let trees be */
    }
}

struct wm_str
wm_json_print(struct wm_arena *a, const struct cJSON *j, bool indented)
{
    cJSON *copy = cJSON_Duplicate(j, true);
    struct wm_str out = WM_STR("");
    char *text;

    numbers_as_written(copy);
    text = copy ? (indented ? cJSON_Print(copy) : cJSON_PrintUnformatted(copy)) : NULL;
    if (text)
        out = wm_arena_str(a, wm_str_c(text));
    cJSON_free(text);
    cJSON_Delete(copy);
    return out;
}
