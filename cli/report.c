/* cli/report.c -- results, messages, diagnostics: what goes where, and the exit status. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { MAX_TEXT = 64 << 20 }; /* bytes of a map */

void
print(struct cli *c, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vprintf(fmt, ap);
    va_end(ap);
    c->nout += n > 0 ? (uint64_t)n : 0;
}

void
print_string(struct cli *c, const char *text)
{
    wmap_json_string(c->ctx, text, c->out);
}

void
note(const struct cli *c, const char *fmt, ...)
{
    va_list ap;

    if (given(c, OPT_quiet))
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}

void
note_input(const struct cli *c, const char *name, const char *text)
{
    if (text)
        note(c, "note: %s: %s\n", name, text);
}

wmap_style
result_style(const struct cli *c)
{
    return given(c, OPT_json) ? WMAP_JSON : WMAP_TEXT;
}

static bool
has_color(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(2) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static int
to_stderr(void *user, const char *p, size_t n)
{
    (void)user;
    return fwrite(p, 1, n, stderr) != n;
}

/* The object that stands for a result where there is none. */
static void
json_status(struct cli *c, int status, const char *message)
{
    print(c, "{\n  \"schema\": \"wmap.%s/1\",\n  \"status\": %d",
          c->command ? c->command->name : "usage", status);
    if (c->ctx) {
        if (message && *message) {
            print(c, ",\n  \"message\": ");
            print_string(c, message);
        }
        print(c, ",\n  \"diagnostics\": ");
        wmap_diagnostics(c->ctx, WMAP_JSON, c->out);
    }
    print(c, "\n}\n");
}

static int
complain(struct cli *c, const char *tail, const char *fmt, va_list ap)
{
    vsnprintf(c->message, sizeof(c->message), fmt, ap);
    fprintf(stderr, "wmap: %s\n%s", c->message, tail);
    if (given(c, OPT_json) && c->nout == 0)
        json_status(c, 2, c->message);
    return 2;
}

int
fail(struct cli *c, const char *fmt, ...)
{
    va_list ap;
    int status;

    va_start(ap, fmt);
    status = complain(c, "", fmt, ap);
    va_end(ap);
    return status;
}

int
usage(struct cli *c, const char *fmt, ...)
{
    char tail[64];
    va_list ap;
    int status;

    snprintf(tail, sizeof(tail), "try: wmap %s --help\n", c->command->name);
    va_start(ap, fmt);
    status = complain(c, tail, fmt, ap);
    va_end(ap);
    return status;
}

int
report(struct cli *c, wmap_status st)
{
    unsigned count =
        wmap_error_count(c->ctx) + (given(c, OPT_quiet) ? 0 : wmap_warning_count(c->ctx));

    progress_end(c);
    if (count)
        wmap_diagnostics(c->ctx, has_color() ? WMAP_TEXT_COLOR : WMAP_TEXT,
                         (wmap_sink){to_stderr, NULL});
    if (st == WMAP_ERROR || (st == WMAP_NO && wmap_message(c->ctx)[0]))
        fprintf(stderr, "wmap: %s\n", wmap_message(c->ctx));
    if (st != WMAP_OK && given(c, OPT_json) && c->nout == 0)
        json_status(c, (int)st, wmap_message(c->ctx));
    return (int)st;
}

/* ---- texts ---- */

static int
append(void *user, const char *p, size_t n)
{
    struct text *t = user;

    if (t->cap - t->n <= n) {
        size_t cap = (t->n + n + 1) * 2;
        char *grown = realloc(t->p, cap);

        if (!grown)
            return -1;
        t->p = grown;
        t->cap = cap;
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
    t->p[t->n] = '\0';
    return 0;
}

wmap_sink
text_sink(struct text *t)
{
    return (wmap_sink){append, t};
}

void
text_free(struct text *t)
{
    free(t->p);
    *t = (struct text){0};
}

int
read_text(struct cli *c, const char *path, struct text *t)
{
    bool std = strcmp(path, "-") == 0;
    const char *name = std ? "standard input" : path;
    int fd = std ? 0 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), e = 0;
    char piece[16384];
    ssize_t n;

    if (fd < 0)
        return fail(c, "%.800s: %s", name, strerror(errno));
    append(t, "", 0);
    while ((n = read(fd, piece, sizeof(piece))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || t->n + (size_t)n > MAX_TEXT || append(t, piece, (size_t)n) != 0) {
            e = n < 0 ? errno : t->n + (size_t)n > MAX_TEXT ? EFBIG : ENOMEM;
            break;
        }
    }
    if (!std)
        close(fd);
    return e ? fail(c, "%.800s: %s", name, strerror(e)) : 0;
}
