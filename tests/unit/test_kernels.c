/* tests/unit/test_kernels.c -- movements in memory against element-by-element loops.
 *
 * Every kernel that permute.c may choose is reached: transposes of whole and broken blocks, woven
 * and spread streams, strided lines, of 1 to 64 bytes.  Bytes between and around the elements of the
 * output must stay as they were. */
#include <stdlib.h>
#include <string.h>

#include "runtime/kernels/kernel.h"
#include "tests/unit/unit.h"

enum { ROOM = 1 << 20, MARGIN = 256 };

static void
naive(char *dst, const char *src, const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    if (rank == 0) {
        memcpy(dst, src, run);
        return;
    }
    for (int64_t i = 0; i < dim->n; i++)
        naive(dst + i * dim->dst, src + i * dim->src, dim + 1, rank - 1, run);
}

/* Bytes that a nest reaches over on one side. */
static int64_t
reach(const struct wm_kdim *dim, uint32_t rank, uint32_t run, bool is_src)
{
    int64_t n = run;

    for (uint32_t k = 0; k < rank; k++)
        n += (dim[k].n - 1) * (is_src ? dim[k].src : dim[k].dst);
    return n;
}

struct fixture {
    char *src, *got, *want;
};

static void
compare(const struct fixture *f, const struct wm_kdim *dim, uint32_t rank, uint32_t run)
{
    char *dst = f->got + MARGIN, *ref = f->want + MARGIN;

    assert_true(reach(dim, rank, run, true) <= ROOM && reach(dim, rank, run, false) <= ROOM);
    memset(f->got, 0x5a, ROOM + 2 * MARGIN);
    memset(f->want, 0x5a, ROOM + 2 * MARGIN);
    naive(ref, f->src, dim, rank, run);
    wm_permute(dst, f->src, dim, rank, run);
    if (memcmp(f->got, f->want, ROOM + 2 * MARGIN) != 0)
        fail_msg("rank %u run %u dims (%lld %lld %lld) (%lld %lld %lld)", rank, run,
                 (long long)dim[0].n, (long long)dim[0].dst, (long long)dim[0].src,
                 rank > 1 ? (long long)dim[1].n : 0, rank > 1 ? (long long)dim[1].dst : 0,
                 rank > 1 ? (long long)dim[1].src : 0);
}

static void
begin(struct fixture *f)
{
    f->src = malloc(ROOM);
    f->got = malloc(ROOM + 2 * MARGIN);
    f->want = malloc(ROOM + 2 * MARGIN);
    assert_true(f->src && f->got && f->want);
    for (size_t i = 0; i < ROOM; i++)
        f->src[i] = (char)(i * 2654435761u >> 11);
}

static void
end(struct fixture *f)
{
    free(f->src);
    free(f->got);
    free(f->want);
}

static const uint32_t sizes[] = {1, 2, 3, 4, 6, 8, 12, 16, 32, 48, 64};

/* [a][b] -> [b][a], rows of the output with room behind them. */
static void
test_transposes(void **state)
{
    static const int64_t sides[] = {1, 2, 7, 8, 9, 15, 16, 31, 63, 64, 65, 100, 128};
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t s = 0; s < WM_COUNTOF(sizes); s++)
        for (size_t i = 0; i < WM_COUNTOF(sides); i++)
            for (size_t k = 0; k < WM_COUNTOF(sides); k++)
                for (int64_t pad = 0; pad < 2; pad++) {
                    const int64_t e = sizes[s], a = sides[i], b = sides[k];
                    const struct wm_kdim dim[] = {{b, (a + pad) * e, e}, {a, e, (b + pad) * e}};

                    if ((a + 1) * (b + 1) * e <= ROOM)
                        compare(&f, dim, 2, sizes[s]);
                }
    end(&f);
}

/* Streams to and from every second place, alone and two at a time, at any address. */
static void
test_streams(void **state)
{
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 1000};
    struct fixture f;

    (void)state;
    begin(&f);
    for (size_t s = 0; s < WM_COUNTOF(sizes); s++)
        for (size_t i = 0; i < WM_COUNTOF(lengths); i++) {
            const int64_t e = sizes[s], n = lengths[i];
            const struct wm_kdim spread[] = {{n, 2 * e, e}};
            const struct wm_kdim pick[] = {{n, e, 2 * e}};
            const struct wm_kdim zip[] = {{n, 2 * e, e}, {2, e, n * e}};
            const struct wm_kdim rows[] = {{3, (2 * n + 1) * e, (n + 2) * e}, {n, 2 * e, e}};
            const struct wm_kdim third[] = {{n, 3 * e, e}};
            const struct wm_kdim back[] = {{n, e, e}, {2, n * e + 1, 0}};

            compare(&f, spread, 1, sizes[s]);
            compare(&f, pick, 1, sizes[s]);
            compare(&f, zip, 2, sizes[s]);
            compare(&f, rows, 2, sizes[s]);
            compare(&f, third, 1, sizes[s]);
            compare(&f, back, 2, sizes[s]);
        }
    end(&f);
}

/* Permutations of four dimensions. */
static void
test_nests(void **state)
{
    struct fixture f;
    uint32_t seed = 1;

    (void)state;
    begin(&f);
    for (int t = 0; t < 3000; t++) {
        struct wm_kdim dim[4];
        uint32_t run = sizes[(seed >> 8) % WM_COUNTOF(sizes)], used = 0;
        int64_t d = run, s = run;

        for (int k = 3; k >= 0; k--) {
            seed = seed * 1103515245u + 12345u;
            dim[k].n = 1 + (seed >> 16) % 9;
            dim[k].dst = d;
            d = d * dim[k].n + (seed >> 28) % 3;
        }
        for (int k = 0; k < 4; k++) {
            uint32_t pick;

            seed = seed * 1103515245u + 12345u;
            for (pick = (seed >> 16) % 4; used >> pick & 1; pick = (pick + 1) % 4)
                ;
            used |= 1u << pick;
            dim[pick].src = s;
            s = s * dim[pick].n + (seed >> 28) % 3;
        }
        if (d <= ROOM && s <= ROOM)
            compare(&f, dim, 4, run);
    }
    end(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transposes),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_nests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
