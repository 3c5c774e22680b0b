/* test_plan.c -- plans: text, refusal of damaged ones, and blocks of random damage, which must
 * never be trusted. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <unistd.h>

#include "runtime/exec.h"
#include "tests/unit/plans.h"

static char path[64];

static int
setup(void **state)
{
    char bytes[4096] = {0};
    int fd;

    (void)state;
    snprintf(path, sizeof(path), "/tmp/wmap-test-plan-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes) || close(fd) != 0;
}

static int
teardown(void **state)
{
    (void)state;
    return unlink(path);
}

/* Two tensors, of which one is permuted and filled, one cast; a check; a sidecar. */
static void *
good(struct wm_arena *a, uint64_t *size)
{
    struct mk m;
    struct wm_imap map;
    struct wm_plan_elem fill = {.kind = WM_EL_FILL, .pattern = {1, 2}},
                        equal = {.kind = WM_EL_EQUAL};
    struct wm_plan_step cast = {.kind = WM_SP_CAST, .from = WM_DT_BF16, .to = WM_DT_F32};
    struct wm_dim d[2] = {{3, 4, {1}}, {4, 1, {3}}}, row = {5, 1, {0}}, both = {12, 1, {1, 1}};
    struct wm_box b = {.nsrc = 1, .rank = 2}, f = {.dst_base = 12, .rank = 1};
    struct wm_box e = {.nsrc = 2, .rank = 1, .slot = {0, 1}};
    struct wm_plan_sidecar side = {0};
    uint32_t file, in[2], geom;

    mk_init(&m, a);
    file = mk_infile(&m, path);
    in[0] = mk_in(&m, "x", file, WM_DT_BF16, 10, 12);
    in[1] = mk_in(&m, "y", file, WM_DT_BF16, 100, 12);
    wm_imap_init(&map, a);
    wm_imap_add(&map, &b, d);
    f.elem = mk_elem(&m, &fill);
    wm_imap_add(&map, &f, &row);
    geom = mk_geom(&m, &map, 2, 1, 17);
    mk_file_begin(&m, 16);
    mk_out(&m, "t", 0, WM_DT_BF16, 17, geom, in, 1);
    wm_imap_init(&map, a);
    wm_imap_identity(&map, 12, 0);
    map.box.item[0].elem = mk_chain(&m, &cast, 1);
    mk_out(&m, "u", 0, WM_DT_F32, 12, mk_geom(&m, &map, 4, 1, 12), &in[1], 1);
    mk_file_end(&m, "model.safetensors", 4);
    wm_imap_init(&map, a);
    e.elem = mk_elem(&m, &equal);
    wm_imap_add(&map, &e, &both);
    mk_out(&m, "c", WM_NONE, WM_DT_BF16, 12, mk_geom(&m, &map, 2, 2, 12), in, 2);
    side.name = wm_plan_add_text(&m.b, WM_STR("sub/config.json"));
    side.bytes = wm_plan_add_bytes(&m.b, "{}", 2);
    wm_plan_add(&m.b, WM_PS_SIDECAR, &side, sizeof(side), 1);
    return wm_plan_finish(&m.b, size);
}

static enum wm_status
open_plan(const void *block, uint64_t size, struct wm_plan *p)
{
    struct wm_arena a;
    struct wm_err err = {0};
    enum wm_status st;

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    st = wm_plan_open(&a, block, size, p, &err);
    assert_int_equal(st, err.status);
    wm_arena_fini(&a);
    return st;
}

static void
test_print(void **state)
{
    static const char want[] =
        "elem 1: fill 0x00000000000000000000000000000201\n"
        "elem 2: chain cast BF16 to F32\n"
        "elem 3: equal\n"
        "geometry 0: 17 units of 2 bytes, 1 operands\n"
        "  0: [3:4 4:1] <- %0 [3:1 4:3]\n"
        "  12: [5:1] <- #1\n"
        "geometry 1: 12 units of 4 bytes, 1 operands\n"
        "  0: [12:1] <- #2 %0 [12:1]\n"
        "geometry 2: 12 units of 2 bytes, 2 operands\n"
        "  0: [12:1] <- #3 %0 [12:1], %1 [12:1]\n"
        "output file \"model.safetensors\" 102 bytes, head 16, tail 4\n"
        "  at 16: \"t\" BF16 [17] = geometry 0 (\"x\")  # test.wmap:3:1\n"
        "  at 50: \"u\" F32 [12] = geometry 1 (\"y\")  # test.wmap:3:1\n"
        "check \"c\" BF16 [12] = geometry 2 (\"x\", \"y\")  # test.wmap:3:1\n"
        "sidecar \"sub/config.json\" 2 bytes\n";
    struct wm_arena a;
    struct wm_plan p;
    struct wm_buf out;
    uint64_t size;
    void *block;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    block = good(&a, &size);
    assert_int_equal(open_plan(block, size, &p), WM_OK);
    wm_buf_init(&out, &a);
    wm_plan_print(&p, &out);
    assert_non_null(strstr(out.p, "input \"y\" BF16 [12]: file 0 at 100, 24 bytes\n"));
    assert_non_null(strstr(out.p, want));
    wm_arena_fini(&a);
}

/* One field of one record set to a value: refused. */
struct damage {
    const char *what;
    enum wm_plan_section section;
    uint32_t record;
    size_t off, size;
    uint64_t value;
};
#define AT(s, r, type, field, v)                                                                   \
    {                                                                                              \
#type "." #field " = " #v, s, r, offsetof(struct type, field),                             \
            sizeof(((struct type *)0)->field), (uint64_t)(v)                                       \
    }

static void
test_damage(void **state)
{
    static const struct damage row[] = {
        AT(WM_PS_INFILE, 0, wm_plan_infile, path.off, 1 << 20),
        AT(WM_PS_INFILE, 0, wm_plan_infile, path.len, 0),
        AT(WM_PS_INFILE, 0, wm_plan_infile, size, 50),
        AT(WM_PS_IN, 0, wm_plan_in, file, 1),
        AT(WM_PS_IN, 0, wm_plan_in, off, -8),
        AT(WM_PS_IN, 1, wm_plan_in, nbytes, 23),
        AT(WM_PS_IN, 0, wm_plan_in, nbytes, -1),
        AT(WM_PS_IN, 0, wm_plan_in, dtype, 99),
        AT(WM_PS_IN, 0, wm_plan_in, rank, 65),
        AT(WM_PS_IN, 0, wm_plan_in, shape, 1 << 20),
        AT(WM_PS_IN, 0, wm_plan_in, stride, 1 << 20),
        AT(WM_PS_IN, 0, wm_plan_in, origin, 1 << 20),
        AT(WM_PS_OUT, 0, wm_plan_out, geom, 7),
        AT(WM_PS_OUT, 0, wm_plan_out, geom, 1),
        AT(WM_PS_OUT, 0, wm_plan_out, geom, 2),
        AT(WM_PS_OUT, 0, wm_plan_out, slot, 99),
        AT(WM_PS_OUT, 0, wm_plan_out, file, 1),
        AT(WM_PS_OUT, 0, wm_plan_out, file, WM_NONE),
        AT(WM_PS_OUT, 0, wm_plan_out, off, 15),
        AT(WM_PS_OUT, 1, wm_plan_out, off, 51),
        AT(WM_PS_OUT, 0, wm_plan_out, nbytes, 32),
        AT(WM_PS_OUT, 2, wm_plan_out, off, 1),
        AT(WM_PS_OUT, 0, wm_plan_out, name.len, 1 << 20),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, size, 103),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, head.len, 17),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, head.off, 1 << 20),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, tail.len, 3),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, first, 1),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, ntensor, 1),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, ntensor, -1),
        AT(WM_PS_OUTFILE, 0, wm_plan_outfile, name.len, 0),
        AT(WM_PS_GEOM, 0, wm_plan_geom, box, 99),
        AT(WM_PS_GEOM, 0, wm_plan_geom, nbox, 1),
        AT(WM_PS_GEOM, 0, wm_plan_geom, nbox, -1),
        AT(WM_PS_GEOM, 0, wm_plan_geom, nslot, 0),
        AT(WM_PS_GEOM, 0, wm_plan_geom, unit, 3),
        AT(WM_PS_GEOM, 0, wm_plan_geom, unit, 0),
        AT(WM_PS_GEOM, 0, wm_plan_geom, nunit, 18),
        AT(WM_PS_GEOM, 0, wm_plan_geom, nunit, -1),
        AT(WM_PS_BOX, 0, wm_plan_box, dst_base, 1),
        AT(WM_PS_BOX, 0, wm_plan_box, dst_base, -1),
        AT(WM_PS_BOX, 0, wm_plan_box, src_base[0], 1),
        AT(WM_PS_BOX, 0, wm_plan_box, src_base[0], -1),
        AT(WM_PS_BOX, 0, wm_plan_box, src_base[0], INT64_MAX),
        AT(WM_PS_BOX, 0, wm_plan_box, slot[0], 1),
        AT(WM_PS_BOX, 0, wm_plan_box, elem, 44),
        AT(WM_PS_BOX, 0, wm_plan_box, elem, 1),
        AT(WM_PS_BOX, 0, wm_plan_box, elem, 3),
        AT(WM_PS_BOX, 0, wm_plan_box, nsrc, 0),
        AT(WM_PS_BOX, 0, wm_plan_box, nsrc, 4),
        AT(WM_PS_BOX, 0, wm_plan_box, rank, 1),
        AT(WM_PS_BOX, 0, wm_plan_box, rank, 65),
        AT(WM_PS_BOX, 0, wm_plan_box, dim, 99),
        AT(WM_PS_BOX, 1, wm_plan_box, dst_base, 11),
        AT(WM_PS_DIM, 0, wm_plan_dim, extent, 0),
        AT(WM_PS_DIM, 0, wm_plan_dim, extent, 2),
        AT(WM_PS_DIM, 0, wm_plan_dim, extent, INT64_MAX),
        AT(WM_PS_DIM, 0, wm_plan_dim, dst, 3),
        AT(WM_PS_DIM, 0, wm_plan_dim, dst, 0),
        AT(WM_PS_DIM, 0, wm_plan_dim, dst, INT64_MAX),
        AT(WM_PS_DIM, 0, wm_plan_dim, src[0], 2),
        AT(WM_PS_DIM, 0, wm_plan_dim, src[0], -1),
        AT(WM_PS_DIM, 0, wm_plan_dim, src[0], INT64_MIN),
        AT(WM_PS_SLOT, 0, wm_plan_text, off, 2),
        AT(WM_PS_ELEM, 0, wm_plan_elem, kind, WM_EL_FILL),
        AT(WM_PS_ELEM, 2, wm_plan_elem, kind, 9),
        AT(WM_PS_ELEM, 2, wm_plan_elem, src_unit, 4),
        AT(WM_PS_ELEM, 2, wm_plan_elem, dst_dtype, WM_DT_F64),
        AT(WM_PS_ELEM, 2, wm_plan_elem, dst_dtype, WM_DT_I32),
        AT(WM_PS_ELEM, 2, wm_plan_elem, src_dtype, WM_DT_F4),
        AT(WM_PS_ELEM, 2, wm_plan_elem, nstep, 2),
        AT(WM_PS_ELEM, 2, wm_plan_elem, step, 1),
        AT(WM_PS_STEP, 0, wm_plan_step, kind, 7),
        AT(WM_PS_STEP, 0, wm_plan_step, kind, WM_SP_EXP),
        AT(WM_PS_STEP, 0, wm_plan_step, from, WM_DT_F32),
        AT(WM_PS_STEP, 0, wm_plan_step, to, 77),
        AT(WM_PS_SIDECAR, 0, wm_plan_sidecar, bytes.off, 1 << 20),
        AT(WM_PS_SIDECAR, 0, wm_plan_sidecar, name.len, 1 << 20),
        AT(WM_PS_SIDECAR, 0, wm_plan_sidecar, name.len, 4), /* "sub/" */
    };

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(row); i++) {
        struct wm_arena a;
        struct wm_plan p;
        uint64_t size;
        char *block;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        block = good(&a, &size);
        p.head = (const struct wm_plan_header *)(const void *)block;
        memcpy(block + p.head->section[row[i].section].off +
                   (size_t)row[i].record * wm_plan_record[row[i].section] + row[i].off,
               &row[i].value, row[i].size);
        if (open_plan(block, size, &p) == WM_OK)
            fail_msg("accepted: %s", row[i].what);
        wm_arena_fini(&a);
    }
}

/* A file of one tensor (24 bytes at 16) with a sum of it, whose field is in the head, and a second name of it. */
static void *
summed(struct wm_arena *a, uint64_t *size)
{
    struct wm_plan_sum sum = {.nfield = 1, .lo = 16, .hi = 40, .field = {4}};
    struct wm_plan_insum insum = {.lo = 100, .hi = 124};
    struct wm_plan_shared shared = {.rank = 1};
    struct wm_imap map;
    struct mk m;
    uint32_t slot;

    mk_init(&m, a);
    wm_imap_init(&map, a);
    wm_imap_identity(&map, 12, 0);
    slot = mk_in(&m, "y", mk_infile(&m, path), WM_DT_BF16, 100, 12);
    mk_file_begin(&m, 16);
    mk_out(&m, "t", 0, WM_DT_BF16, 12, mk_geom(&m, &map, 2, 1, 12), &slot, 1);
    mk_file_end(&m, "m.pth", 4);
    shared.name = wm_plan_add_text(&m.b, WM_STR("u"));
    shared.shape = mk_shape(&m, 12);
    insum.name = wm_plan_add_text(&m.b, WM_STR("entry"));
    wm_plan_add(&m.b, WM_PS_SHARED, &shared, sizeof(shared), 1);
    wm_plan_add(&m.b, WM_PS_SUM, &sum, sizeof(sum), 1);
    wm_plan_add(&m.b, WM_PS_INSUM, &insum, sizeof(insum), 1);
    return wm_plan_finish(&m.b, size);
}

static void
test_damaged_sums(void **state)
{
    static const struct damage row[] = {
        {"as it is", WM_PS_SUM, 0, 0, 0, 0},
        AT(WM_PS_SUM, 0, wm_plan_sum, file, 1),
        AT(WM_PS_SUM, 0, wm_plan_sum, nfield, 3),
        AT(WM_PS_SUM, 0, wm_plan_sum, lo, 41),
        AT(WM_PS_SUM, 0, wm_plan_sum, hi, 1 << 20),
        AT(WM_PS_SUM, 0, wm_plan_sum, hi, -1),
        AT(WM_PS_SUM, 0, wm_plan_sum, field[0], 16),
        AT(WM_PS_SUM, 0, wm_plan_sum, field[0], 14),
        AT(WM_PS_SUM, 0, wm_plan_sum, field[0], 41),
        AT(WM_PS_SUM, 0, wm_plan_sum, field[0], -2),
        AT(WM_PS_INSUM, 0, wm_plan_insum, file, 1),
        AT(WM_PS_INSUM, 0, wm_plan_insum, lo, 125),
        AT(WM_PS_INSUM, 0, wm_plan_insum, hi, -1),
        AT(WM_PS_INSUM, 0, wm_plan_insum, name.off, 1 << 20),
        AT(WM_PS_SHARED, 0, wm_plan_shared, of, 1),
        AT(WM_PS_SHARED, 0, wm_plan_shared, name.len, 1 << 20),
        AT(WM_PS_SHARED, 0, wm_plan_shared, rank, 65),
        AT(WM_PS_SHARED, 0, wm_plan_shared, rank, 0), /* another size */
        AT(WM_PS_SHARED, 0, wm_plan_shared, shape, 1 << 20),
    };

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(row); i++) {
        struct wm_arena a;
        struct wm_plan p;
        uint64_t size;
        char *block;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        block = summed(&a, &size);
        p.head = (const struct wm_plan_header *)(const void *)block;
        memcpy(block + p.head->section[row[i].section].off + row[i].off, &row[i].value, row[i].size);
        if ((open_plan(block, size, &p) == WM_OK) != (i == 0))
            fail_msg("%s: %s", i ? "accepted" : "refused", row[i].what);
        wm_arena_fini(&a);
    }
}

static void
test_names(void **state)
{
    static const char *const bad[] = {"/etc/passwd", "../x", "a/../b",           "",
                                      "a//b",        ".",    "model.safetensors"};

    (void)state;
    for (size_t i = 0; i < WM_COUNTOF(bad); i++) {
        struct wm_arena a;
        struct wm_plan p;
        struct mk m;
        uint64_t size;
        void *block;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        mk_init(&m, &a);
        mk_file_begin(&m, 0);
        mk_file_end(&m, "model.safetensors", 0);
        mk_file_begin(&m, 0);
        mk_file_end(&m, bad[i], 0);
        block = wm_plan_finish(&m.b, &size);
        assert_int_equal(open_plan(block, size, &p), WM_EFORMAT);
        wm_arena_fini(&a);
    }
}

static void
test_header(void **state)
{
    struct wm_arena a;
    struct wm_plan p;
    struct wm_plan_header h;
    uint64_t size;
    char *block;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    block = good(&a, &size);
    for (uint64_t n = 0; n < size; n += 8)
        assert_int_not_equal(open_plan(block, n, &p), WM_OK);
    memcpy(&h, block, sizeof(h));
    h.version++;
    memcpy(block, &h, sizeof(h));
    assert_int_equal(open_plan(block, size, &p), WM_ESUPPORT);
    wm_arena_fini(&a);
}

static enum wm_status
drop(void *user, uint32_t file, uint64_t off, const void *p, uint64_t n, struct wm_err *err)
{
    (void)user, (void)file, (void)off, (void)p, (void)n, (void)err;
    return WM_OK;
}

/* Whatever is accepted can be run: the sanitizers watch. */
static void
test_random_damage(void **state)
{
    uint64_t seed = 5;
    int accepted = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct wm_arena a;
        struct wm_plan p;
        struct wm_exec_sink sink = {.write = drop, .user = NULL};
        struct wm_exec_opts o = {.threads = 1, .max_memory = 1 << 19};
        struct wm_err err = {0};
        uint64_t size;
        char *block;

        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        block = good(&a, &size);
        for (int k = 0; k < 1 + round % 3; k++) {
            static const uint8_t value[] = {0, 1, 2, 4, 0x7f, 0x80, 0xff};
            uint64_t at;

            seed = seed * 6364136223846793005u + 1442695040888963407u;
            at = sizeof(struct wm_plan_header) +
                 (seed >> 20) % (size - sizeof(struct wm_plan_header));
            block[at] = (char)value[(seed >> 7) % sizeof(value)];
        }
        if (open_plan(block, size, &p) == WM_OK) {
            accepted++;
            (void)wm_exec_run(&p, &wm_sys_real, &o, &sink, NULL, &err);
        }
        wm_arena_fini(&a);
    }
    assert_in_range(accepted, 100, 19000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_print),         cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damaged_sums),
        cmocka_unit_test(test_names),         cmocka_unit_test(test_header),
        cmocka_unit_test(test_random_damage),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
