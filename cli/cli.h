/* cli/cli.h -- the command line: what its files share.
 *
 * Everything is built on the public API.  Results go to standard output, all else to standard
 * error.  Commands return the exit status: 0 yes or done, 1 no, 2 it could not be tried. */
#ifndef WMAP_CLI_H
#define WMAP_CLI_H

#include <stdatomic.h>
#include <stdio.h>

#include "wmap/wmap.h"

/* ---- tables ---- */

enum command_id {
#define WM_COMMAND(name, least, most, args, what, more, examples) CMD_##name,
#include "cli/commands.def"
#undef WM_COMMAND
    NCOMMAND
};

enum option_id {
#define WM_OPTION(id, letter, name, arg, commands, help) OPT_##id,
#include "cli/options.def"
#undef WM_OPTION
    NOPTION
};

struct cli;

struct command {
    const char *name;
    int least, most; /* arguments; most < 0: any number */
    const char *args, *what, *more, *examples;
    int (*run)(struct cli *c);
};

struct option_info {
    char letter;
    const char *name, *arg;
    unsigned commands; /* bits 1 << command_id */
    const char *help;
};

extern const struct command commands[NCOMMAND];
extern const struct option_info options[NOPTION];

#define WM_COMMAND(name, least, most, args, what, more, examples) int cmd_##name(struct cli *c);
#include "cli/commands.def"
#undef WM_COMMAND

/* ---- one call of the program ---- */

struct progress {
    bool on, terminal;
    double start;
    atomic_flag busy; /* one thread prints at a time */
    double last;      /* under busy */
    bool shown;
};

struct cli {
    const struct command *command;
    const char *value[NOPTION]; /* of what was given; "" for switches; NULL: not given */
    const char **define, **only;
    size_t ndefine, nonly;
    const char **arg;
    size_t narg;
    wmap_ctx *ctx;
    wmap_sink out; /* standard output */
    uint64_t nout; /* bytes handed to it */
    wmap_work work;
    struct progress progress;
    uint64_t max_shard_size;
    char message[2200];         /* the last one of fail() and usage() */
};

/* ---- options.c ---- */

/* Fill c from the words behind the command's name.  Status 0, or 2 after a message. */
int options_parse(struct cli *c, int argc, char **argv);
/* The number of an option of this command by its long name; -1. */
int option_find(const struct command *cmd, const char *name, size_t n);
bool given(const struct cli *c, enum option_id id);
/* The values of --threads, --max-memory, --max-shard-size, --progress into c->work and
 * c->max_shard_size. */
int options_work(struct cli *c);
/* A number; false after a message. */
bool option_real(const struct cli *c, enum option_id id, double *out);

/* ---- report.c ---- */

/* "wmap: ..." on standard error, and with --json an object on standard output.  Returns 2. */
int fail(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A usage error, with where to look.  Returns 2. */
int usage(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Diagnostics and message after a call of the API, and the exit status for it.  With --json and
 * nothing printed so far, the object is printed here. */
int report(struct cli *c, wmap_status st);
/* The style of results, and of diagnostics on standard error. */
wmap_style result_style(const struct cli *c);
void print(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string. */
void print_string(struct cli *c, const char *text);
/* On standard error unless --quiet. */
void note(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* What the library noted of an input; NULL: nothing. */
void note_input(const struct cli *c, const char *name, const char *text);

/* Text in memory, as a sink. */
struct text {
    char *p;
    size_t n, cap;
};
wmap_sink text_sink(struct text *t);
void text_free(struct text *t);
/* A whole file, or standard input for "-".  Status 0, or 2 after a message. */
int read_text(struct cli *c, const char *path, struct text *t);

/* ---- progress.c, signals.c ---- */

void progress_init(struct cli *c);
int progress_call(void *cli, uint64_t done, uint64_t total);
void progress_end(struct cli *c);
/* "wrote 79 tensors, 90.9 MB in 0.09 s (1.0 GB/s) -> out/model.safetensors" */
void result_line(const struct cli *c, const wmap_run_result *r);
void result_json(struct cli *c, const wmap_run_result *r);

struct signals;
/* From here on SIGINT, SIGTERM and SIGHUP stop the call in progress instead of the process. */
struct signals *signals_begin(struct cli *c);
/* The process ends by the signal that came, if one came; otherwise signals work as before. */
void signals_end(struct signals *s);

/* ---- bind.c ---- */

/* Load the map of the first argument; with `plan`, bind it to --input, too.  0, or the exit status
 * after a report. */
int load_map(struct cli *c, wmap_map **map);
int bind_map(struct cli *c, wmap_map **map, wmap_plan **plan);

/* ---- help.c, man.c, completions.c, diff_lines.c ---- */

void print_help(void);
void print_command_help(const struct command *cmd);
void print_man(void);
int print_completions(const char *shell);
/* A unified diff of two texts on standard output. */
void print_line_diff(struct cli *c, const char *path, const struct text *a, const struct text *b);

#endif
