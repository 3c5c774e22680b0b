/* cli/explain.c -- `wmap explain`. */
#include "cli/cli.h"

int
cmd_explain(struct cli *c)
{
    if (c->narg == 0)
        return report(c, wmap_explain_list(c->ctx, result_style(c), c->out));
    return report(c, wmap_explain(c->ctx, c->arg[0], result_style(c), c->out));
}
