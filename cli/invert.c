/* cli/invert.c -- `wmap invert`. */
#include "cli/cli.h"

int
cmd_invert(struct cli *c)
{
    struct text t = {0};
    wmap_map *map;
    wmap_status st;
    int status = load_map(c, &map);

    if (status != 0)
        return status;
    st = wmap_map_invert(map, text_sink(&t));
    if (st == WMAP_OK && given(c, OPT_json)) {
        print(c, "{\n  \"schema\": \"wmap.invert/1\",\n  \"status\": 0,\n  \"text\": ");
        print_string(c, t.p);
        print(c, "\n}\n");
    } else if (st == WMAP_OK) {
        print(c, "%s", t.p);
    }
    text_free(&t);
    return report(c, st);
}
