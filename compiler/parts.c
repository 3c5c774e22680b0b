/* compiler/parts.c -- part specifications: "b 0-5", "5-10 15-20", "55-60 e", "f".
 *
 * In: the text of --part-spec, and names of files.  Out: which files it asks for.  The grammar is that of sepweight;
 * what its reader passes over in silence (a single number, a misplaced letter, a typo) is refused. */
#include "base/map.h"
#include "compiler/select.h"

static bool
digits(struct wm_str s, size_t *at, int64_t *value)
{
    size_t from = *at;

    *value = 0;
    for (; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9' && *at - from < 18; ++*at)
        *value = *value * 10 + (s.p[*at] - '0');
    return *at > from && (*at == s.n || s.p[*at] < '0' || s.p[*at] > '9');
}

/* Does the name go on with `word` and one of `ends`? */
static bool
begins(struct wm_str s, const char *word, const char *ends, size_t *at)
{
    size_t n = strlen(word);

    if (s.n <= n || memcmp(s.p, word, n) != 0 || !strchr(ends, s.p[n]))
        return false;
    *at = n + 1;
    return true;
}

enum wm_part_kind
wm_part_of(struct wm_str file, int64_t *layer)
{
    size_t at;

    if (begins(file, "begin", "./", &at) || begins(file, "start", "./", &at))
        return WM_PART_BEGIN;
    if (begins(file, "end", "./", &at))
        return WM_PART_END;
    if (begins(file, "mid", "./", &at) && digits(file, &at, layer) && at < file.n &&
        (file.p[at] == '.' || file.p[at] == '/'))
        return WM_PART_MID;
    return WM_PART_NONE;
}

bool
wm_parts_have(const struct wm_parts *p, struct wm_str file)
{
    int64_t layer = 0;

    switch (wm_part_of(file, &layer)) {
    case WM_PART_BEGIN:
        return p->full || p->begin;
    case WM_PART_END:
        return p->full || p->end;
    case WM_PART_MID:
        for (uint32_t i = 0; i < p->range.n; i++)
            if (layer >= p->range.item[i].from && layer < p->range.item[i].to)
                return true;
        return p->full;
    default:
        return false;
    }
}

bool
wm_parts_lack(const struct wm_parts *p, struct wm_str file)
{
    int64_t layer;

    return p && wm_part_of(file, &layer) != WM_PART_NONE && !wm_parts_have(p, file);
}

/* ---- the text ---- */

static enum wm_status
bad_word(struct wm_str word, struct wm_err *err)
{
    size_t at = 0;
    int64_t n;

    if (digits(word, &at, &n) && at == word.n)
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: \"%.*s\" is one number: write %lld-%lld for the layer %lld alone",
                       WM_STR_ARG(word), (long long)n, (long long)n + 1, (long long)n);
    if (wm_str_eq(word, WM_STR("b")))
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: \"b\" (the begin) stands first");
    if (wm_str_eq(word, WM_STR("e")))
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: \"e\" (the end) stands last");
    if (wm_str_eq(word, WM_STR("f")))
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: \"f\" is all parts: it stands alone");
    return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: \"%.*s\" is none of b, e, f and ranges such as 0-5",
                   WM_STR_ARG(word));
}

static enum wm_status
add_range(struct wm_arena *a, struct wm_parts *p, struct wm_str word, struct wm_err *err)
{
    struct wm_range r;
    size_t at = 0;

    if (!digits(word, &at, &r.from) || at == word.n || word.p[at++] != '-' || !digits(word, &at, &r.to) || at != word.n)
        return bad_word(word, err);
    if (r.from >= r.to)
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: \"%.*s\" is empty: a range has its first layer, and not its last",
                       WM_STR_ARG(word));
    if (p->begin && p->range.n == 0 && r.from != 0)
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: behind \"b\" the first range begins at 0, not at %lld",
                       (long long)r.from);
    *WM_PUSH(a, &p->range) = r;
    return WM_OK;
}

static struct wm_str
next_word(struct wm_str *rest)
{
    struct wm_str word;
    size_t from = 0, to;

    while (from < rest->n && strchr(" \t\r\n\v\f", rest->p[from]))
        from++;
    for (to = from; to < rest->n && !strchr(" \t\r\n\v\f", rest->p[to]); to++)
        ;
    word = (struct wm_str){rest->p + from, to - from};
    *rest = (struct wm_str){rest->p + to, rest->n - to};
    return word;
}

enum wm_status
wm_parts_parse(struct wm_arena *a, struct wm_str spec, const struct wm_parts **out, struct wm_err *err)
{
    struct wm_parts *p = WM_NEW(a, struct wm_parts);
    struct wm_str rest = spec, word = next_word(&rest);
    uint32_t n = 0;

    p->text = spec;
    for (; word.n > 0; word = next_word(&rest), n++) {
        enum wm_status st;

        if (p->full || p->end)
            return bad_word(p->full ? WM_STR("f") : WM_STR("e"), err);
        if (n == 0 && wm_str_eq(word, WM_STR("f")))
            p->full = true;
        else if (n == 0 && wm_str_eq(word, WM_STR("b")))
            p->begin = true;
        else if (wm_str_eq(word, WM_STR("e")))
            p->end = true;
        else if ((st = add_range(a, p, word, err)) != WM_OK)
            return st;
    }
    if (n == 0)
        return wm_fail(err, WM_EUSAGE, NULL, "--part-spec: no part is named: write \"f\", or some of \"b\", ranges such as "
                       "0-5, and \"e\"");
    *out = p;
    return WM_OK;
}

/* ---- what there is ---- */

static enum wm_status
lacks(const struct wm_parts *p, const char *where, const char *part, int64_t last, struct wm_err *err)
{
    if (last >= 0)
        return wm_fail(err, WM_EUSAGE, where, "--part-spec \"%.*s\": there is no part %s; the last layer is mid.%05lld",
                       WM_STR_ARG(p->text), part, (long long)last);
    return wm_fail(err, WM_EUSAGE, where, "--part-spec \"%.*s\": there is no part %s", WM_STR_ARG(p->text), part);
}

enum wm_status
wm_parts_found(struct wm_arena *a, const struct wm_parts *p, const struct wm_str *file, uint32_t n,
               const char *where, struct wm_err *err)
{
    bool kind[WM_PART_END + 1] = {false};
    int64_t layer = 0, last = -1;
    struct wm_map seen;

    wm_map_init(&seen, a, n);
    for (uint32_t i = 0; i < n; i++) {
        enum wm_part_kind k = wm_part_of(file[i], &layer);

        kind[k] = true;
        if (k != WM_PART_MID)
            continue;
        wm_map_put(&seen, wm_arena_printf(a, "%lld", (long long)layer), i);
        last = layer > last ? layer : last;
    }
    if (p->begin && !kind[WM_PART_BEGIN])
        return lacks(p, where, "begin", -1, err);
    if (p->end && !kind[WM_PART_END])
        return lacks(p, where, "end", -1, err);
    for (uint32_t i = 0; i < p->range.n; i++)
        for (layer = p->range.item[i].from; layer < p->range.item[i].to; layer++) {
            struct wm_str number = wm_arena_printf(a, "%lld", (long long)layer);

            if (wm_map_get(&seen, number) == WM_NONE)
                return lacks(p, where, wm_arena_printf(a, "mid.%05lld", (long long)layer).p, last, err);
        }
    return WM_OK;
}

/* A name as its template would print it, with 0 for numbers. */
static enum wm_part_kind
part_of_line(struct wm_arena *a, const struct wm_key *k)
{
    struct wm_buf b;
    int64_t layer;

    wm_buf_init(&b, a);
    for (uint32_t i = 0; i < k->npart; i++)
        wm_buf_puts(&b, k->part[i].kind == WM_KP_TEXT ? k->part[i].text : WM_STR("0"));
    return wm_part_of(wm_buf_str(&b), &layer);
}

bool
wm_side_has_parts(const struct wm_side *s)
{
    struct wm_arena *a;

    for (uint32_t i = 0; i < s->file.n; i++) {
        a = s->file.item[i].scope->mod->cc->a;
        if (part_of_line(a, &s->file.item[i].name) != WM_PART_NONE)
            return true;
    }
    return false;
}
