/* tests/unit/test_zip_write.c -- the bytes of .pth, .npz and .npy files.
 *
 * Each file is put together as the executor does, and held against what torch.save and np.savez have written for the
 * same tensors: their CRC-32, computed there.  The tensors hold 0, 1, 2, .. as bytes. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "base/crc32.h"
#include "runtime/format.h"
#include "runtime/formats/torch_write.h"

struct fixture {
    struct wm_arena a;
    struct wm_err err;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    wm_arena_init(&f->a, &wm_sys_real, NULL, NULL);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    wm_arena_fini(&f->a);
    free(f);
    return 0;
}

/* The whole file; every byte has been written once. */
static struct wm_str
assemble(struct fixture *f, const struct wm_wfile *w, const struct wm_wtensor *t, uint32_t n)
{
    char *p = wm_arena_alloc(&f->a, w->size);
    uint64_t done = w->head.n + w->tail.n;

    memcpy(p, w->head.p, w->head.n);
    for (uint32_t i = 0; i < w->piece.n; i++) {
        memcpy(p + w->piece.item[i].off, w->piece.item[i].bytes, w->piece.item[i].len);
        done += w->piece.item[i].len;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint64_t k = 0; k < t[i].nbytes; k++)
            p[t[i].off + k] = (char)k;
        done += t[i].same == WM_NONE ? t[i].nbytes : 0;
    }
    if (w->tail.n)
        memcpy(p + w->size - w->tail.n, w->tail.p, w->tail.n);
    assert_int_equal(done, w->size);
    for (uint32_t i = 0; i < w->sum.n; i++) {
        const struct wm_wsum *s = &w->sum.item[i];
        uint32_t crc = wm_crc32(0, p + s->lo, s->hi - s->lo);

        for (uint32_t k = 0; k < s->nfield; k++)
            memcpy(p + s->field[k], &crc, 4);
    }
    return (struct wm_str){p, w->size};
}

/* (zlib.crc32 of the bytes before the data of the serialization id, and their number.) */
static void
expect_torch(struct fixture *f, const struct wm_wopts *o, struct wm_wtensor *t, uint32_t n, size_t len, uint32_t crc)
{
    struct wm_wfile w;
    struct wm_str s;

    assert_int_equal(wm_torch_layout(&f->a, t, n, o, &w, &f->err), WM_OK);
    s = assemble(f, &w, t, n);
    assert_true(s.n > len);
    assert_int_equal(wm_crc32(0, s.p, len), crc);
    for (size_t i = 0; i < 40; i++)
        assert_true(s.p[len + i] >= '0' && s.p[len + i] <= '9');
    assert_memory_equal(s.p + len + 40, "PK\7\10", 4);
}

static const int64_t shape[][4] = {{2, 3}, {0, 3}, {300}, {1, 1, 1, 2}, {2, 1, 2}};

#define TENSOR(n, d, r, s, bytes, u) \
    {.name = {n, sizeof(n) - 1}, .dtype = WM_DT_##d, .rank = r, .shape = s, .nbytes = bytes, .user = u, .same = WM_NONE}

static void
torch_as_torch_save(void **state)
{
    struct wm_wtensor t[] = {
        TENSOR("w.bf16", BF16, 2, shape[0], 12, 7),  TENSOR("w.tied", BF16, 2, shape[0], 12, 3),
        TENSOR("n.u16", U16, 0, NULL, 2, 5),         TENSOR("n.f8", F8_E4M3, 2, shape[1], 0, 1),
        TENSOR("n.c64", C64, 1, shape[2], 2400, 2),  TENSOR("n.bool", BOOL, 4, shape[3], 2, 4),
        TENSOR("n.f4", F4, 3, shape[4], 2, 6),       TENSOR("n.\xc3\xa9", F32, 2, shape[0], 24, 8),
        TENSOR("n.other", F64, 2, shape[0], 48, 10), TENSOR("n.empty", I64, 2, shape[1], 0, 12),
        TENSOR("w.again", BF16, 2, shape[0], 12, 9),
    };

    t[1].same = 7;
    t[10].same = 7;
    expect_torch(*state, &(struct wm_wopts){.name = WM_STR("x/lit_model.pth")}, t, WM_COUNTOF(t), 5120, 0x2a269659);
    assert_int_equal(t[1].off, t[0].off);
    assert_int_equal(t[10].same, 7);
    expect_torch(*state, &(struct wm_wopts){.name = WM_STR("a.b.pth"), .root = WM_STR("state.model")}, t + 7, 1, 1024,
                 0xea288a68);
    expect_torch(*state, &(struct wm_wopts){.name = WM_STR("caf\xc3\xa9.bin")}, t, 0, 704, 0x2f58ff30);
}

/* More than a batch of the pickler, than a byte of its memo, than 16 bits of a number. */
static void
torch_with_many(void **state)
{
    enum { N = 2001 };
    struct fixture *f = *state;
    struct wm_wtensor *t = WM_NEW_N(&f->a, struct wm_wtensor, N);
    static const int64_t few[] = {1}, large[] = {70000};

    for (uint32_t i = 0; i < N; i++)
        t[i] = (struct wm_wtensor){.name = wm_arena_printf(&f->a, "t.%u", i), .dtype = WM_DT_U8, .rank = 1,
                                   .shape = i == 5 ? large : few, .nbytes = i == 5 ? 70000 : 1, .user = i,
                                   .same = WM_NONE};
    expect_torch(f, &(struct wm_wopts){.name = WM_STR("many.pt")}, t, N, 438080, 0xa27afb67);
    expect_torch(f, &(struct wm_wopts){.name = WM_STR("many.pt")}, t, 1000, 220864, 0x7c42f573);
}

/* Beyond 32 bits, where only the bytes around are compared: those of torch.save, and of Python's zipfile. */
static void
large_files(void **state)
{
    static const int64_t huge[] = {INT64_C(4294967306)}, five[] = {5}, three[] = {3};
    struct fixture *f = *state;
    struct wm_wtensor t[] = {TENSOR("x.a", F32, 1, three, 12, 0), TENSOR("x.big", U8, 1, huge, 4294967306, 1),
                             TENSOR("x.c", I64, 1, five, 40, 2)};
    struct wm_wfile w;
    struct wm_str tail;

    assert_int_equal(wm_torch_layout(&f->a, t, 3, &(struct wm_wopts){0}, &w, &f->err), WM_OK);
    assert_int_equal(wm_crc32(0, w.head.p, w.head.n), 0x67ce3b56);
    assert_int_equal(w.piece.n, 2);
    assert_int_equal(w.piece.item[1].len, 118);
    assert_int_equal(w.piece.item[1].off, t[1].off + t[1].nbytes);
    assert_int_equal(wm_crc32(0, w.piece.item[1].bytes, w.piece.item[1].len), 0x37a392fc);
    assert_int_equal(w.tail.n, 1017);
    assert_int_equal(w.size, 4294969505);
    tail = (struct wm_str){w.tail.p + 24, 96};
    assert_int_equal(wm_crc32(0, tail.p, tail.n), 0xc6223c8f);
    tail = (struct wm_str){w.tail.p + w.tail.n - 98, 98};
    assert_int_equal(wm_crc32(0, tail.p, tail.n), 0xe094986a);
    assert_int_equal(w.sum.n, 3);
    assert_int_equal(w.sum.item[1].field[0], t[1].off + t[1].nbytes + 4);
}

static void
numpy_as_savez(void **state)
{
    struct fixture *f = *state;
    struct wm_wtensor t[] = {
        TENSOR("w.f32", F32, 2, shape[0], 24, 0),  TENSOR("n.c64", C64, 1, shape[2], 2400, 2),
        TENSOR("n.u16", U16, 0, NULL, 2, 5),       TENSOR("n.bf16", BF16, 2, shape[0], 12, 1),
        TENSOR("n.bool", BOOL, 4, shape[3], 2, 4), TENSOR("n.\xc3\xa9", F64, 2, shape[1], 0, 6),
    };
    const struct wm_format *npz = wm_format_by_suffix(WM_STR("x.npz"), NULL), *npy = wm_format_by_name(WM_STR("npy"), NULL);
    struct wm_wfile w;
    struct wm_str s;

    assert_int_equal(npz->layout(&f->a, t, WM_COUNTOF(t), &(struct wm_wopts){0}, &w, &f->err), WM_OK);
    s = assemble(f, &w, t, WM_COUNTOF(t));
    assert_int_equal(s.n, 3916);
    assert_int_equal(wm_crc32(0, s.p, s.n), 0x53214eb7);
    assert_int_equal(npy->layout(&f->a, t + 1, 1, &(struct wm_wopts){0}, &w, &f->err), WM_OK);
    s = assemble(f, &w, t + 1, 1);
    assert_int_equal(s.n, 128 + 2400);
    assert_int_equal(wm_crc32(0, s.p, s.n), 0xe34fa7ad);
    assert_int_equal(npz->layout(&f->a, t, 0, &(struct wm_wopts){0}, &w, &f->err), WM_OK);
    assert_int_equal(w.head.n, 22);
    assert_int_equal(w.size, 22);
}

/* What a container can't hold is refused by name. */
static void
refusals(void **state)
{
    struct fixture *f = *state;
    const struct wm_format *npz = wm_format_by_name(WM_STR("npz"), NULL), *npy = wm_format_by_name(WM_STR("npy"), NULL);
    static const int64_t odd[] = {2, 2, 3};
    struct wm_wtensor six = TENSOR("a", F6_E2M3, 1, shape[2], 225, 0), four = TENSOR("b", F4, 3, odd, 6, 0),
                      bad = TENSOR("\xff", U8, 0, NULL, 1, 0), eight = TENSOR("c", F8_E4M3, 0, NULL, 1, 0),
                      out = TENSOR("../c", U8, 0, NULL, 1, 0), two[2] = {out, out};
    struct wm_wopts o = {.name = WM_STR("m.npy")};
    struct wm_wfile w;

    assert_int_equal(wm_torch_layout(&f->a, &six, 1, &o, &w, &f->err), WM_ESUPPORT);
    assert_string_equal(f->err.msg, "tensor \"a\": torch has no dtype F6_E2M3");
    f->err = (struct wm_err){0};
    assert_int_equal(wm_torch_layout(&f->a, &four, 1, &o, &w, &f->err), WM_ESUPPORT);
    assert_string_equal(f->err.msg, "tensor \"b\": torch holds F4 in pairs, but the last dimension is odd");
    assert_int_equal(wm_torch_layout(&f->a, &bad, 1, &o, &w, &f->err), WM_ESUPPORT);
    f->err = (struct wm_err){0};
    assert_int_equal(wm_torch_layout(&f->a, two, 2, &o, &w, &f->err), WM_EFORMAT);
    f->err = (struct wm_err){0};
    assert_int_equal(npz->layout(&f->a, &eight, 1, &o, &w, &f->err), WM_ESUPPORT);
    assert_string_equal(f->err.msg, "tensor \"c\": numpy has no dtype F8_E4M3");
    assert_int_equal(npz->layout(&f->a, &out, 1, &o, &w, &f->err), WM_ESUPPORT);
    f->err = (struct wm_err){0};
    assert_int_equal(npy->layout(&f->a, two, 2, &o, &w, &f->err), WM_ESUPPORT);
    assert_string_equal(f->err.msg, "m.npy: a .npy file holds one tensor, not 2; write a .npz, or a directory with "
                                    "--format npy");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(torch_as_torch_save, setup, teardown),
        cmocka_unit_test_setup_teardown(torch_with_many, setup, teardown),
        cmocka_unit_test_setup_teardown(large_files, setup, teardown),
        cmocka_unit_test_setup_teardown(numpy_as_savez, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
