/* cli/run.c -- `wmap run`. */
#include <string.h>

#include "cli/cli.h"

static wmap_status
convert(struct cli *c, wmap_plan *plan, wmap_run_result *result)
{
    wmap_run_options o = {
        .force = given(c, OPT_force), .fsync = given(c, OPT_fsync), .work = c->work};
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
    bool stream;
    int status;

    if (!given(c, OPT_output) && !given(c, OPT_in_place))
        return usage(c, "run: the output is missing: -o OUT");
    stream = given(c, OPT_output) && strcmp(c->value[OPT_output], "-") == 0;
    if (stream && given(c, OPT_json))
        return usage(c, "run: --json and -o - both want standard output");
    if ((status = bind_map(c, &map, &plan)) != 0)
        return status;
    status = report(c, convert(c, plan, &result));
    if (status != 0)
        return status;
    if (given(c, OPT_json))
        result_json(c, &result);
    result_line(c, &result);
    return 0;
}
