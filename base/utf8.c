/* base/utf8.c -- checking and showing UTF-8.
 *
 * In: bytes from files and command lines, whatever they hold.  Out: a verdict, or text that is safe
 * on a terminal and in a one-line message. */
#include "base/utf8.h"

size_t
wm_utf8_plain(const char *text, size_t at, size_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;
    uint64_t w, quote, slash;

    for (; at < n && n - at >= sizeof(w); at += sizeof(w)) {
        memcpy(&w, text + at, sizeof(w));
        quote = w ^ ones * '"';
        slash = w ^ ones * '\\';
        /* the high bit of a byte: it is below 0x20, or zero in one of the differences, or not ASCII; a borrow makes wrong
         * ones only behind the first */
        w = ((w - ones * 0x20) | (quote - ones) | (slash - ones) | w) & high;
        if (w) /* a word begins with its lowest byte, here as wherever tensors are read */
            return at + (size_t)__builtin_ctzll(w) / 8;
    }
    for (; at < n; at++) {
        unsigned char c = (unsigned char)text[at];

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return at;
}

bool
wm_utf8_valid(struct wm_str s, size_t *bad)
{
    size_t at = 0;

    while (at < s.n) {
        uint64_t word = 0;
        size_t len;

        while (s.n - at >= sizeof(word)) { /* ASCII, a word at a time */
            memcpy(&word, s.p + at, sizeof(word));
            if (word & UINT64_C(0x8080808080808080))
                break;
            at += sizeof(word);
        }
        if (at == s.n)
            break;
        len = (unsigned char)s.p[at] < 0x80 ? 1 : wm_utf8_next(s.p + at, s.n - at, NULL);

        if (len == 0) {
            if (bad)
                *bad = at;
            return false;
        }
        at += len;
    }
    return true;
}

bool
wm_utf8_is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x061c || cp == 0x200e ||
           cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
           cp == 0xfeff;
}

size_t
wm_utf8_show(struct wm_str s, char out[16], size_t *out_n)
{
    static const char hex[] = "0123456789abcdef";
    uint32_t cp = 0;
    size_t len = wm_utf8_next(s.p, s.n, &cp);

    if (len > 0 && !wm_utf8_is_control(cp)) {
        memcpy(out, s.p, len);
        *out_n = len;
        return len;
    }
    if (len == 0)
        len = 1;
    for (size_t k = 0; k < len; k++) {
        unsigned char c = (unsigned char)s.p[k];

        out[4 * k] = '\\';
        out[4 * k + 1] = 'x';
        out[4 * k + 2] = hex[c >> 4];
        out[4 * k + 3] = hex[c & 15];
    }
    *out_n = 4 * len;
    return len;
}
