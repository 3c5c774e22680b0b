/* cli/fmt.c -- `wmap fmt`: print, replace, check or compare formatted maps. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

/* Replace `path` by a complete new file of its mode. */
static int
replace(struct cli *c, const char *path, const struct text *t)
{
    char real[PATH_MAX], temp[PATH_MAX + 32];
    struct stat st;
    size_t done = 0;
    int fd;

    if (!realpath(path, real) || stat(real, &st) != 0)
        return fail(c, "%.800s: %s", path, strerror(errno));
    snprintf(temp, sizeof(temp), "%s.wmap-%ld", real, (long)getpid());
    fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(c, "%.800s: %s", temp, strerror(errno));
    while (done < t->n) {
        ssize_t n = write(fd, t->p + done, t->n - done);

        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    if (done < t->n || fchmod(fd, st.st_mode & 07777) != 0 || rename(temp, real) != 0) {
        int e = errno;

        close(fd);
        unlink(temp);
        return fail(c, "%.800s: %s", path, strerror(e));
    }
    close(fd);
    return 0;
}

static int
show(struct cli *c, const char *path, const struct text *was, const struct text *is, bool changed)
{
    bool quiet = given(c, OPT_write) || given(c, OPT_check) || given(c, OPT_diff);

    if (given(c, OPT_write) && changed && strcmp(path, "-") != 0) {
        int status = replace(c, path, is);

        if (status != 0)
            return status;
    }
    if (given(c, OPT_json)) {
        print(c, ", \"changed\": %s", changed ? "true" : "false");
        if (!quiet) {
            print(c, ", \"text\": ");
            print_string(c, is->p);
        }
    } else if (given(c, OPT_diff) && changed) {
        print_line_diff(c, path, was, is);
    } else if (given(c, OPT_check) && changed) {
        print(c, "%s would change\n", path);
    } else if (!quiet) {
        print(c, "%s", is->p);
    }
    return changed && (given(c, OPT_check) || given(c, OPT_diff)) ? 1 : 0;
}

static int
format_one(struct cli *c, const char *path)
{
    struct text was = {0}, is = {0};
    bool json = given(c, OPT_json);
    int status;

    if (json) {
        print(c, "\n    {\"path\": ");
        print_string(c, path);
    }
    status = read_text(c, path, &was);
    if (status == 0) {
        const char *name = strcmp(path, "-") == 0 ? "<stdin>" : path;
        wmap_status st = wmap_format_text(c->ctx, name, was.p, was.n, text_sink(&is));

        if (st != WMAP_OK)
            status = report(c, st);
        else
            status = show(c, path, &was, &is, was.n != is.n || memcmp(was.p, is.p, is.n) != 0);
    }
    if (json) {
        print(c, ", \"status\": %d, \"diagnostics\": ", status);
        wmap_diagnostics(c->ctx, WMAP_JSON, c->out);
        print(c, "}");
    }
    wmap_diagnostics_clear(c->ctx);
    text_free(&was);
    text_free(&is);
    return status;
}

int
cmd_fmt(struct cli *c)
{
    int worst = 0;

    if (c->narg == 0) {
        if (given(c, OPT_write))
            return usage(c, "fmt: --write needs files");
        c->arg[c->narg++] = "-";
    }
    if (given(c, OPT_json))
        print(c, "{\n  \"schema\": \"wmap.fmt/1\",\n  \"files\": [");
    for (size_t k = 0; k < c->narg; k++) {
        int status;

        if (k && given(c, OPT_json))
            print(c, ",");
        status = format_one(c, c->arg[k]);
        worst = status > worst ? status : worst;
    }
    if (given(c, OPT_json)) {
        print(c, "\n  ],\n  \"status\": %d", worst);
        if (worst == 2) {
            print(c, ",\n  \"message\": ");
            print_string(c, c->message);
        }
        print(c, "\n}\n");
    }
    return worst;
}
