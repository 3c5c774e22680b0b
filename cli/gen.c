/* cli/gen.c -- `wmap gen`. */
#include "cli/cli.h"

int
cmd_gen(struct cli *c)
{
    wmap_gen_options o = {.family = c->value[OPT_family],
                          .output = c->value[OPT_output],
                          .define = c->define,
                          .ndefine = c->ndefine,
                          .max_shard_size = c->max_shard_size,
                          .force = given(c, OPT_force),
                          .fsync = given(c, OPT_fsync),
                          .sparse = given(c, OPT_sparse),
                          .work = c->work,
                          .format = c->value[OPT_format]};
    wmap_run_result result = {0};
    struct signals *s;
    wmap_status st;

    if (given(c, OPT_families))
        return report(c, wmap_gen_families(c->ctx, o.family, result_style(c), c->out));
    if (!o.family)
        return usage(
            c, "gen: the family is missing: --family NAME (`wmap gen --families` lists them)");
    if (!o.output)
        return usage(c, "gen: the output is missing: -o DIR");
    s = signals_begin(c);
    st = wmap_gen(c->ctx, &o, &result);
    progress_end(c);
    signals_end(s);
    if (report(c, st) != 0)
        return (int)st;
    if (given(c, OPT_json))
        result_json(c, &result);
    result_line(c, &result);
    return 0;
}
