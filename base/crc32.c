/* base/crc32.c -- the CRC-32 of zip, by libdeflate: carry-less multiplication where the machine has it. */
#include "base/crc32.h"

#include <libdeflate.h>

uint32_t
wm_crc32(uint32_t crc, const void *bytes, size_t n)
{
    return n ? libdeflate_crc32(crc, bytes, n) : crc;
}
