/* cli/bind.c -- what run, plan, verify, trace and dump have in common: a map, an input, options. */
#include "cli/cli.h"

int
load_map(struct cli *c, wmap_map **map)
{
    wmap_status st = wmap_map_load(c->ctx, c->arg[0], map);

    return st == WMAP_OK ? 0 : report(c, st);
}

int
bind_map(struct cli *c, wmap_map **map, wmap_plan **plan)
{
    wmap_bind_options o = {.config = c->value[OPT_config],
                           .define = c->define,
                           .ndefine = c->ndefine,
                           .reverse = given(c, OPT_reverse),
                           .format = c->value[OPT_format],
                           .output = c->value[OPT_output],
                           .max_shard_size = c->max_shard_size,
                           .template_file = c->value[OPT_template],
                           .allow_unmapped = given(c, OPT_allow_unmapped),
                           .allow_missing = given(c, OPT_allow_missing),
                           .no_symlinks = given(c, OPT_no_symlinks),
                           .trust_replicas = given(c, OPT_trust_replicas),
                           .trust_checksums = given(c, OPT_trust_checksums),
                           .round_numbers = given(c, OPT_round_numbers),
                           .strict_pad = given(c, OPT_strict_pad),
                           .only = c->only,
                           .nonly = c->nonly,
                           .adapter = c->value[OPT_adapter],
                           .unmerge = given(c, OPT_unmerge),
                           .adapter_to = c->value[OPT_adapter_to],
                           .part_spec = c->value[OPT_part_spec],
                           .layout = c->value[OPT_layout],
                           .in_place = given(c, OPT_in_place),
                           .lint = c->command == &commands[CMD_plan]};
    wmap_status st;
    int status;

    if (!given(c, OPT_input))
        return usage(c, "%s: the input is missing: -i IN", c->command->name);
    if (given(c, OPT_unmerge) && !given(c, OPT_adapter))
        return usage(c, "%s: --unmerge is for an adapter: --adapter DIR", c->command->name);
    if (given(c, OPT_adapter_to) && (!given(c, OPT_adapter) || given(c, OPT_unmerge)))
        return usage(c, "%s: --adapter-to converts an adapter: --adapter DIR, without --unmerge", c->command->name);
    if ((status = load_map(c, map)) != 0)
        return status;
    st = wmap_bind(*map, c->value[OPT_input], &o, plan);
    if (st != WMAP_OK)
        return report(c, st);
    note_input(c, c->value[OPT_input], wmap_plan_note(*plan));
    return 0;
}
