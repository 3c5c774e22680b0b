/* cli/diff.c -- `wmap diff`. */
#include "cli/cli.h"

static int
diff_maps(struct cli *c)
{
    wmap_diff_maps_options o = {.input = c->value[OPT_input],
                                .config = c->value[OPT_config],
                                .define = c->define,
                                .ndefine = c->ndefine};
    wmap_map *map[2];

    for (int k = 0; k < 2; k++) {
        wmap_status st = wmap_map_load(c->ctx, c->arg[k], &map[k]);

        if (st != WMAP_OK)
            return report(c, st);
    }
    return report(c, wmap_diff_maps(map[0], map[1], &o, result_style(c), c->out));
}

int
cmd_diff(struct cli *c)
{
    wmap_diff_options o = {.work = c->work};
    wmap_checkpoint *a, *b = NULL;
    wmap_status st;

    if (given(c, OPT_maps))
        return diff_maps(c);
    if (given(c, OPT_input) || given(c, OPT_config) || c->ndefine)
        return usage(c, "diff: --input, --config and -D go with --maps");
    if (!option_real(c, OPT_atol, &o.atol) || !option_real(c, OPT_rtol, &o.rtol))
        return usage(c, "diff: a tolerance is a number of at least 0");
    st = wmap_checkpoint_open(c->ctx, c->arg[0], given(c, OPT_no_symlinks), &a);
    if (st != WMAP_OK)
        return report(c, st);
    st = wmap_checkpoint_open(c->ctx, c->arg[1], given(c, OPT_no_symlinks), &b);
    if (st == WMAP_OK) {
        struct signals *s = signals_begin(c);

        note_input(c, c->arg[0], wmap_checkpoint_note(a));
        note_input(c, c->arg[1], wmap_checkpoint_note(b));
        if (given(c, OPT_round_numbers)) {
            wmap_checkpoint_round_numbers(a);
            wmap_checkpoint_round_numbers(b);
        }
        st = wmap_diff(a, b, &o, result_style(c), c->out);
        progress_end(c);
        signals_end(s);
    }
    wmap_checkpoint_close(a);
    wmap_checkpoint_close(b);
    return report(c, st);
}
