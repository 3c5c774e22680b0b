/* base/crc32.h -- the CRC-32 of zip. */
#ifndef WM_BASE_CRC32_H
#define WM_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The check sum of some bytes that were followed by [p, p + n); `crc` is that of the bytes before, 0 where there
 * are none. */
uint32_t wm_crc32(uint32_t crc, const void *p, size_t n);

#endif
