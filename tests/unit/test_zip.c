/* tests/unit/test_zip.c -- the CRC of zip against known values, and zip files made by hand: what is read, what refused.
 *
 * Files as torch and numpy write them, and a hostile corpus, are in tests/peers and tests/attacks. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crc32.h"
#include "runtime/formats/zip.h"

static void
test_crc32(void **state)
{
    unsigned char bytes[1000];
    uint32_t whole;

    (void)state;
    assert_int_equal(wm_crc32(0, "", 0), 0);
    assert_int_equal(wm_crc32(0, "123456789", 9), 0xcbf43926); /* the check value of CRC-32/ISO-HDLC */
    assert_int_equal(wm_crc32(0, "\0", 1), 0xd202ef8d);
    for (size_t k = 0; k < sizeof(bytes); k++)
        bytes[k] = (unsigned char)(k * 7 + k / 256);
    whole = wm_crc32(0, bytes, sizeof(bytes));
    for (size_t k = 0; k <= sizeof(bytes); k += 13)
        assert_int_equal(wm_crc32(wm_crc32(0, bytes, k), bytes + k, sizeof(bytes) - k), whole);
}

/* ---- files by hand ---- */

struct file {
    unsigned char p[4096];
    size_t n;
};

static void
put(struct file *f, uint64_t v, int n)
{
    for (int k = 0; k < n; k++)
        f->p[f->n++] = (unsigned char)(k < 8 ? v >> 8 * k : 0);
}

static void
put_text(struct file *f, const char *s)
{
    memcpy(f->p + f->n, s, strlen(s));
    f->n += strlen(s);
}

/* One entry as a writer with data descriptors makes it, with n bytes of extra fields. */
static size_t
put_local(struct file *f, const char *name, const char *data, const char *extra, bool descriptor)
{
    size_t at = f->n, len = strlen(data);
    uint32_t crc = wm_crc32(0, data, len);

    put(f, 0x04034b50, 4);
    put(f, 20, 2);
    put(f, descriptor ? 0x808 : 0x800, 2);
    put(f, 0, 6);
    put(f, descriptor ? 0 : crc, 4);
    put(f, descriptor ? 0 : len, 4);
    put(f, descriptor ? 0 : len, 4);
    put(f, strlen(name), 2);
    put(f, strlen(extra), 2);
    put_text(f, name);
    put_text(f, extra);
    put_text(f, data);
    if (descriptor) {
        put(f, 0x08074b50, 4);
        put(f, crc, 4);
        put(f, len, 4);
        put(f, len, 4);
    }
    return at;
}

static void
put_central(struct file *f, const char *name, const char *data, size_t local, bool descriptor)
{
    put(f, 0x02014b50, 4);
    put(f, 0, 4);
    put(f, descriptor ? 0x808 : 0x800, 2);
    put(f, 0, 6);
    put(f, wm_crc32(0, data, strlen(data)), 4);
    put(f, strlen(data), 4);
    put(f, strlen(data), 4);
    put(f, strlen(name), 2);
    put(f, 0, 12);
    put(f, local, 4);
    put_text(f, name);
}

static void
put_end(struct file *f, size_t directory, unsigned n, bool zip64)
{
    size_t end = f->n;

    if (zip64) {
        put(f, 0x06064b50, 4);
        put(f, 44, 8);
        put(f, 45 | 45 << 16, 4);
        put(f, 0, 8);
        put(f, n, 8);
        put(f, n, 8);
        put(f, end - directory, 8);
        put(f, directory, 8);
        put(f, 0x07064b50, 4);
        put(f, 0, 4);
        put(f, end, 8);
        put(f, 1, 4);
    }
    put(f, 0x06054b50, 4);
    put(f, 0, 4);
    put(f, zip64 ? UINT16_MAX : n, 2);
    put(f, zip64 ? UINT16_MAX : n, 2);
    put(f, zip64 ? UINT32_MAX : end - directory, 4);
    put(f, zip64 ? UINT32_MAX : directory, 4);
    put(f, 0, 2);
}

/* Entries "a/x" with "hello" and "a/y" without bytes. */
static void
two_entries(struct file *f, bool zip64)
{
    size_t x = put_local(f, "a/x", "hello", "FB\2", true), y, directory;

    f->n -= 5 + 16; /* the fourth byte of the extra field is a NUL */
    put(f, 0, 1);
    put_text(f, "zz");
    put_text(f, "hello");
    put(f, 0x08074b50, 4);
    put(f, wm_crc32(0, "hello", 5), 4);
    put(f, 5, 4);
    put(f, 5, 4);
    f->p[x + 28] = 6;
    y = put_local(f, "a/y", "", "", false);
    directory = f->n;
    put_central(f, "a/y", "", y, false); /* the directory in another order */
    put_central(f, "a/x", "hello", x, true);
    put_end(f, directory, 2, zip64);
}

static enum wm_status
open_zip(struct wm_arena *a, const struct file *f, struct wm_zip *z, int *fd, struct wm_err *err)
{
    char path[] = "/tmp/wmap-zip-XXXXXX";

    *fd = mkstemp(path);
    assert_true(*fd >= 0);
    unlink(path);
    assert_int_equal(write(*fd, f->p, f->n), f->n);
    *err = (struct wm_err){0};
    wm_arena_init(a, &wm_sys_real, NULL, NULL);
    return wm_zip_open(a, &wm_sys_real, *fd, "f.pth", 0, f->n, z, err);
}

static void
test_entries(void **state)
{
    (void)state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        struct file f = {.n = 0};
        const struct wm_zip_entry *e;
        struct wm_manifest m = {0};
        struct wm_arena a;
        struct wm_str text;
        struct wm_zip z;
        struct wm_err err;
        int fd;

        two_entries(&f, zip64);
        assert_true(wm_zip_probe(f.p, f.n));
        assert_int_equal(open_zip(&a, &f, &z, &fd, &err), WM_OK);
        assert_int_equal(z.n, 2);
        assert_true(z.summed);
        e = wm_zip_find(&z, WM_STR("a/x"));
        assert_ptr_equal(e, &z.entry[0]);
        assert_int_equal(e->off, 30 + 3 + 6);
        assert_int_equal(e->size, 5);
        assert_int_equal(z.entry[1].size, 0);
        assert_null(wm_zip_find(&z, WM_STR("a/z")));
        assert_int_equal(wm_zip_bytes(&a, &wm_sys_real, fd, &z, e, 5, &text, &err), WM_OK);
        assert_true(wm_str_eq(text, WM_STR("hello")));
        m.a = &a;
        wm_zip_add_sum(&m, 3, &z, e);
        assert_int_equal(m.sum.n, 1);
        assert_int_equal(m.sum.item[0].crc, wm_crc32(0, "hello", 5));
        assert_int_equal(m.sum.item[0].hi - m.sum.item[0].lo, 5);
        assert_int_equal(m.sum.item[0].file, 3);
        assert_int_equal(wm_zip_bytes(&a, &wm_sys_real, fd, &z, e, 4, &text, &err), WM_ELIMIT);
        wm_arena_fini(&a);
        close(fd);
    }
}

/* Every byte changed: what is still read has the same entries, but for fields that mean nothing (versions, times,
 * attributes, padding) and for data, whose check sum then fails. */
static void
test_every_byte(void **state)
{
    struct file f = {.n = 0};
    unsigned accepted = 0;

    (void)state;
    two_entries(&f, true);
    for (size_t at = 0; at < f.n; at++) {
        struct file g = f;
        struct wm_arena a;
        struct wm_zip z;
        struct wm_err err;
        struct wm_str text;
        int fd;

        g.p[at] ^= 0x41;
        if (open_zip(&a, &g, &z, &fd, &err) == WM_OK) {
            bool data = at >= z.entry[0].off && at < z.entry[0].off + 5;

            accepted++;
            assert_int_equal(z.n, 2);
            assert_int_equal(z.entry[0].off, 39);
            assert_int_equal(z.entry[0].size, 5);
            assert_true(wm_str_eq(z.entry[0].name, WM_STR("a/x")));
            assert_int_equal(wm_zip_bytes(&a, &wm_sys_real, fd, &z, &z.entry[0], 5, &text, &err),
                             data ? WM_EFORMAT : WM_OK);
        } else {
            assert_memory_equal(err.msg, "f.pth: ", 7);
        }
        wm_arena_fini(&a);
        close(fd);
    }
    /* local: version 2, time 4 each; 4 of padding's kind and bytes; 5 of data; central: versions 4, time 4,
     * attributes 6 each; versions of the zip64 record 4 */
    assert_int_equal(accepted, 2 * 6 + 4 + 5 + 2 * 14 + 4);
}

static void
test_cut(void **state)
{
    struct file f = {.n = 0};

    (void)state;
    two_entries(&f, true);
    for (size_t n = 0; n < f.n; n++) {
        struct file g = f;
        struct wm_arena a;
        struct wm_zip z;
        struct wm_err err;
        int fd;

        g.n = n;
        assert_int_equal(open_zip(&a, &g, &z, &fd, &err), WM_EFORMAT);
        assert_memory_equal(err.msg, "f.pth: ", 7);
        wm_arena_fini(&a);
        close(fd);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
