/* compiler/mini_values.c -- candidates for the settings that a map reads, and what becomes of those
 * that were chosen: a configuration, -D, a text.
 *
 * A setting's use and name suggest its candidates, the likeliest first. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "compiler/json_tree.h"
#include "compiler/mini_priv.h"

enum { WM_LIST_LEN = 24, WM_SHOWN = 60 };

/* ---- candidates ---- */

static void
add(struct wm_arena *a, struct wm_seen *s, const char *fmt, long long v)
{
    struct wm_str text = wm_arena_printf(a, fmt, v);

    for (uint32_t i = 0; i < s->s.value.n; i++)
        if (wm_str_eq(s->s.value.item[i], text))
            return;
    *WM_PUSH(a, &s->s.value) = text;
}

static bool
has_word(struct wm_str name, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= name.n; i++)
        if (memcmp(name.p + i, word, n) == 0)
            return true;
    return false;
}

/* First guesses by name: heads are a multiple of key heads, widths one of heads; then anything. */
static void
add_numbers(struct wm_arena *a, struct wm_seen *s)
{
    static const struct {
        const char *word;
        int64_t value[5];
    } guess[] = {
        {"dense_replace", {1, 2}},      {"sparse_step", {2, 3, 1}},
        {"interval", {2, 3, 1}},        {"layer", {4, 3, 5, 6, 2}},
        {"kv_head", {2, 3, 4}},         {"key_value_head", {2, 3, 4}},
        {"query_group", {2, 3, 4}},     {"head_dim", {10, 14, 22, 26}},
        {"kv_channels", {10, 14, 22}},  {"head", {6, 4, 12, 8}},
        {"expert", {5, 7, 4, 8}},       {"vocab", {97, 101, 96, 128}},
        {"intermediate", {44, 52, 34}}, {"hidden", {84, 60, 120, 48, 96}},
        {"n_embd", {84, 60, 120, 48}},  {"d_model", {84, 60, 120, 48}},
    };
    static const int64_t any[] = {7,  5,  11, 13, 2,  3,  4,  6,  8,  9,  10, 12, 14, 16,  18,
                                  20, 24, 28, 30, 32, 36, 40, 48, 60, 64, 72, 84, 96, 120, 1};

    for (size_t g = 0; g < WM_COUNTOF(guess); g++)
        for (size_t k = 0; k < 5 && has_word(s->s.name, guess[g].word); k++)
            if (guess[g].value[k])
                add(a, s, "%lld", guess[g].value[k]);
    for (uint32_t i = 0; i < s->number.n; i++)
        for (int64_t d = 0; d < 3; d++) /* n, n + 1, n - 1 */
            add(a, s, "%lld", s->number.item[i] + (d == 2 ? -1 : d));
    for (size_t i = 0; i < WM_COUNTOF(any); i++)
        add(a, s, "%lld", any[i]);
}

/* Lists that are long enough for any number of layers: all the same, by turns, all but the first.
 */
static void
add_list(struct wm_arena *a, struct wm_seen *s, const struct wm_str *item, uint32_t n)
{
    for (uint32_t kind = 0; kind < 2 + n; kind++) {
        struct wm_buf b;

        wm_buf_init(&b, a);
        for (uint32_t i = 0; i < WM_LIST_LEN; i++) {
            uint32_t k = kind == 0 ? i % n : kind == 1 ? (i + 1) % n : kind - 2;

            wm_buf_putz(&b, i ? ", " : "[");
            wm_buf_puts(&b, item[k]);
        }
        wm_buf_putc(&b, ']');
        *WM_PUSH(a, &s->s.value) = wm_buf_str(&b);
    }
}

static void
add_words(struct wm_arena *a, struct wm_seen *s, bool list)
{
    WM_VEC(struct wm_str) json = {0};

    *WM_PUSH(a, &s->word) = WM_STR("other");
    for (uint32_t i = 0; i < s->word.n; i++) {
        struct wm_buf b;
        bool again = false;

        for (uint32_t k = 0; k < i; k++)
            again |= wm_str_eq(s->word.item[k], s->word.item[i]);
        if (again)
            continue;
        wm_buf_init(&b, a);
        wm_buf_json(&b, s->word.item[i]);
        *WM_PUSH(a, &json) = wm_buf_str(&b);
        if (!list)
            *WM_PUSH(a, &s->s.value) = wm_buf_str(&b);
    }
    if (list)
        add_list(a, s, json.item, json.n);
}

void
wm_seen_values(struct wm_arena *a, struct wm_seen *s)
{
    static const struct wm_str flag[] = {{"true", 4}, {"false", 5}};
    static const struct wm_str number[] = {{"7", 1}, {"5", 1}, {"11", 2}, {"13", 2}};
    static const struct wm_str dtype[] = {{"\"float32\"", 9}, {"\"bfloat16\"", 10}, {"\"float16\"", 9}};
    bool absent = !s->s.required,
         first = s->use == WM_USE_BOOL || s->use >= WM_USE_LIST || s->use == WM_USE_TEXT || s->use == WM_USE_DTYPE;

    if (absent && (first || s->s.kind == WM_SET_PARAM))
        *WM_PUSH(a, &s->s.value) = WM_STR("");
    switch (s->use) {
    case WM_USE_BOOL:
        for (size_t i = 0; i < 2; i++)
            *WM_PUSH(a, &s->s.value) = flag[i];
        break;
    case WM_USE_DTYPE:
        for (size_t i = 0; i < WM_COUNTOF(dtype); i++)
            *WM_PUSH(a, &s->s.value) = dtype[i];
        break;
    case WM_USE_TEXT:
    case WM_USE_TEXTS:
        add_words(a, s, s->use == WM_USE_TEXTS);
        break;
    case WM_USE_LIST:
        add_list(a, s, flag, 2);
        break;
    case WM_USE_NUMBERS:
        *WM_PUSH(a, &s->s.value) = WM_STR("[]");
        *WM_PUSH(a, &s->s.value) = WM_STR("[0]");
        *WM_PUSH(a, &s->s.value) = WM_STR("[1]");
        *WM_PUSH(a, &s->s.value) = WM_STR("[0, 2]");
        add_list(a, s, number, 4);
        break;
    case WM_USE_SIZES:
        add_list(a, s, number, 4);
        break;
    default:
        add_numbers(a, s);
    }
    if (absent && !first && s->s.kind != WM_SET_PARAM)
        *WM_PUSH(a, &s->s.value) = WM_STR("");
}

void
wm_inner_values(struct wm_arena *a, wm_settings *out, enum wm_setting_kind kind, const int64_t *v,
                uint32_t n)
{
    struct wm_seen s = {.s = {.kind = kind}};

    for (uint32_t i = 0; i < n; i++)
        add(a, &s, "%lld", v[i]);
    *WM_PUSH(a, out) = s.s;
}

/* ---- what was chosen ---- */

static struct wm_str
chosen(const struct wm_setting *s)
{
    return s->value.item[s->at];
}

/* Put a value at a dotted path. */
static void
put(struct cJSON *root, struct wm_arena *a, struct wm_str path, struct wm_str json)
{
    struct cJSON *value = cJSON_ParseWithLength(json.p, json.n);
    const char *dot;

    while ((dot = memchr(path.p, '.', path.n)) != NULL) {
        size_t n = (size_t)(dot - path.p);
        const char *key = wm_arena_cstr(a, (struct wm_str){path.p, n});
        struct cJSON *in = cJSON_GetObjectItemCaseSensitive(root, key);

        root = cJSON_IsObject(in) ? in : cJSON_AddObjectToObject(root, key);
        path.p += n + 1;
        path.n -= n + 1;
    }
    if (!root || !value || !cJSON_AddItemToObject(root, wm_arena_cstr(a, path), value))
        cJSON_Delete(value);
}

struct wm_str
wm_settings_config(struct wm_arena *a, const wm_settings *s, const struct cJSON *base)
{
    struct cJSON *root = base ? cJSON_Duplicate(base, true) : cJSON_CreateObject();
    struct wm_str text = WM_STR("");

    if (root && !cJSON_GetObjectItemCaseSensitive(root, "model_type"))
        cJSON_AddStringToObject(root, "model_type", "mini");
    for (uint32_t i = 0; root && i < s->n; i++)
        if (s->item[i].kind == WM_SET_CONFIG && chosen(&s->item[i]).n)
            put(root, a, s->item[i].name, chosen(&s->item[i]));
    if (root)
        text = wm_json_print(a, root, true);
    cJSON_Delete(root);
    return text.n ? text : WM_STR("{}");
}

static struct wm_str
plain(struct wm_setting *s)
{
    struct wm_str v = chosen(s);

    return s->text && v.n > 1 ? (struct wm_str){v.p + 1, v.n - 2} : v;
}

void
wm_settings_define(struct wm_arena *a, const wm_settings *s, const struct wm_str *define,
                   uint32_t ndefine, struct wm_str **out, uint32_t *n)
{
    struct wm_str *d = WM_NEW_N(a, struct wm_str, ndefine + s->n);

    *n = 0;
    for (uint32_t i = 0; i < ndefine; i++)
        d[(*n)++] = define[i];
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].kind == WM_SET_PARAM && chosen(&s->item[i]).n)
            d[(*n)++] = wm_arena_printf(a, "%.*s=%.*s", WM_STR_ARG(s->item[i].name),
                                        WM_STR_ARG(plain(&s->item[i])));
    *out = d;
}

struct wm_str
wm_settings_text(struct wm_arena *a, const wm_settings *s)
{
    struct wm_buf b;

    wm_buf_init(&b, a);
    for (uint32_t i = 0; i < s->n; i++) {
        struct wm_str v = chosen(&s->item[i]);

        if (s->item[i].kind > WM_SET_PARAM || v.n == 0)
            continue;
        wm_buf_printf(&b, "%s%.*s=", b.n ? " " : "", WM_STR_ARG(s->item[i].name));
        wm_buf_safe(&b, v, WM_SHOWN); /* lists are long */
    }
    return wm_buf_str(&b);
}

int64_t
wm_settings_inner(const wm_settings *s, enum wm_setting_kind kind, int64_t none)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (s->item[i].kind == kind)
            return strtoll(chosen(&s->item[i]).p, NULL, 10);
    return none;
}
