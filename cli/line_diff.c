/* cli/line_diff.c -- a unified diff of two texts, for `wmap fmt --diff`.
 *
 * Lines that begin and end both texts are set aside, the rest is compared by its longest common
 * subsequence; where that would take too much memory, the rest is shown as replaced. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { CONTEXT = 3, MAX_CELLS = 16 << 20 };

struct lines {
    const char **p;
    size_t *len;
    size_t n;
};

/* An edit script: ' ' both, '-' only a, '+' only b. */
struct script {
    char *op;
    size_t n;
};

static bool
split(const struct text *t, struct lines *l)
{
    size_t n = 1;

    for (size_t k = 0; k < t->n; k++)
        n += t->p[k] == '\n';
    l->p = calloc(n, sizeof(*l->p));
    l->len = calloc(n, sizeof(*l->len));
    l->n = 0;
    for (size_t at = 0; l->p && l->len && at < t->n;) {
        const char *end = memchr(t->p + at, '\n', t->n - at);

        l->p[l->n] = t->p + at;
        l->len[l->n] = end ? (size_t)(end - l->p[l->n]) : t->n - at;
        at += l->len[l->n++] + 1;
    }
    return l->p && l->len;
}

static bool
equal(const struct lines *a, size_t i, const struct lines *b, size_t j)
{
    return a->len[i] == b->len[j] && memcmp(a->p[i], b->p[j], a->len[i]) == 0;
}

static void
put(struct script *s, char op, size_t n)
{
    memset(s->op + s->n, op, n);
    s->n += n;
}

/* Lines [head, a->n - tail) of a against those of b. */
static void
middle(const struct lines *a, const struct lines *b, size_t head, size_t tail, struct script *s)
{
    size_t na = a->n - head - tail, nb = b->n - head - tail, i = 0, j = 0;
    unsigned short *best = NULL; /* [na + 1][nb + 1]: longest common subsequence from (i, j) on */

    if (na && nb && na < 65535 && nb < 65535 && (na + 1) * (nb + 1) <= MAX_CELLS)
        best = calloc((na + 1) * (nb + 1), sizeof(*best));
    if (!best) {
        put(s, '-', na);
        put(s, '+', nb);
        return;
    }
    for (i = na; i-- > 0;)
        for (j = nb; j-- > 0;) {
            unsigned short *at = &best[i * (nb + 1) + j];
            unsigned short down = at[nb + 1], right = at[1];

            *at = equal(a, head + i, b, head + j) ? (unsigned short)(at[nb + 2] + 1)
                  : down > right                  ? down
                                                  : right;
        }
    for (i = j = 0; i < na || j < nb;) {
        unsigned short *at = &best[i * (nb + 1) + j];

        if (i < na && j < nb && equal(a, head + i, b, head + j)) {
            put(s, ' ', 1);
            i++;
            j++;
        } else if (j == nb || (i < na && at[nb + 1] >= at[1])) {
            put(s, '-', 1);
            i++;
        } else {
            put(s, '+', 1);
            j++;
        }
    }
    free(best);
}

/* Hunks: changes with their context, those that touch joined. */
static void
print_script(struct cli *c, const struct lines *a, const struct lines *b, const struct script *s)
{
    size_t i = 0, j = 0; /* lines before op k */

    for (size_t k = 0; k < s->n;) {
        size_t from, end, last, na = 0, nb = 0, skip = 0;

        while (k + skip < s->n && s->op[k + skip] == ' ')
            skip++;
        if (k + skip == s->n)
            break;
        from = skip > CONTEXT ? skip - CONTEXT : 0;
        i += from;
        j += from;
        from += k;
        for (end = last = k + skip; end < s->n && end - last <= 2 * CONTEXT; end++)
            if (s->op[end] != ' ')
                last = end;
        end = last + 1 + CONTEXT < s->n ? last + 1 + CONTEXT : s->n;
        for (size_t m = from; m < end; m++) {
            na += s->op[m] != '+';
            nb += s->op[m] != '-';
        }
        print(c, "@@ -%zu,%zu +%zu,%zu @@\n", na ? i + 1 : i, na, nb ? j + 1 : j, nb);
        for (size_t m = from; m < end; m++) {
            bool of_b = s->op[m] == '+';
            const struct lines *l = of_b ? b : a;
            size_t at = of_b ? j : i;

            print(c, "%c%.*s\n", s->op[m], (int)l->len[at], l->p[at]);
            i += s->op[m] != '+';
            j += s->op[m] != '-';
        }
        k = end;
    }
}

void
print_line_diff(struct cli *c, const char *path, const struct text *ta, const struct text *tb)
{
    struct lines a, b;
    struct script s = {0};
    size_t head = 0, tail = 0;
    bool ok;

    ok = split(ta, &a);
    ok = split(tb, &b) && ok;
    if (ok && (s.op = calloc(a.n + b.n + 1, 1)) != NULL) {
        while (head < a.n && head < b.n && equal(&a, head, &b, head))
            head++;
        while (tail < a.n - head && tail < b.n - head &&
               equal(&a, a.n - 1 - tail, &b, b.n - 1 - tail))
            tail++;
        put(&s, ' ', head);
        middle(&a, &b, head, tail, &s);
        put(&s, ' ', tail);
        print(c, "--- %s\n+++ %s (formatted)\n", path, path);
        print_script(c, &a, &b, &s);
    }
    free(a.p);
    free(a.len);
    free(b.p);
    free(b.len);
    free(s.op);
}
