/* api/cost.h -- what a run will take, as `wmap plan` says it. */
#ifndef WM_API_COST_H
#define WM_API_COST_H

#include "api/ctx.h"
#include "api/out.h"
#include "runtime/cost.h"

/* With these options; *known: false where the input comes as a stream, of which nothing is read by calls of ours. */
enum wm_status wm_plan_cost(struct wmap_plan *p, const wmap_work *work, struct wm_cost *cost, bool *known,
                            struct wm_err *err);

/* The lines "reads", "calls" and "time"; the object "cost" of JSON, null where it is not known. */
void wm_cost_text(const struct wm_cost *cost, struct wm_out *o);
void wm_cost_json(const struct wm_cost *cost, bool known, struct wm_out *o);

#endif
