/* runtime/plan_verify.h -- the parts of the verifier that look at single sections, after all others were found good. */
#ifndef WM_RUNTIME_PLAN_VERIFY_H
#define WM_RUNTIME_PLAN_VERIFY_H

#include "runtime/plan.h"

enum wm_status wm_plan_verify_shared(const struct wm_plan *p, struct wm_err *err);
enum wm_status wm_plan_verify_sums(const struct wm_plan *p, struct wm_arena *scratch, struct wm_err *err);

#endif
