/* runtime/manifest_plan.h -- tensors of a manifest as inputs of a plan. */
#ifndef WM_RUNTIME_MANIFEST_PLAN_H
#define WM_RUNTIME_MANIFEST_PLAN_H

#include "runtime/manifest.h"

/* Bytes from the first to the last element, decoded: of a view what it spans.  UINT64_MAX past all bounds: the verifier
 * of plans refuses it. */
uint64_t wm_mtensor_span(const struct wm_mtensor *t);
/* An order of tensors by where and how their elements are stored; 0: the same bytes, seen in the same way. */
int wm_mtensor_cmp_storage(const struct wm_mtensor *a, const struct wm_mtensor *b);
/* An INFILE for a file of a manifest. */
uint32_t wm_plan_add_mfile(struct wm_plan_builder *b, const struct wm_mfile *f);
/* An IN for slot k of a tensor, in INFILE `file`; one with a codec gets a virtual file of its own. */
uint32_t wm_plan_add_mtensor(struct wm_plan_builder *b, const struct wm_mtensor *t, uint32_t k, uint32_t file);

/* A plan whose outputs are the tensors id[0 .. n) as they are: elements in order, decoded. */
enum wm_status wm_plan_of_tensors(struct wm_arena *a, const struct wm_manifest *m, const uint32_t *id, uint32_t n,
                                  struct wm_plan *out, struct wm_err *err);

#endif
