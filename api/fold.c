/* api/fold.c -- see fold.h.
 *
 * Each name becomes a skeleton (numbers taken out) and a row of numbers.  Rows of one skeleton and
 * class are folded column by column: the values of a column whose rows look the same in all later
 * columns form one set.  So every line is an exact product of sets, and 18 000 experts are one
 * line. */
#include "api/fold.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/map.h"

enum { MAX_HOLES = 6, MAX_PARTS = 12, NAME_MAX_SHOWN = 400 };

#define HOLE '\0' /* no name has it */

struct row {
    uint32_t item;
    uint32_t group;
    int64_t *value; /* [nhole] */
};

struct group {
    struct wm_str skeleton;
    uint32_t nhole;
    uint32_t nrow;
};

struct fold {
    struct wm_arena *a;
    WM_VEC(struct group) group;
    struct wm_map seen;     /* skeleton -> group */
    struct wm_buf skeleton; /* scratch */
    WM_VEC(struct wm_fold_line) line;
};

/* A set of values that stand in one hole. */
struct set {
    const int64_t *v;
    uint32_t n;
};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_edge(struct wm_str s, size_t at)
{
    return at >= s.n || s.p[at] == '.' || s.p[at] == '/';
}

/* The number that is a whole component of s at `at`: its length, or 0. */
static size_t
number_at(struct wm_str s, size_t at, int64_t *value)
{
    size_t n = 0;

    if (at > 0 && !is_edge(s, at - 1))
        return 0;
    while (at + n < s.n && is_digit(s.p[at + n]))
        n++;
    if (n == 0 || n > 18 || !is_edge(s, at + n) || (n > 1 && s.p[at] == '0'))
        return 0;
    *value = 0;
    for (size_t k = 0; k < n; k++)
        *value = *value * 10 + (s.p[at + k] - '0');
    return n;
}

/* The skeleton of a name to b, the numbers to value. */
static void
put_skeleton(struct wm_buf *b, const struct wm_fold_item *it, int64_t value[MAX_HOLES], uint32_t *nhole)
{
    size_t from = 0;

    b->n = 0;
    *nhole = 0;
    for (size_t at = 0; at < it->name.n && *nhole < MAX_HOLES;) {
        size_t len = number_at(it->name, at, &value[*nhole]);

        if (len) {
            wm_buf_puts(b, (struct wm_str){it->name.p + from, at - from});
            wm_buf_putc(b, HOLE);
            ++*nhole;
            from = at + len;
        }
        at += len ? len : 1;
    }
    wm_buf_puts(b, (struct wm_str){it->name.p + from, it->name.n - from});
    /* the class is a part of what must be equal, behind the text */
    wm_buf_puts(b, (struct wm_str){(const char *)&it->cls, sizeof(it->cls)});
}

/* The group of row->item, and its numbers. */
static void
take_row(struct fold *f, const struct wm_fold_item *item, struct row *row)
{
    int64_t value[MAX_HOLES];
    uint32_t nhole, g;

    put_skeleton(&f->skeleton, item, value, &nhole);
    g = wm_map_get(&f->seen, wm_buf_str(&f->skeleton));
    if (g == WM_NONE) {
        struct wm_str kept = wm_arena_str(f->a, wm_buf_str(&f->skeleton));

        g = wm_map_put(&f->seen, kept, f->group.n);
        *WM_PUSH(f->a, &f->group) = (struct group){.skeleton = kept, .nhole = nhole};
    }
    f->group.item[g].nrow++;
    row->group = g;
    row->value = WM_NEW_N(f->a, int64_t, nhole);
    memcpy(row->value, value, nhole * sizeof(*value));
}

static void
print_set(struct wm_buf *b, struct set s)
{
    uint32_t parts = 0;

    if (s.n == 1) {
        wm_buf_printf(b, "%" PRId64, s.v[0]);
        return;
    }
    wm_buf_putc(b, '{');
    for (uint32_t k = 0; k < s.n;) {
        uint32_t e = k;

        while (e + 1 < s.n && s.v[e + 1] == s.v[e] + 1)
            e++;
        if (parts)
            wm_buf_putc(b, ',');
        if (parts++ == MAX_PARTS) {
            wm_buf_putz(b, "...");
            break;
        }
        if (e >= k + 2) {
            wm_buf_printf(b, "%" PRId64 "..%" PRId64, s.v[k], s.v[e]);
            k = e + 1;
        } else {
            wm_buf_printf(b, "%" PRId64, s.v[k++]);
        }
    }
    wm_buf_putc(b, '}');
}

static int
by_u32(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return (a > b) - (a < b);
}

static void
emit(struct fold *f, const struct group *g, const struct set *set, struct row **row, uint32_t n)
{
    struct wm_fold_line *l = WM_PUSH(f->a, &f->line);
    struct wm_buf b;
    uint32_t hole = 0;
    size_t text = g->skeleton.n - sizeof(uint64_t), from = 0;

    wm_buf_init(&b, f->a);
    for (size_t k = 0; k <= text; k++)
        if (k == text || g->skeleton.p[k] == HOLE) {
            wm_buf_safe(&b, (struct wm_str){g->skeleton.p + from, k - from}, NAME_MAX_SHOWN);
            if (k < text)
                print_set(&b, set[hole++]);
            from = k + 1;
        }
    l->name = wm_buf_str(&b);
    l->member = WM_NEW_N(f->a, uint32_t, n);
    l->n = n;
    for (uint32_t k = 0; k < n; k++)
        l->member[k] = row[k]->item;
    qsort(l->member, n, sizeof(*l->member), by_u32);
}

/* Order of rows by their columns from *first on. */
struct columns {
    uint32_t first, end;
};

static int
by_columns(const void *x, const void *y, void *user)
{
    const struct row *a = *(struct row *const *)x, *b = *(struct row *const *)y;
    const struct columns *c = user;

    for (uint32_t k = c->first; k < c->end; k++)
        if (a->value[k] != b->value[k])
            return a->value[k] < b->value[k] ? -1 : 1;
    return 0;
}

/* A run of rows with one value in column k, and what their later columns look like. */
struct part {
    uint32_t from, n;
    uint64_t look;
};

static int
by_look(const void *x, const void *y)
{
    const struct part *a = x, *b = y;

    if (a->look != b->look)
        return a->look < b->look ? -1 : 1;
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    return (a->from > b->from) - (a->from < b->from);
}

static uint32_t
split(struct wm_arena *a, const struct group *g, uint32_t k, struct row **row, uint32_t n,
      struct part **out)
{
    WM_VEC(struct part) part = {0};

    for (uint32_t r = 0; r < n; r++) {
        struct part *p = part.n ? &part.item[part.n - 1] : NULL;

        if (!p || row[p->from]->value[k] != row[r]->value[k]) {
            p = WM_PUSH(a, &part);
            *p = (struct part){.from = r, .look = k};
        }
        p->n++;
        p->look = wm_hash(&row[r]->value[k + 1], (g->nhole - k - 1) * sizeof(int64_t), p->look);
    }
    *out = part.item;
    return part.n;
}

/* Depth is at most MAX_HOLES. */
static void
fold_columns(struct fold *f, const struct group *g, uint32_t k, struct set *set, struct row **row,
             uint32_t n)
{
    struct columns cols = {k, g->nhole};
    struct part *part;
    uint32_t npart;

    if (k == g->nhole) {
        emit(f, g, set, row, n);
        return;
    }
    qsort_r(row, n, sizeof(struct row *), by_columns, &cols);
    npart = split(f->a, g, k, row, n, &part);
    qsort(part, npart, sizeof(*part), by_look);
    for (uint32_t i = 0, e; i < npart; i = e) {
        struct row **sub;
        int64_t *value;
        uint32_t nsub = 0;

        for (e = i; e < npart && part[e].look == part[i].look && part[e].n == part[i].n; e++)
            ;
        sub = WM_NEW_N(f->a, struct row *, (e - i) * part[i].n);
        value = WM_NEW_N(f->a, int64_t, e - i);
        for (uint32_t j = i; j < e; j++) {
            value[j - i] = row[part[j].from]->value[k];
            memcpy(sub + nsub, row + part[j].from, part[j].n * sizeof(*sub));
            nsub += part[j].n;
        }
        set[k] = (struct set){value, e - i};
        fold_columns(f, g, k + 1, set, sub, nsub);
    }
}

static int
by_first(const void *x, const void *y)
{
    const struct wm_fold_line *a = x, *b = y;

    return by_u32(a->member, b->member);
}

static int
by_group(const void *x, const void *y)
{
    const struct row *a = *(struct row *const *)x, *b = *(struct row *const *)y;

    return a->group != b->group ? (a->group > b->group) - (a->group < b->group)
                                : (a->item > b->item) - (a->item < b->item);
}

void
wm_fold(struct wm_arena *a, const struct wm_fold_item *item, uint32_t n, struct wm_fold_line **line,
        uint32_t *nline)
{
    struct fold f = {.a = a};
    struct row *row = WM_NEW_N(a, struct row, n);
    struct row **ref = WM_NEW_N(a, struct row *, n);

    wm_map_init(&f.seen, a, 64);
    wm_buf_init(&f.skeleton, a);
    for (uint32_t k = 0; k < n; k++) {
        row[k].item = k;
        take_row(&f, &item[k], &row[k]);
        ref[k] = &row[k];
    }
    *line = NULL;
    *nline = 0;
    if (n == 0)
        return;
    qsort(ref, n, sizeof(struct row *), by_group);
    for (uint32_t g = 0, from = 0; g < f.group.n; from += f.group.item[g++].nrow) {
        struct set set[MAX_HOLES];

        fold_columns(&f, &f.group.item[g], 0, set, ref + from, f.group.item[g].nrow);
    }
    qsort(f.line.item, f.line.n, sizeof(*f.line.item), by_first);
    *line = f.line.item;
    *nline = f.line.n;
}

/* Length of the run of digits at `at`, leading zeros apart. */
static size_t
digits(struct wm_str s, size_t at, size_t *zeros)
{
    size_t n = 0;

    *zeros = 0;
    while (at + *zeros < s.n && s.p[at + *zeros] == '0')
        ++*zeros;
    while (at + *zeros + n < s.n && is_digit(s.p[at + *zeros + n]))
        n++;
    return n;
}

int
wm_name_cmp(struct wm_str a, struct wm_str b)
{
    size_t i = 0, j = 0;

    while (i < a.n && j < b.n) {
        if (is_digit(a.p[i]) && is_digit(b.p[j])) {
            size_t za, zb, na = digits(a, i, &za), nb = digits(b, j, &zb);
            int c = na != nb ? (na > nb) - (na < nb) : memcmp(a.p + i + za, b.p + j + zb, na);

            if (c)
                return c;
            i += za + na;
            j += zb + nb;
        } else if (a.p[i] != b.p[j]) {
            return (unsigned char)a.p[i] < (unsigned char)b.p[j] ? -1 : 1;
        } else {
            i++;
            j++;
        }
    }
    if (i < a.n || j < b.n)
        return i < a.n ? 1 : -1;
    return wm_str_cmp(a, b); /* "01" and "1": any fixed order */
}
