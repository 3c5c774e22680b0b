/* compiler/value.c -- values: of JSON, and as text. */
#include "compiler/value.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "compiler/eval_priv.h"

const char *
wm_vkind_name(enum wm_vkind k)
{
    static const char *const name[] = {"an error", "null",      "an integer",
                                       "a float",  "a boolean", "a string",
                                       "a list",   "an object", "a number that does not fit in 64 bits"};

    return name[k];
}

/* Integers are exact; other integral numbers up to 2^53 are integers, too: 4096.0, 4e3. */
static struct wm_value
of_number(const struct cJSON *j)
{
    double d = j->valuedouble;
    const char *s = j->valuestring; /* see compiler/json_tree.h */
    long long i;

    if (s && !strpbrk(s, ".eE")) {
        errno = 0;
        i = strtoll(s, NULL, 10);
        return errno ? (struct wm_value){.kind = WM_V_HUGE, .u.s = wm_str_c(s)} : int_value(i);
    }
    if (s && !isfinite(d))
        return (struct wm_value){.kind = WM_V_HUGE, .u.s = wm_str_c(s)};
    return d == floor(d) && fabs(d) <= 9007199254740992.0 ? int_value((int64_t)d) : float_value(d);
}

struct wm_value
wm_value_of_json(struct wm_arena *a, const struct cJSON *j)
{
    if (!j || cJSON_IsNull(j))
        return (struct wm_value){.kind = WM_V_NULL};
    if (cJSON_IsBool(j))
        return bool_value(cJSON_IsTrue(j));
    if (cJSON_IsNumber(j))
        return of_number(j);
    if (cJSON_IsString(j))
        return (struct wm_value){.kind = WM_V_STR, .u.s = wm_str_c(j->valuestring)};
    if (cJSON_IsArray(j)) {
        uint32_t n = (uint32_t)cJSON_GetArraySize(j), i = 0;
        struct wm_value *item = WM_NEW_N(a, struct wm_value, n);

        for (const struct cJSON *c = j->child; c; c = c->next)
            item[i++] = wm_value_of_json(a, c);
        return (struct wm_value){.kind = WM_V_LIST, .u.list = {item, n}};
    }
    return (struct wm_value){.kind = WM_V_OBJECT, .u.json = j};
}

void
wm_value_print(struct wm_value v, struct wm_buf *out)
{
    switch (v.kind) {
    case WM_V_INT:
        wm_buf_printf(out, "%lld", (long long)v.u.i);
        break;
    case WM_V_FLOAT:
        wm_buf_printf(out, "%.17g", v.u.f);
        break;
    case WM_V_BOOL:
        wm_buf_putz(out, v.u.b ? "true" : "false");
        break;
    case WM_V_STR:
        wm_buf_json(out, v.u.s);
        break;
    case WM_V_HUGE:
        wm_buf_puts(out, v.u.s);
        break;
    case WM_V_LIST:
        wm_buf_putc(out, '[');
        for (uint32_t i = 0; i < v.u.list.n; i++) {
            wm_buf_putz(out, i ? ", " : "");
            wm_value_print(v.u.list.item[i], out);
        }
        wm_buf_putc(out, ']');
        break;
    case WM_V_OBJECT:
        wm_buf_putz(out, "{...}");
        break;
    default:
        wm_buf_putz(out, "null");
    }
}
