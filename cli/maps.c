/* cli/maps.c -- `wmap maps`. */
#include "cli/cli.h"

int
cmd_maps(struct cli *c)
{
    return report(c, wmap_maps(c->ctx, result_style(c), c->out));
}
