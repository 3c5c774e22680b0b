/* base/str.h -- a borrowed run of bytes with its length.
 *
 * Names, keys and texts are passed as `struct wm_str`: UTF-8, not terminated, owned by whoever made
 * it (an arena, a source file, a mapped header). */
#ifndef WM_BASE_STR_H
#define WM_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct wm_str {
    const char *p;
    size_t n;
};

#define WM_STR(lit)    ((struct wm_str){"" lit, sizeof(lit) - 1})
#define WM_STR_ARG(s)  (int)(s).n, (s).p /* for "%.*s" */
#define WM_COUNTOF(a)  (sizeof(a) / sizeof((a)[0]))

static inline struct wm_str
wm_str_c(const char *s)
{
    return (struct wm_str){s, strlen(s)};
}

static inline bool
wm_str_eq(struct wm_str a, struct wm_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Order of bytes; a prefix comes first. */
static inline int
wm_str_cmp(struct wm_str a, struct wm_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool
wm_str_starts(struct wm_str s, struct wm_str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool
wm_str_ends(struct wm_str s, struct wm_str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

#endif
