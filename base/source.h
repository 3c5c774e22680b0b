/* base/source.h -- texts of maps, and places in them.
 *
 * A span is a run of bytes of one source.  Every token, tree node, rule and plan entry keeps one,
 * so that every message can point.  Line and column are computed only when printed. */
#ifndef WM_BASE_SOURCE_H
#define WM_BASE_SOURCE_H

#include <stdint.h>

#include "base/arena.h"

struct wm_span {
    uint32_t file; /* index in wm_sources; the text of the command line is a source, too */
    uint32_t off;
    uint32_t len;
};

struct wm_source {
    struct wm_str path; /* as messages name it */
    struct wm_str text; /* as read, a BOM removed; at most 64 MiB */
    uint32_t *line;     /* offset of each line's first byte */
    uint32_t nline;
};

struct wm_sources {
    struct wm_arena *a;
    WM_VEC(struct wm_source) list;
};

/* Register a text (borrowed by the list); returns its index. */
uint32_t wm_source_add(struct wm_sources *ss, struct wm_str path, struct wm_str text);
/* 1-based line; column counts code points from 1 (for a person), a tab counts as one. */
void wm_source_pos(const struct wm_sources *ss, struct wm_span sp, uint32_t *line, uint32_t *col);
/* The text of a line without its end. */
struct wm_str wm_source_line(const struct wm_source *s, uint32_t line);
/* The text of a span. */
struct wm_str wm_source_text(const struct wm_sources *ss, struct wm_span sp);
/* From the beginning of a to the end of b (one file). */
struct wm_span wm_span_join(struct wm_span a, struct wm_span b);

#endif
