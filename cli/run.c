/* cli/run.c -- `wmap run`. */
#include <string.h>

#include "cli/cli.h"

/* "2/8" or "commit".  0, or the status after a message. */
static int
task_option(struct cli *c, wmap_run_options *o)
{
    const char *text = c->value[OPT_task];
    char rest;

    if (!text)
        return 0;
    if (strcmp(text, "commit") == 0) {
        o->commit_tasks = true;
        return 0;
    }
    if (strspn(text, "0123456789/") != strlen(text) || strlen(text) > 11 ||
        sscanf(text, "%u/%u%c", &o->task, &o->ntask, &rest) != 2 || o->task < 1 || o->task > o->ntask || o->ntask > 65535)
        return usage(c, "--task: \"%.60s\" is neither I/N, such as 1/4 up to 4/4, nor commit", text);
    return 0;
}

static wmap_status
convert(struct cli *c, wmap_plan *plan, wmap_run_options o, wmap_run_result *result)
{
    struct signals *s = signals_begin(c);
    wmap_status st;

    if (given(c, OPT_output) && strcmp(c->value[OPT_output], "-") == 0)
        st = wmap_run_stream(plan, &o, c->out, result);
    else
        st = wmap_run(plan, &o, result);
    progress_end(c);
    signals_end(s);
    return st;
}

int
cmd_run(struct cli *c)
{
    wmap_map *map;
    wmap_plan *plan;
    wmap_run_result result = {0};
    wmap_run_options o = {.force = given(c, OPT_force), .fsync = given(c, OPT_fsync), .work = c->work};
    bool stream;
    int status;

    if (!given(c, OPT_output) && !given(c, OPT_in_place))
        return usage(c, "run: the output is missing: -o OUT");
    stream = given(c, OPT_output) && strcmp(c->value[OPT_output], "-") == 0;
    if (stream && given(c, OPT_json))
        return usage(c, "run: --json and -o - both want standard output");
    if (stream && given(c, OPT_task))
        return usage(c, "run: tasks write files, not a stream");
    if ((status = task_option(c, &o)) != 0)
        return status;
    if ((status = bind_map(c, &map, &plan)) != 0)
        return status;
    status = report(c, convert(c, plan, o, &result));
    if (status != 0)
        return status;
    if (given(c, OPT_json))
        result_json(c, &result);
    result_line(c, &result);
    return 0;
}
