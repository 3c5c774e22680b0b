/* compiler/key_value.c -- values to try for the holes of a key, and keys with holes filled. */
#include "compiler/key_value.h"

#include "base/buf.h"
#include "compiler/key_parts.h"

enum { VALUES_MAX = 48 };

static void
add_value(struct wm_arena *a, struct wm_key_values *v, struct wm_str s)
{
    if (v->list.n >= VALUES_MAX)
        return;
    for (uint32_t i = 0; i < v->list.n; i++)
        if (wm_str_eq(v->list.item[i].s, s))
            return;
    *WM_PUSH(a, &v->list) = (struct wm_key_value){0, s};
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The numbers in a text, without leading zeros. */
static void
add_numbers(struct wm_arena *a, struct wm_key_values *v, struct wm_str s)
{
    for (size_t i = 0, j; i < s.n; i = j + 1) {
        for (j = i; j < s.n && is_digit(s.p[j]);)
            j++;
        while (i + 1 < j && s.p[i] == '0')
            i++;
        if (j > i)
            add_value(a, v, (struct wm_str){s.p + i, j - i});
    }
}

/* The pieces of a text from the beginning of a word to the end of one. */
static void
add_pieces(struct wm_arena *a, struct wm_key_values *v, struct wm_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (i > 0 && is_word(s.p[i - 1]) && is_word(s.p[i]))
            continue;
        for (size_t j = i + 1; j <= s.n && v->list.n < VALUES_MAX; j++)
            if (j == s.n || !is_word(s.p[j - 1]) || !is_word(s.p[j]))
                add_value(a, v, (struct wm_str){s.p + i, j - i});
    }
}

struct wm_key_values
wm_key_values_for(struct wm_arena *a, const struct wm_kpart *p, struct wm_str hint)
{
    static const char *const numbers[] = {"0", "1", "2", "10", "11"};
    struct wm_key_values v = {.all = p->kind == WM_KP_WORDS};

    if (p->kind == WM_KP_WORDS) {
        for (uint32_t w = 0; w < p->nword; w++)
            *WM_PUSH(a, &v.list) = (struct wm_key_value){w, p->word[w]};
    } else if (p->kind == WM_KP_INDEX) {
        for (size_t i = 0; i < WM_COUNTOF(numbers); i++)
            add_value(a, &v, wm_str_c(numbers[i]));
        add_numbers(a, &v, hint);
    } else {
        add_value(a, &v, WM_STR("x"));
        add_value(a, &v, WM_STR("xx"));
        add_pieces(a, &v, hint);
    }
    return v;
}

static void
print_value(const struct wm_kpart *p, const struct wm_key_value *v, struct wm_buf *b)
{
    if (p->kind == WM_KP_WORDS) {
        wm_buf_puts(b, p->word[v->word]);
        return;
    }
    if (p->kind == WM_KP_INDEX && v->s.n < p->width)
        wm_buf_pad(b, '0', p->width - v->s.n);
    wm_buf_puts(b, v->s);
}

struct wm_key *
wm_key_replace(struct wm_arena *a, const struct wm_key *k, const struct wm_kpart *part,
               const struct wm_key_value *v)
{
    struct wm_key *r = WM_NEW(a, struct wm_key);
    struct wm_buf text;

    *r = (struct wm_key){.span = k->span, .part = WM_NEW_N(a, struct wm_kpart, k->npart)};
    wm_buf_init(&text, a);
    for (uint32_t i = 0; i < k->npart; i++) {
        const struct wm_kpart *p = &k->part[i];
        bool fixed = wm_kpart_agree(part, p);
        bool none = fixed && p->kind == WM_KP_WORDS && v->word >= p->nword;

        if (none || (!fixed && p->kind != WM_KP_TEXT)) {
            r->part[r->npart] = *p;
            r->part[r->npart++].nword = none ? 0 : p->nword; /* no word: no text at all */
            r->has_capture |= p->kind == WM_KP_CAPTURE;
            continue;
        }
        if (r->npart == 0 || r->part[r->npart - 1].kind != WM_KP_TEXT) {
            r->part[r->npart++] = (struct wm_kpart){.kind = WM_KP_TEXT, .span = p->span};
            wm_buf_init(&text, a);
        }
        if (fixed)
            print_value(p, v, &text);
        else
            wm_buf_puts(&text, p->text);
        r->part[r->npart - 1].text = wm_buf_str(&text);
    }
    return r;
}
