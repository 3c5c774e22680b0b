/* cli/plan.c -- `wmap plan`. */
#include "cli/cli.h"

int
cmd_plan(struct cli *c)
{
    wmap_map *map;
    wmap_plan *plan;
    int status = bind_map(c, &map, &plan);

    if (status != 0)
        return status;
    return report(c, wmap_plan_describe(plan, &c->work, result_style(c), c->out));
}
