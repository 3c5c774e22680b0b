/* compiler/select.h -- which part of the output a run makes: tensors by name (--only), and parts of a checkpoint that
 * keeps its layers in files of their own (--part-spec). */
#ifndef WM_COMPILER_SELECT_H
#define WM_COMPILER_SELECT_H

#include "compiler/graph.h"

/* ---- parts: begin, mid.N, end ---- */

enum wm_part_kind { WM_PART_NONE, WM_PART_BEGIN, WM_PART_MID, WM_PART_END };

/* What a file is by its name: "begin.pth" and "start/x.pth", "mid.00003.pth" and "mid/3/x.pth", "end.pth". */
enum wm_part_kind wm_part_of(struct wm_str file, int64_t *layer);

struct wm_range {
    int64_t from, to;            /* half-open, not empty */
};

struct wm_parts {
    struct wm_str text;          /* as given */
    bool full, begin, end;
    WM_VEC(struct wm_range) range;
};

/* wm_parts_parse (driver.h) takes "f", or "b", ranges and "e" in this order, separated by blanks.  Anything else is
 * refused, with what to write instead. */

/* Is the file a part that was asked for?  (One that is no part: no.) */
bool wm_parts_have(const struct wm_parts *p, struct wm_str file);
/* Is the file a part that was not asked for?  p may be NULL: everything is. */
bool wm_parts_lack(const struct wm_parts *p, struct wm_str file);
/* Is everything that was asked for among n files?  `where` is for the message, or NULL. */
enum wm_status wm_parts_found(struct wm_arena *a, const struct wm_parts *p, const struct wm_str *file, uint32_t n,
                              const char *where, struct wm_err *err);
/* Does the side keep its tensors in parts? */
bool wm_side_has_parts(const struct wm_side *s);

/* ---- the fused stage ---- */

/* Leave in g->stage what is to be made, and the checks that read what that reads.  `parts` may be NULL. */
enum wm_status wm_select(struct wm_graph *g, const struct wm_str *only, uint32_t nonly, const struct wm_parts *parts,
                         struct wm_err *err);

#endif
