/* bench/limit.c -- what the machine allows: the system calls of a run, and nothing else.
 *
 *   limit IN OUT BYTES THREADS [fsync]
 *
 * Reserves OUT with fallocate, then THREADS threads take pieces of 1 MiB from a counter: each is
 * read from IN (again from its beginning where it is shorter), and written.  A conversion reads and
 * writes the same amounts; what it takes longer is its own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20, MOST = 64 };

static int in, out;
static off_t have, bytes;
static _Atomic off_t next;

static void *
work(void *unused)
{
    char *p = aligned_alloc(4096, PIECE);
    off_t at;

    (void)unused;
    while (p && (at = atomic_fetch_add(&next, PIECE)) < bytes) {
        size_t n = bytes - at < PIECE ? (size_t)(bytes - at) : PIECE;
        off_t from = have > PIECE ? at % (have - PIECE) : 0;

        if (pread(in, p, n, from) < 0 || pwrite(out, p, n, at) != (ssize_t)n) {
            perror("limit");
            exit(1);
        }
    }
    free(p);
    return NULL;
}

int
main(int argc, char **argv)
{
    pthread_t t[MOST];
    struct stat st;
    int n;

    if (argc < 5 || (n = atoi(argv[4])) < 1 || n > MOST)
        return 2;
    in = open(argv[1], O_RDONLY);
    out = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (in < 0 || out < 0 || fstat(in, &st) != 0) {
        perror("limit");
        return 1;
    }
    have = st.st_size;
    bytes = atoll(argv[3]);
    if (fallocate(out, 0, 0, bytes) != 0 && ftruncate(out, bytes) != 0)
        return 1;
    for (int k = 1; k < n; k++)
        pthread_create(&t[k], NULL, work, NULL);
    work(NULL);
    for (int k = 1; k < n; k++)
        pthread_join(t[k], NULL);
    if (argc > 5 && fsync(out) != 0)
        return 1;
    return close(out) != 0;
}
