/* cli/main.c -- the program: which command, its options, and how it ends. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static int
to_stdout(void *user, const char *p, size_t n)
{
    struct cli *c = user;

    c->nout += n;
    return fwrite(p, 1, n, stdout) != n;
}

/* Memory for a compilation is out: nothing is left behind, nothing else can be done. */
static void
out_of_memory(void *user)
{
    static const char text[] = "wmap: out of memory\n";
    struct cli *c = user;

    wmap_abandon(c->ctx);
    if (write(2, text, sizeof(text) - 1) < 0)
        _exit(2);
    _exit(2);
}

static int
unknown_command(const char *name)
{
    const char *names[NCOMMAND];
    int near;

    for (int k = 0; k < NCOMMAND; k++)
        names[k] = commands[k].name;
    near = wmap_nearest(name, names, NCOMMAND);
    if (near >= 0)
        fprintf(stderr, "wmap: unknown command \"%.60s\"; did you mean %s?\n", name, names[near]);
    else
        fprintf(stderr, "wmap: unknown %s \"%.60s\"\n", name[0] == '-' ? "option" : "command",
                name);
    fputs("try: wmap --help\n", stderr);
    return 2;
}

static const struct command *
find_command(const char *name)
{
    for (int k = 0; k < NCOMMAND; k++)
        if (strcmp(commands[k].name, name) == 0)
            return &commands[k];
    return NULL;
}

/* What comes without a command; -1: there must be one. */
static int
run_alone(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help();
    } else if (strcmp(word, "help") == 0) {
        const struct command *cmd = argc > 2 ? find_command(argv[2]) : NULL;

        if (argc > 2 && !cmd)
            return unknown_command(argv[2]);
        if (cmd)
            print_command_help(cmd);
        else
            print_help();
    } else if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("wmap %s\n", wmap_version());
    } else if (strcmp(word, "--man") == 0) {
        print_man();
    } else if (strcmp(word, "--completions") == 0) {
        if (argc < 3 || print_completions(argv[2]) != 0) {
            fputs("wmap: --completions needs a shell: bash, zsh or fish\n", stderr);
            return 2;
        }
    } else {
        return -1;
    }
    return 0;
}

/* WMAP_PATH: directories, separated by colons. */
static void
add_paths(wmap_ctx *ctx)
{
    const char *p = getenv("WMAP_PATH");

    while (p && *p) {
        size_t n = strcspn(p, ":");
        char *dir = strndup(p, n);

        if (dir && n)
            wmap_add_path(ctx, dir);
        free(dir);
        p += n + (p[n] == ':');
    }
}

static int
run_command(const struct command *cmd, int argc, char **argv)
{
    struct cli c = {.command = cmd, .progress.busy = ATOMIC_FLAG_INIT};
    int status;

    c.out = (wmap_sink){to_stdout, &c};
    c.ctx = wmap_ctx_new();
    if (!c.ctx) {
        fputs("wmap: out of memory\n", stderr);
        return 2;
    }
    wmap_set_oom(c.ctx, out_of_memory, &c);
    status = options_parse(&c, argc, argv);
    if (status == 0 && given(&c, OPT_help)) {
        print_command_help(cmd);
    } else if (status == 0) {
        add_paths(c.ctx);
        status = options_work(&c);
        if (status == 0)
            status = cmd->run(&c);
    }
    wmap_ctx_free(c.ctx);
    free(c.define);
    free(c.only);
    free(c.arg);
    return status;
}

/* Arenas come and go: what one frees the next takes at once, and should not have to be asked for and zeroed again. */
static void
keep_freed_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
#endif
}

int
main(int argc, char **argv)
{
    const struct command *cmd = argc > 1 ? find_command(argv[1]) : NULL;
    int status;

    keep_freed_memory();
    if (cmd) {
        status = run_command(cmd, argc - 2, argv + 2);
    } else if (argc < 2) {
        print_help();
        status = 2;
    } else {
        status = run_alone(argc, argv);
        if (status < 0)
            status = unknown_command(argv[1]);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "wmap: standard output: %s\n", strerror(errno ? errno : EIO));
        return 2;
    }
    return status;
}
