/* cli/progress.c -- how far a run is: bytes, rate, time left; and its last line.
 *
 * Only on a terminal, only after a second, at most ten times a second.  `--progress always` prints
 * whole lines, one a second, where standard error is no terminal. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void
progress_init(struct cli *c)
{
    const char *when = c->value[OPT_progress], *term = getenv("TERM");
    struct progress *p = &c->progress;

    p->terminal = isatty(2) && !(term && strcmp(term, "dumb") == 0);
    p->on = when && strcmp(when, "always") == 0;
    if (!p->on)
        p->on = p->terminal && !given(c, OPT_quiet) && !(when && strcmp(when, "never") == 0);
    p->start = now();
    atomic_flag_clear(&p->busy);
    c->work.progress = progress_call;
    c->work.progress_user = c;
}

static void
print_progress(struct progress *p, double t, uint64_t done, uint64_t total)
{
    double seconds = t - p->start, rate = (double)done / seconds;
    char a[16], b[16], r[16];
    long left = rate > 0 ? (long)((double)(total - done) / rate + 0.5) : 0;

    wmap_print_size(done, a, sizeof(a));
    wmap_print_size(total, b, sizeof(b));
    wmap_print_size((uint64_t)rate, r, sizeof(r));
    fprintf(stderr, "%s%s of %s  %d %%  %s/s  %ld:%02ld left%s", p->terminal ? "\r" : "", a, b,
            total ? (int)(100.0 * (double)done / (double)total) : 100, r, left / 60, left % 60,
            p->terminal ? "\033[K" : "\n");
    fflush(stderr);
}

int
progress_call(void *cli, uint64_t done, uint64_t total)
{
    struct cli *c = cli;
    struct progress *p = &c->progress;
    double t;

    if (!p->on || atomic_flag_test_and_set(&p->busy))
        return 0;
    t = now();
    if (t - p->start >= 1 && t - p->last >= (p->terminal ? 0.1 : 1) && done <= total) {
        print_progress(p, t, done, total);
        p->last = t;
        p->shown = true;
    }
    atomic_flag_clear(&p->busy);
    return 0;
}

void
progress_end(struct cli *c)
{
    if (c->progress.shown && c->progress.terminal)
        fputs("\r\033[K", stderr);
    c->progress.shown = false;
}

void
result_line(const struct cli *c, const wmap_run_result *r)
{
    char size[16], rate[16], kept[16];

    wmap_print_size(r->bytes_written, size, sizeof(size));
    wmap_print_size(r->seconds > 0 ? (uint64_t)((double)r->bytes_written / r->seconds) : 0, rate,
                    sizeof(rate));
    if (r->bytes_kept) {
        wmap_print_size(r->bytes_kept, kept, sizeof(kept));
        note(c, "note: %s were there from a run that was killed\n", kept);
    }
    if (r->bytes_shared) {
        wmap_print_size(r->bytes_shared, kept, sizeof(kept));
        note(c, "note: %s share the blocks of the input\n", kept);
    }
    if (r->cast_overflow)
        note(c, "note: %llu values overflowed in casts\n", (unsigned long long)r->cast_overflow);
    if (r->cast_nan)
        note(c, "note: %llu values are NaN after casts\n", (unsigned long long)r->cast_nan);
    if (r->ntask && !r->bytes_written && strcmp(c->value[OPT_task], "commit") != 0)
        note(c, "task %s: nothing to do\n", c->value[OPT_task]);
    else if (r->ntask && strcmp(c->value[OPT_task], "commit") != 0)
        note(c, "task %s: wrote %s in %.2f s (%s/s)\n", c->value[OPT_task], size, r->seconds, rate);
    if (r->tasks_left)
        note(c, "%u task%s of %u %s not done: %s\n", r->tasks_left, r->tasks_left == 1 ? "" : "s", r->ntask,
             r->tasks_left == 1 ? "is" : "are", r->tasks);
    else if (r->ntask)
        note(c, "all tasks are done: %llu tensor%s -> %s\n", (unsigned long long)r->ntensor, r->ntensor == 1 ? "" : "s",
             r->place);
    if (r->ntask)
        return;
    note(c, "wrote %llu tensor%s, %s in %.2f s (%s/s) -> %s\n", (unsigned long long)r->ntensor,
         r->ntensor == 1 ? "" : "s", size, r->seconds, rate, r->place);
}

void
result_json(struct cli *c, const wmap_run_result *r)
{
    print(c, "{\n  \"schema\": \"wmap.%s/1\",\n  \"status\": 0,\n  \"output\": ", c->command->name);
    print_string(c, r->place);
    print(c, ",\n  \"ntensor\": %llu,\n  \"nfile\": %llu,\n", (unsigned long long)r->ntensor,
          (unsigned long long)r->nfile);
    print(c, "  \"bytes_written\": %llu,\n  \"bytes_read\": %llu,\n",
          (unsigned long long)r->bytes_written, (unsigned long long)r->bytes_read);
    print(c, "  \"calls\": %llu,\n", (unsigned long long)r->calls);
    if (r->ntask)
        print(c, "  \"tasks_left\": %u,\n", r->tasks_left);
    print(c, "  \"bytes_kept\": %llu,\n  \"bytes_shared\": %llu,\n", (unsigned long long)r->bytes_kept,
          (unsigned long long)r->bytes_shared);
    print(c, "  \"peak_buffers\": %llu,\n  \"cast_overflow\": %llu,\n  \"cast_nan\": %llu,\n",
          (unsigned long long)r->peak_buffers, (unsigned long long)r->cast_overflow,
          (unsigned long long)r->cast_nan);
    print(c, "  \"seconds\": %.6f,\n  \"diagnostics\": ", r->seconds);
    wmap_diagnostics(c->ctx, WMAP_JSON, c->out);
    print(c, "\n}\n");
}
