/* cli/verify.c -- `wmap verify`. */
#include "cli/cli.h"

int
cmd_verify(struct cli *c)
{
    const char *output = c->value[OPT_output];
    struct signals *s;
    wmap_map *map;
    wmap_plan *plan;
    wmap_status st;
    int status;

    if (!output)
        return usage(c, "verify: the output to compare with is missing: -o OUT");
    if ((status = bind_map(c, &map, &plan)) != 0)
        return status;
    s = signals_begin(c);
    st = wmap_verify(plan, output, &c->work, result_style(c), c->out);
    progress_end(c);
    signals_end(s);
    return report(c, st);
}
