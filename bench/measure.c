/* bench/measure.c -- one command, measured: wall, processor time, peak memory; or memory touched.
 *
 *   measure OUT COMMAND...     runs it, appends a line of JSON to OUT, exits as it did
 *   measure --touch MIB        touches and frees memory: a virtual machine gives free memory back to
 *                              its host, and the first program after a pause would pay for that
 *
 * It is small, since the peak of a process begins with what its parent had. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double
seconds(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

static int
touch(size_t n)
{
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return 1;
    madvise(p, n, MADV_HUGEPAGE);
    for (size_t i = 0; i < n; i += 4096)
        ((volatile char *)p)[i] = 1;
    return 0;
}

int
main(int argc, char **argv)
{
    struct rusage u;
    double begin, wall;
    int status, code;
    pid_t pid;
    FILE *f;

    if (argc == 3 && strcmp(argv[1], "--touch") == 0)
        return touch((size_t)atol(argv[2]) << 20);
    if (argc < 3)
        return 2;
    begin = now();
    pid = vfork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &u) < 0)
        return 2;
    wall = now() - begin;
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    f = fopen(argv[1], "a");
    if (!f)
        return 2;
    fprintf(f, "{\"wall\":%.5f,\"user\":%.5f,\"sys\":%.5f,\"rss\":%ld,\"code\":%d}\n", wall,
            seconds(u.ru_utime), seconds(u.ru_stime), u.ru_maxrss, code);
    fclose(f);
    return code;
}
