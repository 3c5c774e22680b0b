/* compiler/key.c -- key templates: facts about parts, matching a text, printing.
 *
 * A key that decodes in one way has at most one capture (two could share out any text between
 * them), or else repeats one part so that lengths decide.  So matching is: the parts before the
 * capture from the left, the parts behind it up to the right end, the rest is the capture's. Within
 * such a run of parts there is backtracking, but an unambiguous key reaches each (part, place) at
 * most once; that number is the budget. */
#include "compiler/key.h"

#include "base/buf.h"
#include "base/checked.h"
#include "compiler/ast.h"
#include "compiler/ast_print.h"
#include "compiler/key_parts.h"
#include "compiler/parse.h"

enum { DIGITS_MAX = 19, EXPR_DEPTH_MAX = 64 };

/* ---- facts ---- */

/* The same expression, written alike but for spaces.  Too deep to tell: no. */
static bool
expr_same(const struct wm_expr *x, const struct wm_expr *y, unsigned depth)
{
    if (x == y)
        return true;
    if (!x || !y || depth == 0 || x->kind != y->kind || x->narg != y->narg || x->i != y->i ||
        x->b != y->b || memcmp(&x->f, &y->f, sizeof(x->f)) != 0 || !wm_str_eq(x->s, y->s))
        return false;
    for (uint32_t i = 0; i < x->narg; i++)
        if (!expr_same(x->arg[i], y->arg[i], depth - 1))
            return false;
    return true;
}

bool
wm_kpart_same_print(const struct wm_kpart *p, const struct wm_kpart *q)
{
    if (p->kind != q->kind)
        return false;
    if (p->kind == WM_KP_TEXT)
        return wm_str_eq(p->text, q->text);
    if (p->kind == WM_KP_INDEX)
        return wm_kpart_width(p) == wm_kpart_width(q);
    if (p->kind == WM_KP_CAPTURE)
        return true;
    if (p->nword != q->nword)
        return false;
    for (uint32_t w = 0; p->word != q->word && w < p->nword; w++)
        if (!wm_str_eq(p->word[w], q->word[w]))
            return false;
    return true;
}

bool
wm_kpart_agree(const struct wm_kpart *p, const struct wm_kpart *q)
{
    if (p->kind == WM_KP_TEXT || p->kind != q->kind || p->var != q->var)
        return false;
    return p->kind != WM_KP_INDEX || expr_same(p->shift, q->shift, EXPR_DEPTH_MAX);
}

uint32_t
wm_key_repeated(const struct wm_key *k, uint32_t from)
{
    for (uint32_t i = from; i < k->npart; i++) {
        bool before = false, later = false;

        for (uint32_t j = 0; j < i && !before; j++)
            before = wm_kpart_agree(&k->part[i], &k->part[j]);
        for (uint32_t j = i + 1; j < k->npart && !before && !later; j++)
            later = wm_kpart_agree(&k->part[i], &k->part[j]);
        if (later)
            return i;
    }
    return k->npart;
}

/* Shortest and longest text of a part; a capture's longest is SIZE_MAX.  Only numbers that fit 64
 * bits. */
static void
part_length(const struct wm_kpart *p, size_t *min, size_t *max)
{
    size_t w = wm_kpart_width(p);

    switch (p->kind) {
    case WM_KP_TEXT:
        *min = *max = p->text.n;
        return;
    case WM_KP_INDEX:
        *min = w;
        *max = w > DIGITS_MAX ? w : DIGITS_MAX;
        return;
    case WM_KP_CAPTURE:
        *min = 1;
        *max = SIZE_MAX;
        return;
    case WM_KP_WORDS:
        break;
    }
    *min = p->nword ? p->word[0].n : 0;
    *max = *min;
    for (uint32_t i = 1; i < p->nword; i++) {
        *min = p->word[i].n < *min ? p->word[i].n : *min;
        *max = p->word[i].n > *max ? p->word[i].n : *max;
    }
}

static bool
has_free_length(const struct wm_kpart *p)
{
    size_t min, max;

    part_length(p, &min, &max);
    return p->kind == WM_KP_INDEX || min != max;
}

bool
wm_key_by_length(const struct wm_key *k)
{
    const struct wm_kpart *one = NULL;
    uint32_t n = 0;

    for (uint32_t i = 0; i < k->npart; i++) {
        const struct wm_kpart *p = &k->part[i];

        if (!has_free_length(p))
            continue;
        if (one && !(wm_kpart_agree(one, p) && wm_kpart_same_print(one, p)))
            return false;
        one = p;
        n++;
    }
    return n > 1;
}

/* ---- matching ---- */

/* The number that exactly these digits print, for an index of width w. */
static bool
index_value(struct wm_str s, size_t w, int64_t *out)
{
    int64_t v = 0;

    if (s.n < w || (s.p[0] == '0' && s.n != w))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || !wm_ck_mul(v, 10, &v) ||
            !wm_ck_add(v, s.p[i] - '0', &v))
            return false;
    }
    *out = v;
    return true;
}

/* Next length, longest first, at which an index matches the beginning of `rest`; *n is the last one
 * tried or SIZE_MAX. */
static bool
next_index(const struct wm_kpart *p, struct wm_str rest, size_t *n, int64_t *value)
{
    size_t min, max, digits = 0;

    part_length(p, &min, &max);
    max = *n <= max ? *n - 1 : max; /* an index takes a digit at least */
    while (digits < max && digits < rest.n && rest.p[digits] >= '0' && rest.p[digits] <= '9')
        digits++;
    for (size_t len = digits; len >= min; len--) {
        if (index_value((struct wm_str){rest.p, len}, min, value)) {
            *n = len;
            return true;
        }
    }
    return false;
}

/* The first way, or with `again` the next one, in which part p takes something off `rest`. */
static bool
next_choice(const struct wm_kpart *p, struct wm_str rest, bool again, int64_t *value,
            struct wm_str *cap)
{
    if (p->kind == WM_KP_TEXT) {
        *cap = (struct wm_str){rest.p, p->text.n};
        return !again && wm_str_starts(rest, p->text);
    }
    if (p->kind == WM_KP_INDEX) {
        size_t n = again ? cap->n : SIZE_MAX;

        if (!next_index(p, rest, &n, value))
            return false;
        *cap = (struct wm_str){rest.p, n};
        return true;
    }
    for (int64_t w = again ? *value + 1 : 0; w < p->nword; w++) {
        if (wm_str_starts(rest, p->word[w])) {
            *value = w;
            *cap = (struct wm_str){rest.p, p->word[w].n};
            return true;
        }
    }
    return false;
}

struct matching {
    const struct wm_key *k;
    struct wm_str text;
    int64_t *value;
    struct wm_str *cap;
    uint64_t budget; /* (part, place) still to visit; an unambiguous key never uses it up */
};

/* Parts [from, to), none of them a capture, from place *at on, and with `whole` up to the end. */
static bool
match_run(struct matching *m, uint32_t from, uint32_t to, bool whole, size_t *at)
{
    uint32_t i = from;
    size_t here = *at;
    bool again = false;

    for (;;) {
        if (i == to && (!whole || here == m->text.n)) {
            *at = here;
            return true;
        }
        if (i < to && !again) {
            if (m->budget == 0)
                return false;
            m->budget--;
        }
        if (i < to &&
            next_choice(&m->k->part[i], (struct wm_str){m->text.p + here, m->text.n - here}, again,
                        &m->value[i], &m->cap[i])) {
            here += m->cap[i++].n;
            again = false;
            continue;
        }
        if (i == from)
            return false;
        here = (size_t)(m->cap[--i].p - m->text.p);
        again = true;
    }
}

static size_t
add_length(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

/* The capture at part c: what stands between the parts before it and the parts behind it. */
static bool
match_around(struct matching *m, uint32_t c)
{
    size_t begin = 0, least = 0, most = 0, n = m->text.n;

    for (uint32_t i = c + 1; i < m->k->npart; i++) {
        size_t min, max;

        part_length(&m->k->part[i], &min, &max);
        least = add_length(least, min);
        most = add_length(most, max);
    }
    if (!match_run(m, 0, c, false, &begin))
        return false;
    for (size_t len = least; len <= most && len < n - begin; len++) {
        size_t at = n - len;

        if (match_run(m, c + 1, m->k->npart, true, &at)) {
            m->cap[c] = (struct wm_str){m->text.p + begin, n - len - begin};
            return true;
        }
    }
    return false;
}

/* wm_key_by_length(): all free parts share the bytes that the others leave. */
static bool
match_by_length(struct matching *m)
{
    size_t fixed = 0, count = 0, at = 0, len;

    for (uint32_t i = 0; i < m->k->npart; i++) {
        size_t min, max;

        part_length(&m->k->part[i], &min, &max);
        if (has_free_length(&m->k->part[i]))
            count++;
        else
            fixed = add_length(fixed, min);
    }
    if (fixed >= m->text.n || (m->text.n - fixed) % count != 0)
        return false;
    len = (m->text.n - fixed) / count;
    for (uint32_t i = 0; i < m->k->npart; i++) {
        const struct wm_kpart *p = &m->k->part[i];
        bool free_len = has_free_length(p), ok;
        size_t min, max;
        struct wm_str piece;

        part_length(p, &min, &max);
        piece = (struct wm_str){m->text.p + at, free_len ? len : min};
        if (p->kind == WM_KP_CAPTURE)
            ok = true;
        else if (p->kind == WM_KP_INDEX)
            ok = index_value(piece, wm_kpart_width(p), &m->value[i]);
        else
            ok = next_choice(p, piece, false, &m->value[i], &m->cap[i]);
        while (ok && p->kind == WM_KP_WORDS && m->cap[i].n != piece.n) /* "a" at "ab" */
            ok = next_choice(p, piece, true, &m->value[i], &m->cap[i]);
        if (!ok)
            return false;
        m->cap[i] = piece;
        at += piece.n;
    }
    return true;
}

static bool
repeats_agree(const struct matching *m)
{
    for (uint32_t i = 0; i < m->k->npart; i++) {
        const struct wm_kpart *p = &m->k->part[i];

        for (uint32_t j = i + 1; p->kind != WM_KP_TEXT && j < m->k->npart; j++) {
            if (!wm_kpart_agree(p, &m->k->part[j]))
                continue;
            if (p->kind == WM_KP_CAPTURE ? !wm_str_eq(m->cap[i], m->cap[j])
                                         : m->value[i] != m->value[j])
                return false;
        }
    }
    return true;
}

bool
wm_key_match(const struct wm_key *k, struct wm_str text, int64_t *value, struct wm_str *cap)
{
    struct matching m = {k, text, value, cap, 0};
    uint32_t ncapture = 0, capture = 0;
    size_t at = 0, most = 0;
    bool ok;

    if (text.n == 0)
        return k->npart == 0;
    for (uint32_t i = 0; i < k->npart; i++) {
        size_t min, max;

        if (k->part[i].kind == WM_KP_CAPTURE) {
            capture = i;
            ncapture++;
            continue;
        }
        part_length(&k->part[i], &min, &max);
        most = add_length(most, max);
    }
    if (!wm_ck_umul((uint64_t)k->npart + 1, (uint64_t)(most < text.n ? most : text.n) + 2,
                    &m.budget))
        m.budget = UINT64_MAX;
    if (wm_key_by_length(k))
        ok = match_by_length(&m);
    else if (ncapture == 0)
        ok = match_run(&m, 0, k->npart, true, &at);
    else
        ok = ncapture == 1 && match_around(&m, capture);
    return ok && repeats_agree(&m);
}

/* ---- printing ---- */

static void
print_words(const struct wm_key *k, uint32_t i, struct wm_buf *out)
{
    const struct wm_kpart *p = &k->part[i];

    for (uint32_t j = 0; j < i; j++)
        if (wm_kpart_agree(p, &k->part[j]) && wm_kpart_same_print(p, &k->part[j]))
            return; /* its words were listed there */
    wm_buf_putz(out, " in ");
    for (uint32_t w = 0; w < p->nword; w++) {
        if (w)
            wm_buf_putc(out, '|');
        wm_print_quoted(p->word[w], true, out);
    }
}

void
wm_key_print(const struct wm_key *k, struct wm_str (*name)(void *user, uint32_t var), void *user,
             struct wm_buf *out)
{
    for (uint32_t i = 0; i < k->npart; i++) {
        const struct wm_kpart *p = &k->part[i];

        if (p->kind == WM_KP_TEXT) {
            wm_print_quoted(p->text, true, out);
            continue;
        }
        wm_buf_putc(out, '{');
        if (p->kind == WM_KP_INDEX && p->shift)
            wm_print_expr(p->shift, out);
        else
            wm_buf_puts(out, name(user, p->var));
        if (p->kind == WM_KP_INDEX && p->width)
            wm_buf_printf(out, ":0%u", p->width);
        else if (p->kind == WM_KP_WORDS)
            print_words(k, i, out);
        else if (p->kind == WM_KP_CAPTURE)
            wm_buf_putc(out, '*');
        wm_buf_putc(out, '}');
    }
}
