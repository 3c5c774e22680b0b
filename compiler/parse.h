/* compiler/parse.h -- text to tree, and tree to text. */
#ifndef WM_COMPILER_PARSE_H
#define WM_COMPILER_PARSE_H

#include "compiler/ast.h"
#include "compiler/diag.h"

/* Parse source `file` of `ss`.  Never NULL; syntax errors are in ds, several in one run. */
struct wm_file_ast *wm_parse_file(struct wm_arena *a, const struct wm_sources *ss, uint32_t file,
                                  struct wm_diags *ds);
/* Parse a map expression of the command line (`~litgpt/llama >> m(tp = 8)`); NULL after an error.
 */
struct wm_mapx *wm_parse_mapx(struct wm_arena *a, const struct wm_sources *ss, uint32_t file,
                              struct wm_diags *ds);
/* Print a tree as `wmap fmt` does: parses to the same tree, idempotent, comments kept. */
void wm_print_file(const struct wm_file_ast *f, struct wm_buf *out);
/* The tree itself, a node a line (`wmap dump --stage=ast`): without places, comments and spelling,
 * so that two texts with the same dump are the same map. */
void wm_dump_ast(const struct wm_file_ast *f, struct wm_buf *out);
/* Pieces, for messages. */
void wm_print_expr(const struct wm_expr *e, struct wm_buf *out);
void wm_print_pattern(const struct wm_pattern *p, struct wm_buf *out);
void wm_print_rule(const struct wm_rule_ast *r, struct wm_buf *out);

#endif
