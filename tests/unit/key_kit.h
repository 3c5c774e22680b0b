/* tests/unit/key_kit.h -- keys from short texts, and slow, obvious answers about them to compare
 * with. */
#ifndef WM_TESTS_KEY_KIT_H
#define WM_TESTS_KEY_KIT_H

#include "base/buf.h"
#include "compiler/key.h"

/* "a.{i}.{j:05}.{p in q|k}.{r*}": a variable is its first letter. */
static struct wm_key
kit_key(struct wm_arena *a, const char *s)
{
    struct wm_key k = {.part = WM_NEW_N(a, struct wm_kpart, strlen(s) + 1)};

    while (*s) {
        struct wm_kpart *p = &k.part[k.npart++];
        const char *end = *s == '{' ? strchr(s, '}') : s + strcspn(s, "{");

        if (*s != '{') {
            p->kind = WM_KP_TEXT;
            p->text = (struct wm_str){s, (size_t)(end - s)};
            s = end;
            continue;
        }
        p->var = (uint32_t)(unsigned char)s[1];
        p->kind = end[-1] == '*' ? WM_KP_CAPTURE : WM_KP_INDEX;
        k.has_capture |= p->kind == WM_KP_CAPTURE;
        if (s[2] == ':')
            p->width = (uint32_t)(s[4] - '0');
        if (s[2] == ' ') {
            struct wm_str *word = WM_NEW_N(a, struct wm_str, strlen(s));

            p->kind = WM_KP_WORDS;
            p->word = word;
            for (const char *w = s + 6; w <= end; w += word[p->nword++].n + 1)
                word[p->nword] = (struct wm_str){w, strcspn(w, "|}")};
            p->nword -= word[p->nword - 1].n == 0 && end[-1] == '|';
        }
        s = end + 1;
    }
    return k;
}

/* How often a text decodes, by trying everything; the values of the last decoding found stay in
 * cap. */
struct kit_decode {
    const struct wm_key *k;
    struct wm_str text;
    bool agree; /* repeated parts must be equal */
    struct wm_str now[64], cap[64];
    uint32_t count;
};

static bool
kit_fits(const struct wm_kpart *p, struct wm_str s)
{
    size_t width = p->width ? p->width : 1, digits = 0;

    if (p->kind == WM_KP_TEXT)
        return wm_str_eq(p->text, s);
    if (p->kind == WM_KP_CAPTURE)
        return s.n > 0;
    if (p->kind == WM_KP_INDEX) {
        while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
            digits++;
        return digits == s.n && s.n >= width && (s.n == width || s.p[0] != '0');
    }
    for (uint32_t w = 0; w < p->nword; w++)
        if (wm_str_eq(p->word[w], s))
            return true;
    return false;
}

/* Digits without padding. */
static struct wm_str
kit_number(struct wm_str s)
{
    while (s.n > 1 && s.p[0] == '0')
        s = (struct wm_str){s.p + 1, s.n - 1};
    return s;
}

static bool
kit_equal(const struct wm_kpart *p, struct wm_str s, const struct wm_kpart *q, struct wm_str t)
{
    if (p->kind == WM_KP_TEXT || p->kind != q->kind || p->var != q->var)
        return true;
    for (uint32_t w = 0; p->kind == WM_KP_WORDS && w < p->nword && w < q->nword; w++)
        if (wm_str_eq(p->word[w], s) && wm_str_eq(q->word[w], t))
            return true;
    if (p->kind == WM_KP_WORDS)
        return false;
    return p->kind == WM_KP_INDEX ? wm_str_eq(kit_number(s), kit_number(t)) : wm_str_eq(s, t);
}

static void
kit_walk(struct kit_decode *d, uint32_t part, size_t at)
{
    const struct wm_kpart *p = &d->k->part[part];

    if (part == d->k->npart) {
        if (at == d->text.n) {
            d->count++;
            memcpy(d->cap, d->now, sizeof(d->cap));
        }
        return;
    }
    for (size_t n = 1; n <= d->text.n - at; n++) {
        struct wm_str s = {d->text.p + at, n};
        bool ok = kit_fits(p, s);

        for (uint32_t i = 0; i < part && ok && d->agree; i++)
            ok = kit_equal(&d->k->part[i], d->now[i], p, s);
        if (!ok)
            continue;
        d->now[part] = s;
        kit_walk(d, part + 1, at + n);
    }
}

static uint32_t
kit_count(const struct wm_key *k, struct wm_str text, bool agree)
{
    struct kit_decode d = {.k = k, .text = text, .agree = agree};

    kit_walk(&d, 0, 0);
    return d.count;
}

#endif
