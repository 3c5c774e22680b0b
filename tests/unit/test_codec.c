/* test_codec.c -- elements in files and in tensors: bit patterns against encodings written by hand, and plans that
 * read and write through codecs, in all windows, with several threads. */
#include "tests/unit/unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32.h"
#include "runtime/codec.h"
#include "runtime/exec.h"
#include "runtime/exec_priv.h"
#include "tests/unit/maps.h"
#include "tests/unit/plans.h"

static char path[64];

/* ---- single elements ---- */

static void
test_numbers(void **state)
{
    static const struct {
        unsigned char raw[9];
        unsigned n;
        float value;
    } c[] = {
        {{0x00}, 1, 0},
        {{0x7f}, 1, 127},
        {{0xff}, 1, -1},
        {{0xe0}, 1, -32},
        {{0xcc, 0x80}, 2, 128},
        {{0xcd, 0x12, 0x34}, 3, 4660},
        {{0xce, 0xff, 0xff, 0xff, 0x00}, 5, 4294967040.0f},
        {{0xcf, 0, 0, 0, 0, 1, 0, 0, 2}, 9, 16777218.0f},
        {{0xd0, 0x80}, 2, -128},
        {{0xd1, 0x80, 0x00}, 3, -32768},
        {{0xd2, 0xff, 0xff, 0xff, 0xfe}, 5, -2},
        {{0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0}, 9, -9223372036854775808.0f},
        {{0xca, 0x3f, 0xc0, 0, 0}, 5, 1.5f},
        {{0xcb, 0xbf, 0xf8, 0, 0, 0, 0, 0, 0}, 9, -1.5f},
    };
    unsigned char all[256];
    uint64_t len = 0, used;
    float f[32];

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        assert_int_equal(wm_codec_number_size(c[i].raw[0]), c[i].n);
        memcpy(all + len, c[i].raw, c[i].n);
        len += c[i].n;
    }
    assert_int_equal(wm_codec_decode_mixed(WM_CODEC_MSGPACK_MIXED, f, all, len, 14, &used), 14);
    assert_int_equal(used, len);
    for (size_t i = 0; i < 14; i++)
        assert_memory_equal(&f[i], &c[i].value, 4);
    assert_int_equal(wm_codec_decode_mixed(WM_CODEC_MSGPACK_MIXED, f, all, len - 1, 14, &used), 13);
    assert_int_equal(used, len - 9);
    for (unsigned b = 0x80; b < 0xe0; b++)
        assert_int_equal(wm_codec_number_size((unsigned char)b) > 0, b >= 0xca && b <= 0xd3);
    assert_int_equal(wm_codec_decode_mixed(WM_CODEC_MSGPACK_MIXED, f, "\x01\xc3\x02", 3, 3, &used), 1);
}

/* Numbers that no float32 equals: refused, or rounded as a cast does. */
static void
test_rounding(void **state)
{
    static const struct {
        unsigned char raw[9];
        unsigned n;
        float value;
    } c[] = {
        {{0xcb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a}, 9, 0.1f},
        {{0xcb, 0x3f, 0xf0, 0, 0, 0x10, 0, 0, 0}, 9, 1.0f},               /* half way: to even */
        {{0xcb, 0x47, 0xf0, 0, 0, 0, 0, 0, 0}, 9, HUGE_VALF},             /* 2^128 */
        {{0xce, 1, 0, 0, 1}, 5, 16777216.0f},
        {{0xce, 0xff, 0xff, 0xff, 0xff}, 5, 4294967296.0f},
        {{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, 18446744073709551616.0f},
        {{0xd2, 0xfe, 0xff, 0xff, 0xff}, 5, -16777216.0f},
        {{0xd3, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, 9223372036854775808.0f},
    };
    uint64_t used;
    float f;

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        assert_int_equal(wm_codec_decode_mixed(WM_CODEC_MSGPACK_MIXED, &f, c[i].raw, c[i].n, 1, &used), 0);
        assert_int_equal(wm_codec_decode_mixed(WM_CODEC_MSGPACK_MIXED_ROUND, &f, c[i].raw, c[i].n, 1, &used), 1);
        assert_memory_equal(&f, &c[i].value, 4);
        if (c[i].raw[0] != 0xcb)
            continue;
        assert_int_equal(wm_codec_decode(WM_CODEC_MSGPACK_F64, &f, c[i].raw, 1), 0);
        assert_int_equal(wm_codec_decode(WM_CODEC_MSGPACK_F64_ROUND, &f, c[i].raw, 1), 1);
        assert_memory_equal(&f, &c[i].value, 4);
    }
}

/* Unsigned integers in all their spellings, and what is none. */
static void
test_unsigned(void **state)
{
    static const struct {
        unsigned char raw[9];
        unsigned n;
        int64_t value; /* -1: refused */
    } c[] = {
        {{0x00}, 1, 0},
        {{0x7f}, 1, 127},
        {{0xff}, 1, -1},
        {{0xcc, 0xff}, 2, 255},
        {{0xcd, 0xff, 0xfe}, 3, 65534},
        {{0xce, 0xff, 0xff, 0xff, 0xff}, 5, UINT32_MAX},
        {{0xcf, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 9, UINT32_MAX},
        {{0xcf, 0, 0, 0, 1, 0, 0, 0, 0}, 9, -1},
        {{0xd0, 0x7f}, 2, 127},
        {{0xd0, 0x80}, 2, -1},
        {{0xd1, 0x7f, 0xff}, 3, 32767},
        {{0xd1, 0xff, 0xff}, 3, -1},
        {{0xd2, 0x7f, 0xff, 0xff, 0xff}, 5, INT32_MAX},
        {{0xd2, 0x80, 0, 0, 0}, 5, -1},
        {{0xd3, 0, 0, 0, 0, 0xff, 0, 0, 1}, 9, 0xff000001},
        {{0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9, -1},
        {{0xca, 0x3f, 0x80, 0, 0}, 5, -1}, /* 1.0 */
        {{0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}, 9, -1},
    };
    uint64_t used;
    uint32_t v;

    (void)state;
    for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
        uint64_t good = wm_codec_decode_mixed(WM_CODEC_MSGPACK_U32_MIXED, &v, c[i].raw, c[i].n, 1, &used);

        assert_int_equal(good, c[i].value >= 0);
        if (good)
            assert_int_equal(v, c[i].value);
    }
    assert_int_equal(wm_codec_decode(WM_CODEC_MSGPACK_U32, &v, "\xce\x01\x02\x03\x04", 1), 1);
    assert_int_equal(v, 0x01020304);
    assert_int_equal(wm_codec_decode(WM_CODEC_MSGPACK_U32, &v, "\xca\x01\x02\x03\x04", 1), 0);
}

/* Every kind of float32, NaNs with their bits, through both codecs of floats. */
static void
test_floats(void **state)
{
    enum { N = 70001 };
    uint32_t *bits = malloc(N * 4), *back = malloc(N * 4);
    unsigned char *raw = malloc(N * 9);
    uint64_t seed = 3;

    (void)state;
    for (int i = 0; i < N; i++)
        bits[i] = rnd(&seed, 1 << 16) << 16 | rnd(&seed, 1 << 16);
    bits[0] = 0x7f800001; /* a signalling NaN */
    bits[1] = 0xffc00123;
    bits[2] = 0x80000001; /* the smallest */
    bits[3] = 0x7f800000;
    for (int c = WM_CODEC_MSGPACK_F32; c <= WM_CODEC_MSGPACK_F64; c++) {
        unsigned size = wm_codec_info[c].raw;

        memcpy(raw + (uint64_t)N * (size - 4), bits, (uint64_t)N * 4); /* in place, at the end */
        wm_codec_encode((enum wm_codec)c, raw, raw + (uint64_t)N * (size - 4), N);
        for (int i = 0; i < N; i++) {
            uint64_t v = 0;

            for (unsigned k = 1; k < size; k++)
                v = v << 8 | raw[(unsigned)i * size + k];
            assert_int_equal(raw[(unsigned)i * size], c == WM_CODEC_MSGPACK_F32 ? 0xca : 0xcb);
            if (c == WM_CODEC_MSGPACK_F32) {
                assert_int_equal(v, bits[i]);
            } else if ((bits[i] & 0x7f800000) != 0x7f800000) {
                float f;
                double d;

                memcpy(&f, &bits[i], 4);
                memcpy(&d, &v, 8);
                assert_true(d == (double)f);
            }
        }
        memset(back, 0xee, N * 4);
        assert_int_equal(wm_codec_decode((enum wm_codec)c, back, raw, N), N);
        assert_memory_equal(back, bits, N * 4);
        raw[12345 * size] ^= 1;
        assert_int_equal(wm_codec_decode((enum wm_codec)c, back, raw, N), 12345);
        raw[12345 * size] ^= 1;
    }
    raw[777 * 9 + 8] ^= 1; /* the last bit of a float64 */
    assert_int_equal(wm_codec_decode(WM_CODEC_MSGPACK_F64, back, raw, N), 777);
    free(bits);
    free(back);
    free(raw);
}

/* ---- plans ---- */

enum { N = 40000, HEAD = 37, GAP = 11, TAIL = 21 };

struct sunk {
    uint8_t *bytes, *seen;
    uint64_t size;
};

static enum wm_status
keep(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    struct sunk *s = user;

    (void)file;
    (void)err;
    assert_true(off + n <= s->size);
    memcpy(s->bytes + off, p, n);
    for (uint64_t i = 0; i < n; i++)
        s->seen[off + i]++; /* windows are apart */
    return WM_OK;
}

struct bytes {
    uint8_t *p;
    uint64_t n, cap;
};

static void
append(struct bytes *b, const void *p, uint64_t n)
{
    if (b->n + n > b->cap) { /* with sanitizers a realloc copies: not one a byte */
        b->cap = 2 * (b->n + n);
        b->p = realloc(b->p, b->cap);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void
append_big(struct bytes *b, uint64_t v, unsigned n)
{
    for (unsigned k = n; k-- > 0;) {
        uint8_t c = (uint8_t)(v >> (8 * k));

        append(b, &c, 1);
    }
}

static uint64_t
f64_bits(float f)
{
    double d = (double)f;
    uint64_t v;

    memcpy(&v, &d, 8);
    return v;
}

/* Number i of the test data: whole, so that every encoding has it. */
static float
value(uint64_t i)
{
    return (float)((int64_t)(i * 2654435761u % 70000) - 20000);
}

static void
append_mixed(struct bytes *b, uint64_t i)
{
    float f = value(i);
    int64_t v = (int64_t)f;
    uint32_t bits;

    memcpy(&bits, &f, 4);
    if (i % 5 == 0)
        append_big(b, 0xca, 1), append_big(b, bits, 4);
    else if (i % 5 == 1)
        append_big(b, 0xcb, 1), append_big(b, f64_bits(f), 8);
    else if (v >= 0 && v < 128)
        append_big(b, (uint64_t)v, 1);
    else if (v >= 0 && v < 65536)
        append_big(b, 0xcd, 1), append_big(b, (uint64_t)v, 2);
    else
        append_big(b, 0xd2, 1), append_big(b, (uint64_t)v, 4);
}

/* The bits of a number as an integer, in one of two widths. */
static void
append_integer(struct bytes *b, uint32_t bits)
{
    if (bits % 3)
        append_big(b, 0xce, 1), append_big(b, bits, 4);
    else
        append_big(b, 0xcf, 1), append_big(b, bits, 8);
}

/* The same numbers as one stretch of each codec, behind one another. */
struct input {
    struct bytes file;
    uint64_t lo[WM_CODEC_N], index[WM_CODEC_N][3];
};

static void
make_input(struct input *in)
{
    FILE *f;

    memset(in, 0, sizeof(*in));
    append(&in->file, "12345", 5);
    for (int c = WM_CODEC_SWAP2; c < WM_CODEC_N; c++) {
        in->lo[c] = in->file.n;
        for (uint64_t i = 0; i < N; i++) {
            float v = value(i);
            uint32_t bits;

            memcpy(&bits, &v, 4);
            if (c == WM_CODEC_SWAP2) /* of a 4-byte element: its halves */
                append_big(&in->file, bits << 16 | bits >> 16, 4);
            else if (c == WM_CODEC_SWAP4)
                append_big(&in->file, bits, 4);
            else if (c == WM_CODEC_SWAP8)
                append_big(&in->file, f64_bits(v), 8);
            else if (c == WM_CODEC_MSGPACK_F32)
                append_big(&in->file, 0xca, 1), append_big(&in->file, bits, 4);
            else if (c == WM_CODEC_MSGPACK_F64 || c == WM_CODEC_MSGPACK_F64_ROUND)
                append_big(&in->file, 0xcb, 1), append_big(&in->file, f64_bits(v), 8);
            else if (c == WM_CODEC_MSGPACK_U32)
                append_big(&in->file, 0xce, 1), append_big(&in->file, bits, 4);
            else {
                if (i % WM_CODEC_INDEX_STEP == 0)
                    in->index[c][i / WM_CODEC_INDEX_STEP] = in->file.n - in->lo[c];
                if (c == WM_CODEC_MSGPACK_U32_MIXED)
                    append_integer(&in->file, bits);
                else
                    append_mixed(&in->file, i);
            }
        }
    }
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(in->file.p, 1, in->file.n, f), in->file.n);
    fclose(f);
}

static uint32_t
add_virtual(struct mk *m, const struct input *in, uint32_t file, uint32_t c)
{
    uint64_t end = c + 1 < WM_CODEC_N ? in->lo[c + 1] : in->file.n;
    struct wm_plan_infile f = {.codec = c, .of = file, .lo = in->lo[c], .len = end - in->lo[c]};

    f.nbytes = c == WM_CODEC_SWAP8 ? 8 * N : 4 * N;
    if (wm_codec_info[c].raw == 0)
        f.index = wm_plan_add_bytes(&m->b, in->index[c], sizeof(in->index[c]));
    return (uint32_t)wm_plan_add(&m->b, WM_PS_INFILE, &f, sizeof(f), 1);
}

/* An output between tensors, of constants. */
static void
add_between(struct mk *m, const char *text)
{
    struct wm_plan_bytes b = wm_plan_add_bytes(&m->b, text, strlen(text));
    struct wm_plan_infile f = {.codec = WM_CODEC_BLOB, .lo = b.off, .len = b.len, .nbytes = b.len};
    uint32_t in = mk_in(m, "", (uint32_t)wm_plan_add(&m->b, WM_PS_INFILE, &f, sizeof(f), 1), WM_DT_U8, 0,
                        (int64_t)b.len);
    struct wm_imap map;

    wm_imap_init(&map, m->a);
    wm_imap_identity(&map, (int64_t)b.len, 0);
    wm_imap_canon(&map);
    mk_out(m, "", 0, WM_DT_U8, (int64_t)b.len, mk_geom(m, &map, 1, 1, (int64_t)b.len), &in, 1);
}

/* The last output is written with a codec. */
static void
encode_last(struct mk *m, uint32_t codec)
{
    struct wm_plan_out *o = (struct wm_plan_out *)(void *)m->b.section[WM_PS_OUT].p + m->nout - 1;
    uint64_t n = o->nbytes / wm_codec_info[codec].plain * wm_codec_info[codec].raw;

    m->at += n - o->nbytes;
    m->b.out_bytes += n - o->nbytes;
    o->nbytes = n;
    o->codec = codec;
}

struct made {
    struct mk m;
    struct wm_plan plan;
    struct bytes want; /* the whole file, with sums of zero */
    uint64_t sum[2][2];
};

/* A file: each stretch straight, each transposed as [200, 200], written in each codec in turn. */
static void
make_plan(struct made *d, struct wm_arena *a, const struct input *in)
{
    static const uint32_t out_codec[] = {WM_CODEC_RAW, WM_CODEC_MSGPACK_F32, WM_CODEC_MSGPACK_F64, WM_CODEC_SWAP4,
                                         WM_CODEC_SWAP2, WM_CODEC_MSGPACK_U32};
    struct wm_dim turn[2] = {{.extent = 200, .dst = 200, .src = {1}}, {.extent = 200, .dst = 1, .src = {200}}};
    struct wm_box box = {.nsrc = 1, .rank = 2};
    struct wm_imap map[2];
    uint32_t geom[2], file, k = 0;
    struct wm_plan_sum sum;
    struct wm_err err = {0};
    uint64_t size;
    void *block;

    memset(d, 0, sizeof(*d));
    mk_init(&d->m, a);
    file = mk_infile(&d->m, path);
    wm_imap_init(&map[0], a);
    wm_imap_identity(&map[0], N, 0);
    wm_imap_init(&map[1], a);
    wm_imap_add(&map[1], &box, turn);
    for (int i = 0; i < 2; i++) {
        wm_imap_canon(&map[i]);
        geom[i] = mk_geom(&d->m, &map[i], 4, 1, N);
    }
    mk_file_begin(&d->m, HEAD);
    for (int i = 0; i < HEAD; i++)
        append(&d->want, "", 1);
    for (uint32_t c = WM_CODEC_SWAP2; c < WM_CODEC_N; c++) {
        uint32_t t;

        if (c == WM_CODEC_SWAP8)
            continue;
        t = mk_in(&d->m, "t", add_virtual(&d->m, in, file, c), WM_DT_F32, 0, N);
        for (uint32_t g = 0; g < 2; g++, k++) {
            uint32_t as = out_codec[k % 6];

            d->sum[g][0] = d->want.n;
            mk_out(&d->m, "out", 0, WM_DT_F32, N, geom[g], &t, 1);
            encode_last(&d->m, as);
            for (uint64_t i = 0; i < N; i++) {
                float v = value(g ? i % 200 * 200 + i / 200 : i);
                uint32_t bits;

                memcpy(&bits, &v, 4);
                if (as == WM_CODEC_RAW)
                    append(&d->want, &v, 4);
                else if (as == WM_CODEC_SWAP4)
                    append_big(&d->want, bits, 4);
                else if (as == WM_CODEC_SWAP2)
                    append_big(&d->want, bits << 16 | bits >> 16, 4);
                else if (as == WM_CODEC_MSGPACK_F32)
                    append_big(&d->want, 0xca, 1), append_big(&d->want, bits, 4);
                else if (as == WM_CODEC_MSGPACK_U32)
                    append_big(&d->want, 0xce, 1), append_big(&d->want, bits, 4);
                else
                    append_big(&d->want, 0xcb, 1), append_big(&d->want, f64_bits(v), 8);
            }
            d->sum[g][1] = d->want.n;
            add_between(&d->m, "eleven byte");
            append(&d->want, "eleven byte", GAP);
        }
    }
    mk_file_end(&d->m, "out", TAIL);
    for (int i = 0; i < TAIL; i++)
        append(&d->want, "", 1);
    /* the last two tensors, one with what is behind it but for the field; and fields in tail and between */
    d->sum[1][1] += GAP;
    sum = (struct wm_plan_sum){.nfield = 1, .lo = d->sum[0][0], .hi = d->sum[0][1], .field = {d->sum[0][1] + 2}};
    wm_plan_add(&d->m.b, WM_PS_SUM, &sum, sizeof(sum), 1);
    sum = (struct wm_plan_sum){.nfield = 2, .lo = d->sum[1][0], .hi = d->sum[1][1] + 3, .field = {8, d->want.n - 5}};
    d->sum[1][1] += 3;
    wm_plan_add(&d->m.b, WM_PS_SUM, &sum, sizeof(sum), 1);
    for (int i = 0; i < 2; i++) {
        struct wm_plan_insum s = {.file = file, .lo = i ? 6 : 0, .hi = i ? 6 : in->file.n,
                                  .name = wm_plan_add_text(&d->m.b, WM_STR("entry"))};

        s.crc = i ? 0 : wm_crc32(0, in->file.p, in->file.n);
        wm_plan_add(&d->m.b, WM_PS_INSUM, &s, sizeof(s), 1);
    }
    block = wm_plan_finish(&d->m.b, &size);
    if (wm_plan_open(a, block, size, &d->plan, &err) != WM_OK)
        fail_msg("%s", err.msg);
}

static void
run_plan(struct made *d, const struct wm_exec_opts *o)
{
    struct sunk s = {.size = d->want.n};
    uint32_t sum[2] = {0};
    struct wm_exec_sink sink = {.write = keep, .user = &s, .sum = sum};
    struct wm_err err = {0};

    s.bytes = calloc(1, s.size);
    s.seen = calloc(1, s.size);
    if (wm_exec_run(&d->plan, &wm_sys_real, o, &sink, NULL, &err) != WM_OK)
        fail_msg("%s", err.msg);
    for (uint64_t i = 0; i < s.size; i++)
        assert_int_equal(s.seen[i], i >= HEAD && i < s.size - TAIL);
    assert_memory_equal(s.bytes, d->want.p, s.size);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sum[i], wm_crc32(0, d->want.p + d->sum[i][0], d->sum[i][1] - d->sum[i][0]));
    free(s.bytes);
    free(s.seen);
}

static void
test_plan(void **state)
{
    static const uint64_t window[] = {0, 1009, 65536, 999983, 4096 + 3};
    struct input in;
    struct wm_arena a;
    struct made d;

    (void)state;
    make_input(&in);
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    make_plan(&d, &a, &in);
    for (uint32_t i = 0; i < 5; i++)
        for (uint32_t threads = 1; threads <= 4; threads += 3)
            run_plan(&d, &(struct wm_exec_opts){.window = window[i], .threads = threads,
                                                .max_memory = i % 2 ? 4 << 20 : 0});
    free(d.want.p);
    free(in.file.p);
    wm_arena_fini(&a);
}

/* Single ranges, of elements and of the file. */
static void
test_ranges(void **state)
{
    struct input in;
    struct wm_arena a;
    struct made d;
    struct wm_exec *x;
    struct wm_err err = {0};
    struct wm_exec_opts o = {0};
    const struct wm_plan_out *out;
    uint64_t nout, seed = 5;
    uint8_t got[3000];

    (void)state;
    make_input(&in);
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    make_plan(&d, &a, &in);
    out = wm_plan_section(&d.plan, WM_PS_OUT, &nout);
    assert_int_equal(wm_exec_open(&d.plan, &wm_sys_real, &o, &x, &err), WM_OK);
    for (int i = 0; i < 2000; i++) {
        uint32_t k = rnd(&seed, (uint32_t)nout);
        uint64_t off = rnd(&seed, (uint32_t)out[k].nbytes), n = rnd(&seed, sizeof(got)) + 1;

        n = n < out[k].nbytes - off ? n : out[k].nbytes - off;
        assert_int_equal(wm_exec_encode(x, k, off, n, got, &err), WM_OK);
        assert_memory_equal(got, d.want.p + out[k].off + off, n);
        if (out[k].name.len == 0)
            continue;
        off = rnd(&seed, 4 * N - sizeof(got));
        assert_int_equal(wm_exec_produce(x, k, off, sizeof(got), got, &err), WM_OK);
        for (uint64_t b = 0; b < sizeof(got); b++) {
            uint64_t e = (off + b) / 4;
            float v = value(out[k].geom ? e % 200 * 200 + e / 200 : e);

            assert_int_equal(got[b], ((uint8_t *)&v)[(off + b) % 4]);
        }
    }
    assert_int_equal(wm_exec_check_sums(x, &err), WM_OK);
    wm_exec_close(x);
    free(d.want.p);
    free(in.file.p);
    wm_arena_fini(&a);
}

/* ---- what must fail ---- */

static void
damage(uint64_t off, uint8_t bits)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    fseek(f, (long)off, SEEK_SET);
    c = fgetc(f);
    fseek(f, (long)off, SEEK_SET);
    fputc(c ^ bits, f);
    fclose(f);
}

static void
expect_failure(const struct input *in, uint64_t off, uint8_t bits, const char *want)
{
    struct wm_exec_opts o = {.threads = 2};
    struct sunk s;
    uint32_t sum[2];
    struct wm_exec_sink sink = {.write = keep, .user = &s, .sum = sum};
    struct wm_err err = {0};
    struct wm_arena a;
    struct made d;

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    damage(off, bits);
    make_plan(&d, &a, in);
    s = (struct sunk){calloc(1, d.want.n), calloc(1, d.want.n), d.want.n};
    assert_int_equal(wm_exec_run(&d.plan, &wm_sys_real, &o, &sink, NULL, &err), WM_EFORMAT);
    assert_non_null(strstr(err.msg, path));
    assert_non_null(strstr(err.msg, want));
    damage(off, bits);
    free(s.bytes);
    free(s.seen);
    free(d.want.p);
    wm_arena_fini(&a);
}

static void
test_malformed(void **state)
{
    struct input in;
    char want[128];
    uint64_t at;

    (void)state;
    make_input(&in);
    expect_failure(&in, in.lo[WM_CODEC_MSGPACK_F32] + 5 * 33333, 1, "tensor \"t\": element 33333 is no msgpack float32");
    expect_failure(&in, in.lo[WM_CODEC_MSGPACK_F64] + 9 * 39999, 1, "tensor \"t\": element 39999 is no msgpack float64");
    expect_failure(&in, in.lo[WM_CODEC_MSGPACK_F64] + 9 * 7 + 8, 1, "element 7 is a float64 that no float32 equals");
    at = in.lo[WM_CODEC_MSGPACK_MIXED] + in.index[WM_CODEC_MSGPACK_MIXED][2]; /* 32768 % 5 == 3 */
    snprintf(want, sizeof(want), "tensor \"t\": element %d is", 2 * WM_CODEC_INDEX_STEP);
    expect_failure(&in, at, (uint8_t)(in.file.p[at] ^ 0xc1), want);
    expect_failure(&in, in.lo[WM_CODEC_SWAP8] + 100, 4, "entry: its CRC-32 is ");
    free(in.file.p);
}

static int
setup(void **state)
{
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/wmap-test-codec-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state)
{
    (void)state;
    return unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_unsigned), cmocka_unit_test(test_floats),    cmocka_unit_test(test_plan),
        cmocka_unit_test(test_ranges),  cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
