/* tests/unit/test_msgpack.c -- spellings of numbers across windows, tensors and shapes, files that are laid out, and
 * calls that fail.
 *
 * Where arrays of numbers end is computed here a second time, byte by byte. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "runtime/formats/msgpack.h"
#include "runtime/place.h"

struct fixture {
    struct wm_arena a;
    struct wm_err err;
    struct wm_manifest *m;
    struct wm_buf b; /* the file that is being made */
    char dir[64];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    wm_arena_init(&f->a, &wm_sys_real, NULL, NULL);
    wm_buf_init(&f->b, &f->a);
    strcpy(f->dir, "/tmp/wmap-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    f->err.status = WM_OK;
    assert_int_equal(wm_tree_remove(&f->a, &wm_sys_real, f->dir, &f->err), WM_OK);
    wm_arena_fini(&f->a);
    free(f);
    return 0;
}

#define PUT(f, lit) wm_buf_puts(&(f)->b, WM_STR(lit))

static struct wm_str
save(struct fixture *f)
{
    struct wm_str path = wm_arena_printf(&f->a, "%s/x.msgpack", f->dir);
    FILE *out = fopen(path.p, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(f->b.p, 1, f->b.n, out), f->b.n);
    assert_int_equal(fclose(out), 0);
    return path;
}

static enum wm_status
open_it(struct fixture *f, const struct wm_sys *sys)
{
    f->err.status = WM_OK;
    f->err.msg[0] = '\0';
    return wm_manifest_open(&f->a, sys, save(f), NULL, &f->m, &f->err);
}

/* ---- numbers ---- */

/* One number in spelling `how`. */
static void
put_number(struct fixture *f, int how)
{
    static const struct {
        unsigned char first, n;
    } head[] = {{0x05, 0}, {0xca, 4}, {0xcb, 8}, {0xff, 0}, {0xcc, 1}, {0xcd, 2},
                {0xce, 4}, {0xcf, 8}, {0xd0, 1}, {0xd1, 2}, {0xd2, 4}, {0xd3, 8}};

    wm_buf_putc(&f->b, (char)head[how].first);
    wm_buf_pad(&f->b, (char)0xca, head[how].n); /* bytes that look like heads */
}

static size_t
length(unsigned char c)
{
    switch (c) {
    case 0xca: case 0xce: case 0xd2: return 5;
    case 0xcb: case 0xcf: case 0xd3: return 9;
    case 0xcc: case 0xd0: return 2;
    case 0xcd: case 0xd1: return 3;
    default: return 1;
    }
}

/* n numbers: the first `lead` of them 0xca or 0xcb, then every `nth` one of a random spelling. */
static const struct {
    const char *name;
    uint32_t n, lead, nth;
    int how; /* of all others */
    uint32_t codec;
} arrays[] = {
    {"none", 0, 0, 0, 1, WM_CODEC_MSGPACK_F32},
    {"one", 1, 1, 0, 1, WM_CODEC_MSGPACK_F32},
    {"one of eight bytes", 1, 1, 0, 2, WM_CODEC_MSGPACK_F64},
    {"one integer", 1, 0, 0, 0, WM_CODEC_MSGPACK_MIXED},
    {"a step and one", WM_CODEC_INDEX_STEP + 1, 0, 0, 0, WM_CODEC_MSGPACK_MIXED},
    {"a step", WM_CODEC_INDEX_STEP, 0, 0, 0, WM_CODEC_MSGPACK_MIXED},
    {"floats over the window", 700001, 700001, 0, 1, WM_CODEC_MSGPACK_F32},
    {"doubles over the window", 300007, 300007, 0, 2, WM_CODEC_MSGPACK_F64},
    {"an integer behind all", 500000, 499999, 1, 1, WM_CODEC_MSGPACK_MIXED},
    {"an integer behind doubles", 300000, 299999, 1, 2, WM_CODEC_MSGPACK_MIXED},
    {"every seventh", 400000, 1, 7, 1, WM_CODEC_MSGPACK_MIXED},
    {"all", 300000, 0, 1, 1, WM_CODEC_MSGPACK_MIXED},
    {"few among floats", 900000, 3, 5003, 1, WM_CODEC_MSGPACK_MIXED},
};

static void
put_array(struct fixture *f, size_t i)
{
    PUT(f, "\x92\x0a\xdd");
    for (int k = 3; k >= 0; k--)
        wm_buf_putc(&f->b, (char)(arrays[i].n >> (8 * k) & 0xff));
    for (uint32_t k = 0; k < arrays[i].n; k++) {
        uint32_t r = (k * 2654435761u) >> 16;
        bool other = arrays[i].nth && k >= arrays[i].lead && k % arrays[i].nth == arrays[i].nth - 1;

        put_number(f, other ? (int)(r % 12 == 1 || r % 12 == 2 ? 0 : r % 12) : arrays[i].how);
    }
}

static void
check_array(const struct fixture *f, const struct wm_mtensor *t, size_t i)
{
    const unsigned char *p = (const unsigned char *)f->b.p + t->off, *at = p;
    uint32_t n = 0;

    assert_int_equal(t->store->codec, arrays[i].codec);
    assert_int_equal(t->nbytes, 4 * (uint64_t)arrays[i].n);
    assert_int_equal(t->dtype, WM_DT_F32);
    assert_int_equal(t->shape[0], arrays[i].n);
    for (uint32_t k = 0; k < arrays[i].n; k++) {
        if (t->store->codec == WM_CODEC_MSGPACK_MIXED && k % WM_CODEC_INDEX_STEP == 0) {
            assert_true(n < t->store->nindex);
            assert_int_equal(t->store->index[n++], at - p);
        }
        at += length(*at);
    }
    assert_int_equal(t->store->nindex, n);
    assert_int_equal(t->store->raw, at - p);
}

static void
numbers_are_found(void **state)
{
    struct fixture *f = *state;

    for (size_t pad = 0; pad < 9; pad++) { /* so that every byte meets the edge of a window */
        size_t at[WM_COUNTOF(arrays)];

        f->b.n = 0;
        PUT(f, "\xde");
        wm_buf_putc(&f->b, '\0');
        wm_buf_putc(&f->b, (char)(WM_COUNTOF(arrays) + 1));
        PUT(f, "\xa1p");
        wm_buf_putc(&f->b, (char)(0xa0 + pad));
        wm_buf_pad(&f->b, 'x', pad);
        for (size_t i = 0; i < WM_COUNTOF(arrays); i++) {
            at[i] = f->b.n;
            wm_buf_printf(&f->b, "\xa6%c/data", (char)('a' + i));
            f->b.p[at[i]] = (char)0xa6;
            put_array(f, i);
        }
        assert_int_equal(open_it(f, &wm_sys_real), WM_OK);
        assert_int_equal(f->m->tensor.n, WM_COUNTOF(arrays));
        for (size_t i = 0; i < WM_COUNTOF(arrays); i++)
            check_array(f, &f->m->tensor.item[i], i);
        if (pad >= 2 && !getenv("WMAP_LONG"))
            pad += 2;
    }
}

/* ---- shapes ---- */

static void
put_shaped(struct fixture *f, const char *bytes, size_t n, uint32_t numel)
{
    f->b.n = 0;
    PUT(f, "\x82\xa6w/data\x92\x0a\xdc");
    wm_buf_putc(&f->b, (char)(numel >> 8));
    wm_buf_putc(&f->b, (char)(numel & 0xff));
    for (uint32_t k = 0; k < numel; k++)
        put_number(f, 1);
    PUT(f, "\xa7w/shape\x92\x07\xda");
    wm_buf_putc(&f->b, (char)(n >> 8));
    wm_buf_putc(&f->b, (char)(n & 0xff));
    wm_buf_puts(&f->b, (struct wm_str){bytes, n});
}

static void
expect_shape(struct fixture *f, uint32_t rank, int64_t a, int64_t b)
{
    const struct wm_mtensor *t;

    assert_int_equal(open_it(f, &wm_sys_real), WM_OK);
    t = f->m->tensor.item;
    assert_true(wm_str_eq(t->name, WM_STR("w")));
    assert_int_equal(t->rank, rank);
    assert_int_equal(t->shape[rank - 1], b);
    if (rank > 1)
        assert_int_equal(t->shape[rank - 2], a);
}

static void
shapes_are_read(void **state)
{
    struct fixture *f = *state;
    static const uint32_t four[] = {1, 1, 2, 3}, other[] = {1, 1, 2, 4};
    struct {
        uint64_t rank;
        uint32_t dim[8];
        uint64_t pad_rank, pad[8][2];
        uint64_t value;
    } old = {4, {1, 1, 32, 32}, 4, {{0, 0}, {0, 0}, {0, 30}, {1, 28}}, 0};

    put_shaped(f, (const char *)four, sizeof(four), 6);
    expect_shape(f, 4, 2, 3);
    put_shaped(f, (const char *)other, sizeof(other), 6); /* not of so many elements: flat */
    expect_shape(f, 1, 0, 6);
    put_shaped(f, (const char *)four, sizeof(four) - 1, 6);
    expect_shape(f, 1, 0, 6);
    put_shaped(f, (const char *)&old, sizeof(old), 6);
    expect_shape(f, 4, 2, 3);
    old.pad[3][1] = 40; /* more padding than there is */
    put_shaped(f, (const char *)&old, sizeof(old), 6);
    expect_shape(f, 1, 0, 6);
    old.rank = 9;
    put_shaped(f, (const char *)&old, sizeof(old), 6);
    expect_shape(f, 1, 0, 6);
}

/* ---- layout ---- */

static const int64_t s23[] = {1, 1, 2, 3}, s2[] = {2}, s16[] = {16}, s24[] = {2, 4};

static struct wm_wtensor
tensor(const char *name, enum wm_dtype dtype, const int64_t *shape, uint32_t rank)
{
    struct wm_wtensor t = {.name = wm_str_c(name), .dtype = dtype, .rank = rank, .shape = shape};
    int64_t n = 1;

    for (uint32_t k = 0; k < rank; k++)
        n *= shape[k];
    assert_true(wm_dtype_nbytes(dtype, n, &t.nbytes));
    return t;
}

/* The file of a layout: `x` for each byte of a tensor, the template's bytes from f->b. */
static struct wm_str
assemble(struct fixture *f, const struct wm_wtensor *t, uint32_t n, const struct wm_wfile *w)
{
    char *p = wm_arena_alloc(&f->a, w->size + 1);
    uint64_t sum = w->head.n + w->tail.n;

    memcpy(p, w->head.p, w->head.n);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(t[i].off + t[i].nbytes <= w->size);
        memset(p + t[i].off, 'x', t[i].nbytes);
        sum += t[i].nbytes;
    }
    for (uint32_t i = 0; i < w->piece.n; i++) {
        const struct wm_wpiece *c = &w->piece.item[i];

        memcpy(p + c->off, c->bytes ? c->bytes : f->b.p + c->from, c->len);
        sum += c->len;
    }
    memcpy(p + w->size - w->tail.n, w->tail.p, w->tail.n);
    assert_int_equal(sum, w->size); /* without holes or overlaps, since every byte below is the right one */
    return (struct wm_str){p, w->size};
}

static void
new_files_are_whole(void **state)
{
    struct fixture *f = *state;
    struct wm_wtensor t[] = {tensor("m/w/value", WM_DT_F32, s23, 4), tensor("ids", WM_DT_F32, s16, 1)};
    static const char expected[] =
        "\x8c"
        "\xafm/w/value/shape\x92\x0c\xc4\x10\1\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0"
        "\xb3m/w/value/data_type\x92\2\0\xb0m/w/value/layout\x92\2\1"
        "\xb6m/w/value/storage_type\x92\2\1\xaem/w/value/data\x92\x0a\x96"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "\xb2m/w/requires_grads\x92\0\xc3\xadm/w/has_grads\x92\0\xc2"
        "\xa9ids/shape\x92\x0c\xc4\4\x10\0\0\0\xadids/data_type\x92\2\0\xaaids/layout\x92\2\1"
        "\xb0ids/storage_type\x92\2\1\xa8ids/data\x92\x0a\xdc\0\x10"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    struct wm_wopts o = {.name = WM_STR("x")};
    struct wm_wfile w;
    struct wm_str got;

    assert_int_equal(wm_msgpack_layout(&f->a, t, 2, &o, &w, &f->err), WM_OK);
    assert_int_equal(t[0].codec, WM_CODEC_MSGPACK_F32);
    assert_int_equal(t[1].codec, WM_CODEC_MSGPACK_F32);
    got = assemble(f, t, 2, &w);
    assert_int_equal(got.n, sizeof(expected) - 1);
    assert_memory_equal(got.p, expected, got.n);

    t[1] = tensor("m/w/value", WM_DT_F32, s23, 4);
    assert_int_equal(wm_msgpack_layout(&f->a, t, 2, &o, &w, &f->err), WM_EFORMAT);
    f->err.status = WM_OK;
    t[1] = tensor("h", WM_DT_BF16, s2, 1);
    assert_int_equal(wm_msgpack_layout(&f->a, t, 2, &o, &w, &f->err), WM_ESUPPORT);
    assert_non_null(strstr(f->err.msg, "tensor \"h\": BF16"));
    f->err.status = WM_OK;
    assert_int_equal(wm_msgpack_layout(&f->a, t, 0, &o, &w, &f->err), WM_OK);
    assert_int_equal(w.size, 1);
}

static void
sizes_have_limits(void **state)
{
    struct fixture *f = *state;
    static const int64_t most[] = {UINT32_MAX}, over[] = {(int64_t)UINT32_MAX + 1}, odd[] = {0, (int64_t)UINT32_MAX + 1};
    struct wm_wtensor t = tensor("w", WM_DT_F32, most, 1);
    struct wm_wfile w;

    assert_int_equal(wm_msgpack_layout(&f->a, &t, 1, &(struct wm_wopts){0}, &w, &f->err), WM_OK);
    assert_int_equal(t.nbytes, 5 * (uint64_t)UINT32_MAX);
    assert_int_equal(w.size, w.head.n + t.nbytes);
    t = tensor("w", WM_DT_F32, over, 1);
    assert_int_equal(wm_msgpack_layout(&f->a, &t, 1, &(struct wm_wopts){0}, &w, &f->err), WM_ELIMIT);
    f->err.status = WM_OK;
    t = tensor("w", WM_DT_F32, odd, 2);
    assert_int_equal(wm_msgpack_layout(&f->a, &t, 1, &(struct wm_wopts){0}, &w, &f->err), WM_ELIMIT);
}

/* Two tensors of a model in the order b, a, what belongs to them, a gradient and an optimizer's state; b and a numpy
 * array in other spellings than those that are written. */
static void
put_template(struct fixture *f)
{
    f->b.n = 0;
    PUT(f, "\x88\xadm/b/grad/data\x92\x0a\x92\1\2");
    PUT(f, "\xaem/b/value/data\x92\x0a\xdd\0\0\0\2\0\0");
    PUT(f, "\xafm/b/value/shape\x92\x07\xa4\2\0\0\0");
    PUT(f, "\xaem/a/value/data\x92\x0a\x92\xcb\1\2\3\4\5\6\7\x08\xcb\1\2\3\4\5\6\7\x08");
    PUT(f, "\xabm/has_grads\x92\0\xc3");
    PUT(f, "\xaao/m/w/data\x0a");
    PUT(f, "\xaeo/a/value/data\x92\x0a\x91\7");
    PUT(f, "\xa7o/steps\x92\6\xcd\1\2");
}

static void
templates_are_kept(void **state)
{
    struct fixture *f = *state;
    struct wm_wtensor t[] = {tensor("m/a/value", WM_DT_F32, s2, 1), tensor("m/b/value", WM_DT_F32, s2, 1)};
    static const char expected[] = "\x88\xadm/b/grad/data\x92\x0a\x92\1\2"
                                   "\xaem/b/value/data\x92\x0a\xdd\0\0\0\2xxxxxxxxxx"
                                   "\xafm/b/value/shape\x92\x07\xa4\2\0\0\0"
                                   "\xaem/a/value/data\x92\x0a\x92xxxxxxxxxx"
                                   "\xabm/has_grads\x92\0\xc3"
                                   "\xaao/m/w/data\x0a"
                                   "\xaeo/a/value/data\x92\x0a\x91\7"
                                   "\xa7o/steps\x92\6\xcd\1\2";
    struct wm_wopts o = {.name = WM_STR("x")};
    struct wm_wfile w;
    struct wm_str got;

    put_template(f);
    assert_int_equal(open_it(f, &wm_sys_real), WM_OK);
    assert_string_equal(f->err.msg, "");
    o.like = f->m;
    assert_int_equal(wm_msgpack_layout(&f->a, t, 2, &o, &w, &f->err), WM_OK);
    assert_true(wm_str_eq(t[0].name, WM_STR("m/b/value"))); /* in the template's order */
    got = assemble(f, t, 2, &w);
    assert_int_equal(got.n, sizeof(expected) - 1);
    assert_memory_equal(got.p, expected, got.n);
}

static void
template_fails(struct fixture *f, struct wm_wtensor *t, uint32_t n, const char *why)
{
    struct wm_wopts o = {.name = WM_STR("x"), .like = f->m};
    struct wm_wfile w;

    f->err.status = WM_OK;
    assert_int_not_equal(wm_msgpack_layout(&f->a, t, n, &o, &w, &f->err), WM_OK);
    if (!strstr(f->err.msg, why))
        fail_msg("message: %s", f->err.msg);
}

static void
templates_must_fit(void **state)
{
    struct fixture *f = *state;
    struct wm_wtensor a = tensor("m/a/value", WM_DT_F32, s2, 1), b = tensor("m/b/value", WM_DT_F32, s2, 1);

    put_template(f);
    assert_int_equal(open_it(f, &wm_sys_real), WM_OK);
    template_fails(f, (struct wm_wtensor[]){a}, 1, "1 tensor that the map does not make: \"m/b/value\"");
    template_fails(f, (struct wm_wtensor[]){a, b, tensor("m/c/value", WM_DT_F32, s2, 1)}, 3,
                   "lacks 1 tensor that the map makes: \"m/c/value\"");
    template_fails(f, (struct wm_wtensor[]){a, tensor("m/b/value", WM_DT_F32, s24, 2)}, 2,
                   "\"m/b/value\": the template's has shape [2], the map's [2 4]");
    template_fails(f, (struct wm_wtensor[]){a, tensor("m/b/value", WM_DT_F16, s2, 1)}, 2, "holds F32");
    template_fails(f, (struct wm_wtensor[]){a, a}, 2, "two tensors");
}

/* ---- calls that fail ---- */

static struct {
    long countdown;
    bool is_short; /* reads are short instead */
} fault;

static bool
trips(void)
{
    return fault.countdown-- == 0;
}

static ssize_t
f_pread(int fd, void *p, size_t n, off_t off)
{
    if (fault.is_short)
        n = n > 7 ? n / 2 : n;
    else if (trips()) {
        errno = EIO;
        return -1;
    }
    return pread(fd, p, n, off);
}

static void *
f_malloc(size_t n)
{
    return trips() ? NULL : malloc(n);
}

static void
faults_are_reported(void **state)
{
    struct fixture *f = *state;
    struct wm_sys sys = wm_sys_real;
    int failures = 0;

    sys.pread = f_pread;
    sys.malloc = f_malloc;
    PUT(f, "\x81\xa6w/data");
    put_array(f, WM_COUNTOF(arrays) - 1);
    for (long k = 0;; k++) {
        enum wm_status st;

        fault.countdown = k;
        st = open_it(f, &sys);
        if (fault.countdown >= 0)
            break;
        assert_int_not_equal(st, WM_OK);
        assert_memory_equal(f->err.msg, f->dir, strlen(f->dir));
        failures++;
    }
    assert_true(failures > 4);
    check_array(f, f->m->tensor.item, WM_COUNTOF(arrays) - 1);
    fault.countdown = -1;
    fault.is_short = true;
    assert_int_equal(open_it(f, &sys), WM_OK);
    check_array(f, f->m->tensor.item, WM_COUNTOF(arrays) - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(shapes_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(new_files_are_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_have_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(templates_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(templates_must_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_are_reported, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
