/* runtime/codec.h -- elements as a file has them, and as tensors have them.
 *
 * In bulk and without state: the executor calls it for stretches of a virtual input file and of windows of an
 * output (see enum wm_codec in runtime/plan.h). */
#ifndef WM_RUNTIME_CODEC_H
#define WM_RUNTIME_CODEC_H

#include "runtime/plan.h"

/* Bytes of one element, decoded and in the file; raw 0: elements differ in length, and there is an index. */
struct wm_codec_info {
    uint8_t plain, raw;
    bool written; /* of outputs, too */
};
extern const struct wm_codec_info wm_codec_info[WM_CODEC_N];

/* Decode n elements of a codec with fixed lengths.  Returns how many are well-formed from the first on: n, or the
 * number of the first that is not (what is behind it at `to` is undefined).  No alignment is needed; the two do not
 * overlap, or are the same place (SWAPn). */
uint64_t wm_codec_decode(enum wm_codec c, void *to, const void *from, uint64_t n);

/* Encode n elements of a codec with fixed lengths.  The two may overlap where `from` is the end of the room at `to`:
 * from == to + n * (raw - plain). */
void wm_codec_encode(enum wm_codec c, void *to, const void *from, uint64_t n);

/* Bytes of the msgpack number that begins with this byte; 0: no number does. */
unsigned wm_codec_number_size(unsigned char first);

/* Decode n elements of a codec without a fixed length from [from, from + len).  Returns how many are well-formed, as
 * above; *used: the bytes that they take. */
uint64_t wm_codec_decode_mixed(enum wm_codec c, void *to, const void *from, uint64_t len, uint64_t n, uint64_t *used);

#endif
