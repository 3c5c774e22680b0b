/* base/crc32.c -- CRC-32 by tables, eight bytes a step.
 *
 * In: bytes, and the check sum of those before.  Out: the check sum of both.  The polynomial is 0xedb88320, register
 * and result are inverted. */
#include "base/crc32.h"

static const uint32_t table[8][256] = {
#include "base/crc32.def"
};

static uint32_t
load(const unsigned char *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t
wm_crc32(uint32_t crc, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    crc = ~crc;
    for (; n >= 8; p += 8, n -= 8) {
        uint32_t a = crc ^ load(p), b = load(p + 4);

        crc = table[7][a & 255] ^ table[6][a >> 8 & 255] ^ table[5][a >> 16 & 255] ^ table[4][a >> 24] ^
              table[3][b & 255] ^ table[2][b >> 8 & 255] ^ table[1][b >> 16 & 255] ^ table[0][b >> 24];
    }
    for (; n > 0; p++, n--)
        crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
    return ~crc;
}
