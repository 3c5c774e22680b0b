/* cli/diff.c -- `wmap diff`. */
#include "cli/cli.h"

int
cmd_diff(struct cli *c)
{
    wmap_diff_options o = {.work = c->work};
    wmap_checkpoint *a, *b = NULL;
    wmap_status st;

    if (!option_real(c, OPT_atol, &o.atol) || !option_real(c, OPT_rtol, &o.rtol))
        return usage(c, "diff: a tolerance is a number of at least 0");
    st = wmap_checkpoint_open(c->ctx, c->arg[0], given(c, OPT_no_symlinks), &a);
    if (st != WMAP_OK)
        return report(c, st);
    st = wmap_checkpoint_open(c->ctx, c->arg[1], given(c, OPT_no_symlinks), &b);
    if (st == WMAP_OK) {
        struct signals *s = signals_begin(c);

        st = wmap_diff(a, b, &o, result_style(c), c->out);
        progress_end(c);
        signals_end(s);
    }
    wmap_checkpoint_close(a);
    wmap_checkpoint_close(b);
    return report(c, st);
}
