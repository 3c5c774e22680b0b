/* cli/mini.c -- `wmap mini`. */
#include <stdlib.h>

#include "cli/cli.h"

int
cmd_mini(struct cli *c)
{
    wmap_mini_options o = {.config = c->value[OPT_config],
                           .define = c->define,
                           .ndefine = c->ndefine,
                           .reverse = given(c, OPT_reverse),
                           .output = c->value[OPT_output],
                           .mutate = given(c, OPT_mutate),
                           .work = c->work};
    struct signals *s;
    wmap_map *map;
    wmap_status st;
    int status;

    if (given(c, OPT_seed)) {
        char *end;

        o.seed = strtoull(c->value[OPT_seed], &end, 10);
        if (c->value[OPT_seed][0] < '0' || c->value[OPT_seed][0] > '9' || *end)
            return usage(c, "mini: --seed takes a whole number");
    }
    if ((status = load_map(c, &map)) != 0)
        return status;
    s = signals_begin(c);
    st = wmap_mini(map, &o, result_style(c), c->out);
    progress_end(c);
    signals_end(s);
    return report(c, st);
}
