/* api/table.h -- rows in aligned columns, and lists of tensors folded by template. */
#ifndef WM_API_TABLE_H
#define WM_API_TABLE_H

#include "api/out.h"
#include "base/dtype.h"

/* Rows of cells in aligned columns; a column is as wide as its widest cell, up to a limit. */
struct wm_table {
    struct wm_arena *a;
    WM_VEC(struct wm_str) cell;
    uint32_t ncol;
    const char *align; /* [ncol], 'l' or 'r'; the last column is not padded */
};

void wm_table_init(struct wm_table *t, struct wm_arena *a, const char *align);
void wm_table_cell(struct wm_table *t, struct wm_str s);
void wm_table_print(const struct wm_table *t, const char *indent, struct wm_out *out);

/* A tensor of a list. */
struct wm_listed {
    struct wm_str name;
    enum wm_dtype dtype;
    const int64_t *shape;
    uint32_t rank;
    uint64_t nbytes;
    uint64_t cls; /* only tensors of one class (and dtype and shape) share a line */
};

/* n tensors, given by number; one line for each template: name, shape, dtype, how many, bytes; then what `more` (may be
 * NULL) says of the line's members (their numbers). */
void wm_list_tensors(struct wm_arena *a, struct wm_listed (*at)(void *user, uint32_t k), uint32_t n,
                     struct wm_str (*more)(void *user, const uint32_t *member, uint32_t n),
                     void *user, struct wm_out *out);

#endif
