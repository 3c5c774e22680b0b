/* compiler/cc.c -- what a compilation owns beside its arena. */
#include <cjson/cJSON.h>

#include "compiler/driver.h"

void
wm_cc_own_json(struct wm_cc *cc, struct cJSON *json)
{
    *WM_PUSH(cc->a, &cc->json) = json;
}

void
wm_cc_fini(struct wm_cc *cc)
{
    for (uint32_t i = 0; i < cc->json.n; i++)
        cJSON_Delete(cc->json.item[i]);
    cc->json.n = 0;
}
