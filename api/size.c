/* api/size.c -- sizes as people write them: "5GB", "64MiB". */
#include <stdio.h>
#include <string.h>

#include "wmap/wmap.h"

bool
wmap_parse_size(const char *text, uint64_t *bytes)
{
    static const char letters[] = "KMGTPE";
    uint64_t whole = 0, scale = 1, base, value;
    double fraction = 0, step = 0.1;
    const char *p = text, *letter;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(whole, 10u, &whole) ||
            __builtin_add_overflow(whole, (unsigned)(*p - '0'), &whole))
            return false;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, step /= 10)
            fraction += step * (*p - '0');
    letter = *p ? strchr(letters, *p >= 'a' ? *p - 'a' + 'A' : *p) : NULL;
    if (letter) {
        p++;
        base = *p == 'i' ? 1024 : 1000; /* 5G is decimal, as 5GB is */
        p += *p == 'i';
        for (const char *l = letters; l <= letter; l++)
            scale *= base;
    }
    if (*p == 'b' || *p == 'B')
        p++;
    if (*p || __builtin_mul_overflow(whole, scale, &value) ||
        __builtin_add_overflow(value, (uint64_t)(fraction * (double)scale), &value))
        return false;
    *bytes = value;
    return true;
}

void
wmap_print_size(uint64_t bytes, char *out, size_t n)
{
    static const char *const unit[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    unsigned u = 0;

    while (v >= 999.5 && u + 1 < sizeof(unit) / sizeof(unit[0])) {
        v /= 1000;
        u++;
    }
    snprintf(out, n, "%.*f %s", u == 0 || v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2, v, unit[u]);
}
