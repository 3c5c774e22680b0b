/* cli/options.c -- words of the command line against the option table.
 *
 * Options and arguments may be mixed; "--" ends the options.  --name VALUE, --name=VALUE, -o VALUE,
 * -oVALUE, and switches in one word (-hq) are understood.  An unknown option is an error, with the
 * nearest that the command has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

bool
given(const struct cli *c, enum option_id id)
{
    return c->value[id] != NULL;
}

static bool
has_option(const struct command *cmd, int id)
{
    return options[id].commands >> (cmd - commands) & 1;
}

int
option_find(const struct command *cmd, const char *name, size_t n)
{
    for (int k = 0; k < NOPTION; k++)
        if (has_option(cmd, k) && strlen(options[k].name) == n &&
            memcmp(options[k].name, name, n) == 0)
            return k;
    return -1;
}

static int
find_letter(const struct command *cmd, char letter)
{
    for (int k = 0; k < NOPTION; k++)
        if (has_option(cmd, k) && options[k].letter == letter)
            return k;
    return -1;
}

static int
unknown(struct cli *c, const char *name, size_t n)
{
    const char *names[NOPTION];
    char word[64];
    size_t count = 0;
    int near;

    for (int k = 0; k < NOPTION; k++)
        if (has_option(c->command, k))
            names[count++] = options[k].name;
    snprintf(word, sizeof(word), "%.*s", (int)(n < 60 ? n : 60), name);
    near = wmap_nearest(word, names, count);
    if (near >= 0)
        return usage(c, "unknown option --%s; did you mean --%s?", word, names[near]);
    for (int k = 0; k < NOPTION; k++)
        if (strcmp(options[k].name, word) == 0)
            return usage(c, "%s has no option --%s", c->command->name, word);
    return usage(c, "unknown option --%s", word);
}

static void
take(struct cli *c, int id, const char *value)
{
    c->value[id] = value;
    if (id == OPT_define)
        c->define[c->ndefine++] = value;
    if (id == OPT_only)
        c->only[c->nonly++] = value;
}

/* --name, --name=value; *k is moved over a value in the next word. */
static int
parse_long(struct cli *c, int argc, char **argv, int *k)
{
    const char *name = argv[*k] + 2, *eq = strchr(name, '=');
    size_t n = eq ? (size_t)(eq - name) : strlen(name);
    int id = option_find(c->command, name, n);

    if (id < 0)
        return unknown(c, name, n);
    if (!options[id].arg && eq)
        return usage(c, "--%s takes no value", options[id].name);
    if (options[id].arg && !eq && *k + 1 == argc)
        return usage(c, "--%s needs a value: --%s %s", options[id].name, options[id].name,
                     options[id].arg);
    take(c, id, !options[id].arg ? "" : eq ? eq + 1 : argv[++*k]);
    return 0;
}

/* -o value, -ovalue, -hq */
static int
parse_short(struct cli *c, int argc, char **argv, int *k)
{
    for (const char *p = argv[*k] + 1; *p; p++) {
        int id = find_letter(c->command, *p);

        if (id < 0)
            return usage(c, *p > ' ' && *p <= '~' ? "unknown option -%c" : "unknown option -?", *p);
        if (!options[id].arg) {
            take(c, id, "");
            continue;
        }
        if (!p[1] && *k + 1 == argc)
            return usage(c, "-%c needs a value: -%c %s", *p, *p, options[id].arg);
        take(c, id, p[1] ? p + 1 : argv[++*k]);
        break;
    }
    return 0;
}

static int
check_count(struct cli *c)
{
    const struct command *cmd = c->command;

    if (given(c, OPT_help))
        return 0;
    if (c->narg < (size_t)cmd->least)
        return usage(c, "%s: an argument is missing: wmap %s %s", cmd->name, cmd->name, cmd->args);
    if (cmd->most >= 0 && c->narg > (size_t)cmd->most)
        return usage(c, "%s: unexpected argument \"%.100s\"", cmd->name, c->arg[cmd->most]);
    return 0;
}

int
options_parse(struct cli *c, int argc, char **argv)
{
    bool more = true; /* options may come */
    int status = 0;

    c->define = calloc((size_t)argc + 1, sizeof(*c->define));
    c->only = calloc((size_t)argc + 1, sizeof(*c->only));
    c->arg = calloc((size_t)argc + 1, sizeof(*c->arg));
    if (!c->define || !c->only || !c->arg)
        return fail(c, "out of memory");
    for (int k = 0; k < argc && status == 0; k++) {
        if (more && strcmp(argv[k], "--") == 0)
            more = false;
        else if (more && argv[k][0] == '-' && argv[k][1] == '-')
            status = parse_long(c, argc, argv, &k);
        else if (more && argv[k][0] == '-' && argv[k][1])
            status = parse_short(c, argc, argv, &k);
        else
            c->arg[c->narg++] = argv[k];
    }
    return status ? status : check_count(c);
}

bool
option_real(const struct cli *c, enum option_id id, double *out)
{
    char *end;

    if (!given(c, id))
        return true;
    *out = strtod(c->value[id], &end);
    return *end == '\0' && end != c->value[id] && isfinite(*out) && *out >= 0;
}

static int
size_option(struct cli *c, enum option_id id, uint64_t *out)
{
    if (given(c, id) && (!wmap_parse_size(c->value[id], out) || *out == 0))
        return usage(c, "--%s: \"%.60s\" is not a size such as 5GB or 64MiB", options[id].name,
                     c->value[id]);
    return 0;
}

static int
engine_option(struct cli *c)
{
    static const char *const names[] = {
        [WMAP_ENGINE_AUTO] = "auto", [WMAP_ENGINE_INTERP] = "interp", [WMAP_ENGINE_JIT] = "jit"};
    const char *name = c->value[OPT_engine];

    for (int i = 0; name && i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            c->work.engine = (wmap_engine)i;
            return 0;
        }
    return name ? usage(c, "--engine: \"%.60s\" is none of auto, interp, jit", name) : 0;
}

int
options_work(struct cli *c)
{
    const char *threads = c->value[OPT_threads], *when = c->value[OPT_progress];
    int status = 0;

    if (threads) {
        size_t digits = strspn(threads, "0123456789");

        if (digits == 0 || threads[digits] || digits > 4 || atoi(threads) == 0)
            return usage(c, "--threads: \"%.60s\" is not a number from 1 to 9999", threads);
        c->work.threads = (unsigned)atoi(threads);
    }
    if ((status = engine_option(c)) != 0)
        return status;
    if (when && strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 &&
        strcmp(when, "never") != 0)
        return usage(c, "--progress: \"%.60s\" is none of auto, always, never", when);
    if ((status = size_option(c, OPT_max_memory, &c->work.max_memory)) != 0 ||
        (status = size_option(c, OPT_max_shard_size, &c->max_shard_size)) != 0)
        return status;
    progress_init(c);
    return 0;
}
