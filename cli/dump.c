/* cli/dump.c -- `wmap dump`. */
#include <string.h>

#include "cli/cli.h"

static int
print_stage(struct cli *c, const char *stage, wmap_status st, struct text *t)
{
    if (st == WMAP_OK && given(c, OPT_json)) {
        print(c, "{\n  \"schema\": \"wmap.dump/1\",\n  \"status\": 0,\n  \"stage\": ");
        print_string(c, stage);
        print(c, ",\n  \"text\": ");
        print_string(c, t->p ? t->p : "");
        print(c, "\n}\n");
    }
    text_free(t);
    return report(c, st);
}

int
cmd_dump(struct cli *c)
{
    const char *stage = c->value[OPT_stage]   ? c->value[OPT_stage]
                        : given(c, OPT_input) ? "plan"
                                              : "checked";
    struct text t = {0};
    wmap_sink sink = given(c, OPT_json) ? text_sink(&t) : c->out;
    wmap_map *map;
    wmap_plan *plan;
    int status;

    if (strcmp(stage, "ast") == 0 || strcmp(stage, "checked") == 0) {
        if ((status = load_map(c, &map)) != 0)
            return status;
        return print_stage(c, stage, wmap_map_dump(map, stage, sink), &t);
    }
    if (strcmp(stage, "graph") != 0 && strcmp(stage, "plan") != 0 && strcmp(stage, "llvm") != 0)
        return usage(c, "dump: no stage \"%.60s\"; there are ast, checked, graph, plan and llvm",
                     stage);
    if ((status = bind_map(c, &map, &plan)) != 0)
        return status;
    return print_stage(c, stage, wmap_plan_dump(plan, stage, sink), &t);
}
