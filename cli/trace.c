/* cli/trace.c -- `wmap trace`. */
#include "cli/cli.h"

int
cmd_trace(struct cli *c)
{
    wmap_map *map;
    wmap_plan *plan;
    int status = bind_map(c, &map, &plan);

    if (status != 0)
        return status;
    return report(c, wmap_plan_trace(plan, c->arg[1], result_style(c), c->out));
}
