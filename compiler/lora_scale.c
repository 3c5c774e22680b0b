/* compiler/lora_scale.c -- what the sum of a pair is scaled by.
 *
 * Enters: a pair with its sizes, and the adapter's configuration, whose alpha_pattern and rank_pattern name modules by
 * regular expressions of Python.  Leaves: a number.  An expression that can't be read as Python reads it is refused, and
 * so is a pair of another rank than the configuration gives: its scale would be another, too. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <regex.h>

#include "compiler/bind_lora.h"

/* ---- alpha_pattern, rank_pattern ---- */

/* A class of characters behind its `[`, up to and with its `]`; NULL: of a kind that is not read. */
static const char *
class_of(struct wm_buf *out, const char *p)
{
    const char *first = p + (*p == '^');

    wm_buf_puts(out, (struct wm_str){p - 1, (size_t)(first - p) + 1});
    for (p = first; *p && (*p != ']' || p == first); p++) {
        if (*p == '[' && (p[1] == ':' || p[1] == '.' || p[1] == '='))
            return NULL;
        if (*p != '\\') {
            wm_buf_putc(out, *p);
            continue;
        }
        p++;
        if (*p == 'd')
            wm_buf_putz(out, "0-9");
        else if (*p == 'w')
            wm_buf_putz(out, "A-Za-z0-9_");
        else if (ispunct((unsigned char)*p) && !strchr("]^-[\\", *p))
            wm_buf_putc(out, *p);
        else
            return NULL;
    }
    wm_buf_putc(out, ']');
    return *p ? p : NULL;
}

/* What a backslash and a character mean; false: nothing that is read. */
static bool
escape_of(struct wm_buf *out, char c)
{
    if (c == 'd')
        wm_buf_putz(out, "[0-9]");
    else if (c == 'D')
        wm_buf_putz(out, "[^0-9]");
    else if (c == 'w')
        wm_buf_putz(out, "[A-Za-z0-9_]");
    else if (c == 'W')
        wm_buf_putz(out, "[^A-Za-z0-9_]");
    else if (ispunct((unsigned char)c))
        wm_buf_printf(out, strchr(".[]{}()*+?|^$\\", c) ? "\\%c" : "%c", c);
    else
        return false;
    return true;
}

/* Python's syntax to POSIX's, for whole names: whether they fit does not depend on who is greedy. */
static bool
to_posix(struct wm_buf *out, const char *p)
{
    for (; *p; p++) {
        if (*p == '\\') {
            if (!escape_of(out, *++p))
                return false;
        } else if (*p == '[') {
            if (!(p = class_of(out, p + 1)))
                return false;
        } else {
            wm_buf_putc(out, *p);
            if (*p == '(' && p[1] == '?') {
                if (p[2] != ':')
                    return false;
                p += 2;
            } else if (strchr("*+?}", *p) && p[1] == '?') {
                p++;
            } else if (strchr("*+?}", *p) && p[1] == '+') {
                return false;
            }
        }
    }
    return true;
}

/* PEFT's names in patterns: the whole name of a module, or its end behind a dot. */
static bool
pattern_fits(struct wm_merge *g, const char *list, const char *pattern, struct wm_str module, bool *fits)
{
    struct wm_arena *a = g->b->cc->a;
    struct wm_buf text;
    regex_t re;

    *fits = false;
    wm_buf_init(&text, a);
    wm_buf_putz(&text, "^(.*\\.)?(");
    if (!to_posix(&text, pattern))
        return wm_merge_fail(g, wm_arena_printf(a, "%s \"%s\" is a regular expression of a kind that is not read", list,
                                                pattern).p);
    wm_buf_putz(&text, ")$");
    if (regcomp(&re, wm_arena_cstr(a, wm_buf_str(&text)), REG_EXTENDED | REG_NOSUB) != 0)
        return wm_merge_fail(g, wm_arena_printf(a, "%s \"%s\" is no regular expression that is read", list,
                                                pattern).p);
    *fits = regexec(&re, wm_arena_cstr(a, module), 0, NULL, 0) == 0;
    regfree(&re);
    return true;
}

/* The first entry of a list of patterns that fits the module of a weight; NULL: none. */
static bool
entry_of(struct wm_merge *g, const char *list, struct wm_str key, const struct cJSON **out)
{
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(g->ad->config, list);
    struct wm_str module = wm_place_key(key);
    bool fits = false;

    *out = NULL;
    if (all && !cJSON_IsNull(all) && !cJSON_IsObject(all))
        return wm_merge_fail(g, wm_arena_printf(g->b->cc->a, "%s is not a JSON object", list).p);
    if (wm_str_ends(module, WM_STR(".weight")))
        module.n -= strlen(".weight");
    for (const cJSON *e = all ? all->child : NULL; e && !*out; e = e->next) {
        if (!pattern_fits(g, list, e->string, module, &fits))
            return false;
        if (fits)
            *out = e;
    }
    return true;
}

/* The configuration for one module: alpha_pattern's first fitting entry stands for lora_alpha. */
static bool
config_of(struct wm_merge *g, struct wm_str key, const struct cJSON **out)
{
    const cJSON *e;
    cJSON *copy;

    *out = g->ad->config;
    if (!entry_of(g, "alpha_pattern", key, &e))
        return false;
    if (!e)
        return true;
    copy = cJSON_Duplicate(g->ad->config, true);
    if (copy)
        wm_cc_own_json(g->b->cc, copy);
    if (!copy || !cJSON_ReplaceItemInObjectCaseSensitive(copy, "lora_alpha", cJSON_Duplicate(e, true)))
        return wm_merge_fail(g, "lora_alpha is not in the configuration, or there is no memory");
    *out = copy;
    return true;
}

/* The rank that PEFT's or LitGPT's configuration gives the module, where it gives one, is that of the factors. */
static bool
rank_fits(struct wm_merge *g, const struct wm_pair *p)
{
    const char *name = g->ad->kind == WM_ADAPTER_PEFT ? "r" : "lora_r";
    const cJSON *r = cJSON_GetObjectItemCaseSensitive(g->ad->config, name), *e = NULL;
    double is = (double)p->z.axis[p->l->rank];

    if (g->ad->kind == WM_ADAPTER_OTHER)
        return true;
    if (g->ad->kind == WM_ADAPTER_PEFT && !entry_of(g, "rank_pattern", p->gt[WM_LORA_W]->key, &e))
        return false;
    r = e ? e : r;
    if (!cJSON_IsNumber(r) || r->valuedouble == is)
        return true;
    return wm_merge_fail(g, wm_arena_printf(g->b->cc->a, "`%s` has the rank %.0f, but by the configuration (%s) it is "
                                            "%.15g", wm_merge_show(g, p->t[WM_LORA_A]).p, is,
                                            e ? "rank_pattern" : name, r->valuedouble).p);
}

/* The line's scale, in which axes are their sizes. */
bool
wm_lora_scale(struct wm_merge *g, struct wm_pair *p)
{
    struct wm_bind *b = g->b;
    struct wm_rule *r = p->l->scope;
    struct wm_str *name = WM_NEW_N(b->cc->a, struct wm_str, r->axis.n);
    struct wm_value *val = WM_NEW_N(b->cc->a, struct wm_value, r->axis.n), v;
    struct wm_scope sc = p->x.scope;
    const struct cJSON *whole = b->be.adapter;

    for (uint32_t i = 1; i < r->axis.n; i++)
        if (p->z.axis[i] >= 0) {
            name[sc.nname] = r->axis.item[i].name;
            val[sc.nname++] = (struct wm_value){.kind = WM_V_FLOAT, .u.f = (double)p->z.axis[i]};
        }
    sc.name = name;
    sc.val = val;
    if (!rank_fits(g, p) || !config_of(g, p->gt[WM_LORA_W]->key, &b->be.adapter))
        return false;
    v = wm_eval(&b->be, p->x.me, &sc, p->l->item->scale);
    b->be.adapter = whole;
    if (v.kind != WM_V_INT && v.kind != WM_V_FLOAT) {
        if (v.kind == WM_V_NULL && v.absent.n)
            wm_report(&b->cc->diags, WM_E_CONFIG_ABSENT, p->l->item->scale->span, "%.*s is not in the adapter's "
                      "configuration", WM_STR_ARG(v.absent));
        else if (v.kind != WM_V_ERROR)
            wm_report(&b->cc->diags, WM_E_VALUE_TYPE, p->l->item->scale->span, "a scale is a number, not %s",
                      wm_vkind_name(v.kind));
        return false;
    }
    p->scale = v.kind == WM_V_INT ? (double)v.u.i : v.u.f;
    if (b->o->unmerge)
        p->scale = -p->scale;
    return true;
}

