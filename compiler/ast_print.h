/* compiler/ast_print.h -- between the files of the printer: pieces of a map as text. */
#ifndef WM_COMPILER_AST_PRINT_H
#define WM_COMPILER_AST_PRINT_H

#include "compiler/parse.h"

enum { WM_LINE_MAX = 100 };

/* A text on one line, cut where it may be broken: "a", "b", "c" is `a b c`, or a line each. */
typedef WM_VEC(struct wm_str) wm_pieces;

/* Columns that a text takes, counted in characters. */
uint32_t wm_print_width(struct wm_str s);

/* With the escapes of strings, without the quotes; of a key, braces are doubled. */
void wm_print_quoted(struct wm_str s, bool key, struct wm_buf *out);
void wm_print_template(const struct wm_template *t, struct wm_buf *out); /* a key */
void wm_print_literal(const struct wm_template *t, struct wm_buf *out);
void wm_print_head(const struct wm_expr *e, struct wm_buf *out);
void wm_print_mapx(const struct wm_mapx *m, struct wm_buf *out);
void wm_print_clause(const struct wm_clause *c, struct wm_buf *out);
void wm_print_op(const struct wm_opcall *o, struct wm_buf *out);
void wm_print_fill(const struct wm_fill *f, struct wm_buf *out);
void wm_print_term(const struct wm_term *t, struct wm_buf *out);
const char *wm_print_arrow(enum wm_arrow arrow);

/* One line of an aligned block: key [pattern] <-> key [pattern]  clauses, or name = value: cells
 * may be empty. */
struct wm_row {
    struct wm_str cell[5]; /* left, its pattern, arrow (or what stands there) and right, its
                              pattern, clauses */
    struct wm_str below;   /* further lines, each begun by a line end, or empty */
    struct wm_str trail;   /* comment; behind the last line */
};

void wm_row_of_rule(struct wm_arena *a, const struct wm_rule_ast *r, bool override,
                    struct wm_row *row);
/* Columns of a row that is not aligned with others, without its comment. */
uint32_t wm_row_width(const struct wm_row *row);
/* How many of the rows can be aligned with the first one and fit in the line. */
uint32_t wm_rows_together(const struct wm_row *row, uint32_t n, uint32_t indent);
void wm_print_rows(const struct wm_row *row, uint32_t n, uint32_t indent, struct wm_buf *out);

/* Clauses that do not fit behind their rule go below it; false where the rule without them does not
 * fit either. */
bool wm_row_fit(struct wm_arena *a, const struct wm_rule_ast *r, uint32_t indent,
                struct wm_row *row);
/* A rule on several lines, without the last line end. */
void wm_print_rule_broken(const struct wm_rule_ast *r, bool override, uint32_t indent,
                          struct wm_buf *out);
/* Clauses on lines of their own. */
void wm_print_clauses_broken(const struct wm_clause *c, uint32_t n, uint32_t indent,
                             struct wm_buf *out);

/* An item of a side or a line of a shard block, in pieces: the first is its key or keyword. */
void wm_pieces_of_item(struct wm_arena *a, const struct wm_side_item *it, wm_pieces *out);
void wm_pieces_of_line(struct wm_arena *a, const struct wm_shard_line *l, wm_pieces *out);

#endif
