/* compiler/json_tree.h -- JSON as a tree: configurations and other small files.
 *
 * The nodes are cJSON's.  Its numbers are doubles, so each number keeps its text beside that (in valuestring): what is
 * read comes out again as it was written, and integers of 64 bits are exact. */
#ifndef WM_COMPILER_JSON_TREE_H
#define WM_COMPILER_JSON_TREE_H

#include "compiler/driver.h"

/* The tree of a text, strictly read (runtime/json.h), without duplicate keys; the compilation owns it.  `file` is for
 * messages. */
enum wm_status wm_json_tree(struct wm_cc *cc, const char *file, struct wm_str text, struct cJSON **out,
                            struct wm_err *err);
/* A number with its text, which must be one of JSON; NULL: out of memory. */
struct cJSON *wm_json_number(struct wm_arena *a, struct wm_str text);
/* As text, on one line or indented by tabs; empty: out of memory. */
struct wm_str wm_json_print(struct wm_arena *a, const struct cJSON *j, bool indented);

#endif
