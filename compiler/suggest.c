/* compiler/suggest.c -- "did you mean".
 *
 * In: a name and those that would have been right.  Out: the nearest, if it is near enough to be
 * meant.  The distance counts inserted, dropped, changed and exchanged neighbouring bytes. */
#include "compiler/diag.h"

enum { LONGEST = 512 };

static uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Distance of x and y, or more than `most` where it is larger than that.  row: three rows of
 * LONGEST + 1. */
static uint32_t
distance(struct wm_str x, struct wm_str y, uint32_t most, uint32_t *row[3])
{
    for (uint32_t j = 0; j <= y.n; j++)
        row[1][j] = j;
    for (uint32_t i = 1; i <= x.n; i++) {
        uint32_t *above = row[1], *two_above = row[0], *now = row[2], best;

        now[0] = best = i;
        for (uint32_t j = 1; j <= y.n; j++) {
            uint32_t d = above[j - 1] + (x.p[i - 1] != y.p[j - 1]);

            d = least(d, least(above[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && x.p[i - 1] == y.p[j - 2] && x.p[i - 2] == y.p[j - 1])
                d = least(d, two_above[j - 2] + 1);
            now[j] = d;
            best = least(best, d);
        }
        if (best > most)
            return best;
        row[0] = above;
        row[1] = now;
        row[2] = two_above;
    }
    return row[1][y.n];
}

struct wm_str
wm_suggest(struct wm_arena *a, struct wm_str name, const struct wm_str *names, uint32_t n)
{
    uint32_t *space, best = (uint32_t)(name.n / 3) + 1;
    struct wm_str nearest = WM_STR("");

    if (name.n == 0 || name.n > LONGEST || n == 0)
        return nearest;
    if (name.n < 3)
        best = 2; /* of two letters one may be wrong */
    space = WM_NEW_N(a, uint32_t, 3 * (LONGEST + 1));
    for (uint32_t k = 0; k < n && best > 0; k++) {
        uint32_t *row[3] = {space, space + LONGEST + 1, space + 2 * (LONGEST + 1)}, d;
        size_t gap = names[k].n > name.n ? names[k].n - name.n : name.n - names[k].n;

        if (names[k].n > LONGEST || gap >= best)
            continue;
        d = distance(name, names[k], best, row);
        if (d < best && d < names[k].n) {
            best = d;
            nearest = names[k];
        }
    }
    return nearest;
}
