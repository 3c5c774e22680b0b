/* base/utf8.h -- the one place that knows what valid UTF-8 is.
 *
 * Strict: no overlong forms, no surrogates, nothing above U+10FFFF.  Names from files are checked
 * with it, and whatever is shown to a person goes through the escaping of wm_utf8_show(). */
#ifndef WM_BASE_UTF8_H
#define WM_BASE_UTF8_H

#include <stdint.h>

#include "base/str.h"

/* Length (1 to 4) of the valid sequence at p[0..n), its code point in *cp (may be NULL); 0 where
 * there is none (or n is 0). */
static inline size_t
wm_utf8_next(const char *p, size_t n, uint32_t *cp)
{
    const unsigned char *s = (const unsigned char *)p;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len;
    uint32_t c;

    if (n == 0)
        return 0;
    if (s[0] < 0x80) {
        if (cp)
            *cp = s[0];
        return 1;
    }
    len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < len)
        return 0;
    c = s[0] & (0x7fu >> len);
    for (size_t k = 1; k < len; k++) {
        if ((s[k] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[k] & 0x3fu);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    if (cp)
        *cp = c;
    return len;
}

/* The first byte from `at` (which may be more than n) on that is not plain in a JSON string: no printable ASCII, a quote or
 * a backslash; n or more: there is none. */
size_t wm_utf8_plain(const char *text, size_t at, size_t n);

/* Is all of it valid?  Otherwise *bad (may be NULL) is the offset of the first wrong byte. */
bool wm_utf8_valid(struct wm_str s, size_t *bad);

/* Characters that would move a cursor, end a line or turn the direction of a text. */
bool wm_utf8_is_control(uint32_t cp);

/* The next piece of s (not empty) as it may be shown: a character as it is, or "\xNN" for each byte
 * of a control character or of invalid UTF-8.  Writes at most 16 bytes to out, their number to
 * *out_n, and gives how many bytes of s that was. */
size_t wm_utf8_show(struct wm_str s, char out[16], size_t *out_n);

#endif
