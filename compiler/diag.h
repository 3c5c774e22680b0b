/* compiler/diag.h -- diagnostics: what is wrong with a map, a config, or a checkpoint against a map.
 *
 * One row in diag.def each, with a permanent code.  They are collected, sorted by place, folded where
 * equal, capped when printed, and rendered as text with carets or as JSON. */
#ifndef WM_COMPILER_DIAG_H
#define WM_COMPILER_DIAG_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/source.h"

enum wm_severity { WM_SEV_ERROR, WM_SEV_WARNING };

/* WM_DIAG(id, number, severity, title): WM_E_<id>, printed E0214 or W0214 by its severity. */
enum wm_code {
#define WM_DIAG(id, number, severity, title) WM_E_##id = number,
#include "compiler/diag.def"
#undef WM_DIAG
    WM_E_NONE = 0
};

struct wm_label {
    struct wm_span span;
    struct wm_str text;
};

struct wm_diag {
    enum wm_code code;
    enum wm_severity severity;
    struct wm_span span;    /* file == WM_NONE: no place in a map; `where` says what instead */
    struct wm_str where;    /* e.g. the path of a checkpoint or config, where there is no span */
    struct wm_str message;  /* one line, lower case, no full stop, names the thing and both numbers */
    struct wm_label label[3];
    uint32_t nlabel;
    WM_VEC(struct wm_str) note;
};

struct wm_diags {
    struct wm_arena *a;
    const struct wm_sources *sources;
    WM_VEC(struct wm_diag *) list;
    uint32_t nerror, nwarning;
};

void wm_diags_init(struct wm_diags *ds, struct wm_arena *a, const struct wm_sources *sources);

/* Add one; the severity is its row's.  The result can be given labels and notes. */
struct wm_diag *wm_report(struct wm_diags *ds, enum wm_code code, struct wm_span span,
                          const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The same for what has no place in a map. */
struct wm_diag *wm_report_at(struct wm_diags *ds, enum wm_code code, struct wm_str where,
                             const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* One of another list. */
void wm_diag_add(struct wm_diags *ds, struct wm_diag *d);
/* A diagnostic whose row says error, reported as a warning (--allow-unmapped and the like). */
void wm_diag_demote(struct wm_diags *ds, struct wm_diag *d);
void wm_label(struct wm_diags *ds, struct wm_diag *d, struct wm_span span, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void wm_note(struct wm_diags *ds, struct wm_diag *d, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Sort by (file, offset, code), drop equal ones. */
void wm_diags_finish(struct wm_diags *ds);
struct wm_render {
    bool color;
    uint32_t max; /* print at most so many, then say how many more; 0: 20 */
};
void wm_diags_text(const struct wm_diags *ds, const struct wm_render *how, struct wm_buf *out);
void wm_diags_json(const struct wm_diags *ds, struct wm_buf *out); /* a JSON array */

/* A row of diag.def; NULL where there is none. */
struct wm_diag_info {
    enum wm_code code;
    enum wm_severity severity;
    const char *id, *title;
};
const struct wm_diag_info *wm_diag_info(enum wm_code code);

/* The nearest of `n` names (edit distance at most a third of the length), or an empty string. */
struct wm_str wm_suggest(struct wm_arena *a, struct wm_str name, const struct wm_str *names, uint32_t n);

#endif
