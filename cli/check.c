/* cli/check.c -- `wmap check`. */
#include "cli/cli.h"

int
cmd_check(struct cli *c)
{
    wmap_map *map;
    int status = load_map(c, &map);

    if (status != 0)
        return status;
    if (given(c, OPT_config) || c->ndefine) {
        wmap_mini_options o = {
            .config = c->value[OPT_config], .define = c->define, .ndefine = c->ndefine};
        wmap_status st = wmap_map_check(map, &o);

        if (st != WMAP_OK)
            return report(c, st);
    }
    if (given(c, OPT_json)) {
        print(c, "{\n  \"schema\": \"wmap.check/1\",\n  \"status\": 0,\n  \"map\": ");
        print_string(c, wmap_map_name(map));
        print(c, ",\n  \"doc\": ");
        print_string(c, wmap_map_doc(map));
        print(c, ",\n  \"warnings\": %u,\n  \"diagnostics\": ", wmap_warning_count(c->ctx));
        wmap_diagnostics(c->ctx, WMAP_JSON, c->out);
        print(c, "\n}\n");
    } else if (!given(c, OPT_quiet)) {
        unsigned n = wmap_warning_count(c->ctx);

        if (n)
            print(c, "%s: sound, with %u warning%s\n", wmap_map_name(map), n, n == 1 ? "" : "s");
        else
            print(c, "%s: sound\n", wmap_map_name(map));
    }
    return report(c, WMAP_OK);
}
