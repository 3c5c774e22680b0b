/* runtime/formats/torch_legacy.c -- files of torch.save before 1.6: pickles in a row, then the storages. */
#include "runtime/formats/torch.h"

bool
wm_torch_legacy_probe(const unsigned char *p, size_t n)
{
    (void)p;
    (void)n;
    return false;
}
