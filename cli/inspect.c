/* cli/inspect.c -- `wmap inspect`. */
#include "cli/cli.h"

int
cmd_inspect(struct cli *c)
{
    wmap_checkpoint *p;
    wmap_status st = wmap_checkpoint_open(c->ctx, c->arg[0], given(c, OPT_no_symlinks), &p);

    if (st == WMAP_OK) {
        st = wmap_inspect(p, result_style(c), c->out);
        wmap_checkpoint_close(p);
    }
    return report(c, st);
}
