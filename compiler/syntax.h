/* compiler/syntax.h -- what scanner, grammar and tree builders share while one text is parsed.
 *
 * The scanner (grammar/wmap.l) gives tokens, which are spans and nothing else; the token filter
 * (parse_tokens.c) stands between it and the grammar (grammar/wmap.y), whose actions call the
 * builders below.  Builders never return NULL: after a diagnostic they give an error node or the
 * best they can. */
#ifndef WM_COMPILER_SYNTAX_H
#define WM_COMPILER_SYNTAX_H

#include "compiler/ast.h"
#include "compiler/diag.h"

/* What to parse: a file, the inside of a {hole}, a map expression of the command line. */
enum wm_goal { WM_GOAL_FILE, WM_GOAL_HOLE, WM_GOAL_MAPX };

struct wm_token {
    int kind; /* enum wm_yytokentype */
    struct wm_span span;
    bool first; /* nothing but white space stands before it on its line */
};

/* A growing list of nodes, while the parser collects them. */
struct wm_nodes {
    void **item;
    uint32_t n, cap;
};

struct wm_brace {
    uint32_t off;
    bool skipped; /* seen while skipping after an error: the grammar does not know of it */
};

struct wm_syntax {
    struct wm_arena *a;
    const struct wm_sources *sources;
    struct wm_diags *diags;
    uint32_t file;
    enum wm_goal goal;
    uint32_t nesting; /* of the places around this text, for a hole */

    /* scanner */
    void *scanner;
    uint32_t at;    /* offset of the next byte */
    bool new_line;  /* no token yet on this line */
    int last_kind;  /* of the last raw token */
    uint32_t paths; /* open parentheses of a map expression's arguments */
    WM_VEC(struct wm_span) comment;

    /* token filter */
    struct wm_token ahead[4]; /* read, not delivered; the next one first */
    uint32_t nahead;
    struct wm_token last, before; /* delivered: the last, and the one before it */
    bool started;                 /* the goal's token was delivered */
    bool declaring;       /* behind `map NAME` or `param NAME`: a string may be its documentation */
    bool skipping;        /* until the next statement, after an error */
    bool stop;            /* the rest is given up: END from now on, no further errors */
    uint32_t pushed_back; /* offset + 1 of the token at which parsing was resumed last */
    uint32_t parens;
    struct wm_brace brace[WM_DEPTH_MAX + 1];
    uint32_t nbrace;
    bool stray; /* the last closing brace closed nothing */

    /* results */
    struct wm_nodes *stmts; /* of the file, whatever happens to the parser */
    int64_t version;
    struct wm_span version_span;
    struct wm_expr *expr;
    struct wm_mapx *mapx;
    bool failed; /* a diagnostic was reported */
};

/* ---- scanner (grammar/wmap.l) ---- */

/* Scan [off, off + len) of the source; the scanner's memory is the arena's. */
void wm_scan_begin(struct wm_syntax *ps, uint32_t off, uint32_t len);
int wm_scan(struct wm_syntax *ps, struct wm_span *span);
/* Keyword with this text, or the token of a name. */
int wm_token_of_word(const char *p, size_t n);
/* Spelling of a token, or what kind of token it is. */
const char *wm_token_text(int kind);
/* A keyword by position: may be a name, too. */
bool wm_token_is_soft(int kind);

/* ---- running a parser (parse.c) ---- */

void wm_syntax_init(struct wm_syntax *ps, struct wm_arena *a, const struct wm_sources *ss,
                    uint32_t file, struct wm_diags *ds, enum wm_goal goal);
void wm_syntax_run(struct wm_syntax *ps, uint32_t off, uint32_t len);
/* Report and remember that the text is wrong. */
struct wm_diag *wm_syntax_error(struct wm_syntax *ps, enum wm_code code, struct wm_span span,
                                const char *fmt, ...) __attribute__((format(printf, 4, 5)));
struct wm_str wm_syntax_text(const struct wm_syntax *ps, struct wm_span span);
/* The grammar met ps->last where it expected one of want[]: report it and prepare to go on behind
 * it. */
void wm_syntax_unexpected(struct wm_syntax *ps, const int *want, int nwant);
/* Choose where to go on; at_word: at the token before the last. */
void wm_syntax_recover(struct wm_syntax *ps, bool at_word);
void wm_syntax_too_deep(struct wm_syntax *ps, struct wm_span span);

/* ---- strings and key templates (parse_string.c) ---- */

/* Value of a string token, escapes resolved. */
struct wm_str wm_string_value(struct wm_syntax *ps, struct wm_span span);
struct wm_template *wm_make_key(struct wm_syntax *ps, struct wm_span span);
/* A template without holes: a file name, a glob. */
struct wm_template *wm_make_literal(struct wm_syntax *ps, struct wm_span span);

/* ---- builders (ast_build*.c) ---- */

struct wm_nodes *wm_nodes_new(struct wm_syntax *ps);
struct wm_nodes *wm_nodes_add(struct wm_syntax *ps, struct wm_nodes *list, void *node);
/* The nodes' contents, side by side. */
void *wm_nodes_values(struct wm_syntax *ps, const struct wm_nodes *list, size_t size, uint32_t *n);

struct wm_str wm_make_name(struct wm_syntax *ps, struct wm_span span);

struct wm_expr *wm_make_int(struct wm_syntax *ps, struct wm_span span);
struct wm_expr *wm_make_float(struct wm_syntax *ps, struct wm_span span);
struct wm_expr *wm_make_string(struct wm_syntax *ps, struct wm_span span);
struct wm_expr *wm_make_atom(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span);
struct wm_expr *wm_make_named(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_str name,
                              struct wm_span span);
struct wm_expr *wm_make_op(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span,
                           struct wm_expr *x, struct wm_expr *y, struct wm_expr *z);
struct wm_expr *wm_make_list(struct wm_syntax *ps, enum wm_expr_kind kind, struct wm_span span,
                             const struct wm_nodes *args);
struct wm_expr *wm_make_field(struct wm_syntax *ps, struct wm_expr *x, struct wm_span name,
                              struct wm_span span);
struct wm_expr *wm_make_call(struct wm_syntax *ps, struct wm_str name, const struct wm_nodes *args,
                             struct wm_span span);
struct wm_expr *wm_make_parens(struct wm_expr *e, struct wm_span span);

struct wm_mapx *wm_make_mapx(struct wm_syntax *ps, enum wm_mapx_kind kind, struct wm_span span,
                             struct wm_mapx *x, struct wm_mapx *y, const struct wm_nodes *bind);
struct wm_mapx *wm_make_mapx_name(struct wm_syntax *ps, struct wm_span span);

/* An item of a pattern between brackets or parentheses; plus: a `+` stands before it. */
struct wm_pat_item {
    struct wm_pat *pat;
    bool plus;
    struct wm_span plus_span;
};

struct wm_pat *wm_make_pat(struct wm_syntax *ps, enum wm_pat_kind kind, struct wm_span span);
struct wm_pat *wm_make_pat_int(struct wm_syntax *ps, struct wm_span span);
struct wm_pat *wm_make_pat_group(struct wm_syntax *ps, const struct wm_nodes *items,
                                 struct wm_span span);
struct wm_pattern *wm_make_pattern(struct wm_syntax *ps, const struct wm_nodes *items,
                                   struct wm_span span);
struct wm_nodes *wm_pat_add(struct wm_syntax *ps, struct wm_nodes *list, struct wm_pat *pat,
                            const struct wm_span *plus);

struct wm_term *wm_make_term(struct wm_syntax *ps, struct wm_template *key, struct wm_pattern *pat,
                             struct wm_span span);
struct wm_opcall *wm_make_opcall(struct wm_syntax *ps, bool lossy, struct wm_span name,
                                 const struct wm_nodes *args, struct wm_span span);
struct wm_binding *wm_make_binding(struct wm_syntax *ps, struct wm_str name, struct wm_expr *e,
                                   struct wm_span span);
struct wm_clause *wm_make_clause(struct wm_syntax *ps, enum wm_clause_kind kind, struct wm_expr *e,
                                 const struct wm_nodes *bind, struct wm_span span);
struct wm_fill *wm_make_fill(struct wm_syntax *ps, struct wm_expr *value, struct wm_span dtype,
                             struct wm_span span);

/* A side of a rule: terms or a fill. */
struct wm_rule_ast *wm_make_rule(struct wm_syntax *ps, struct wm_span arrow);
void wm_rule_side(struct wm_syntax *ps, struct wm_rule_ast *r, int side,
                  const struct wm_nodes *terms, struct wm_fill *fill);
void wm_rule_ops(struct wm_syntax *ps, struct wm_rule_ast *r, const struct wm_nodes *ops,
                 struct wm_span second_arrow);
void wm_rule_clauses(struct wm_syntax *ps, struct wm_rule_ast *r, const struct wm_nodes *clauses);

struct wm_side_item *wm_make_item(struct wm_syntax *ps, enum wm_item_kind kind,
                                  const struct wm_nodes *tmpl, struct wm_span span);
/* Set a slot that may be set once: a clause of `file`, a modifier of a shard line. */
void wm_set_expr(struct wm_syntax *ps, struct wm_expr **slot, struct wm_expr *e,
                 struct wm_span word);
void wm_set_template(struct wm_syntax *ps, struct wm_template **slot, struct wm_template *t,
                     struct wm_span word);
void wm_set_flag(struct wm_syntax *ps, bool *slot, struct wm_span word);
void wm_check_file_item(struct wm_syntax *ps, const struct wm_side_item *it);
/* A field of an object, by path or (tmpl not NULL) by template; and one that stands for many. */
struct wm_expr *wm_make_member(struct wm_syntax *ps, struct wm_span path, struct wm_template *tmpl,
                               struct wm_expr *e, struct wm_span span);
struct wm_expr *wm_make_each(struct wm_syntax *ps, struct wm_str index, struct wm_expr *filter,
                             struct wm_expr *body, struct wm_span span);

struct wm_shard_line *wm_make_line(struct wm_syntax *ps, enum wm_shard_kind kind,
                                   struct wm_template *key, struct wm_expr *e, struct wm_span span);
void wm_line_parts(struct wm_syntax *ps, struct wm_shard_line *l, struct wm_expr *e,
                   const struct wm_nodes *parts, struct wm_span word);
void wm_check_line(struct wm_syntax *ps, const struct wm_shard_line *l);
struct wm_part *wm_make_part(struct wm_syntax *ps, struct wm_expr *size, struct wm_expr *groups, struct wm_expr *width,
                             struct wm_span span);

struct wm_stmt *wm_make_stmt(struct wm_syntax *ps, enum wm_stmt_kind kind, struct wm_span span);
struct wm_stmt *wm_make_named_stmt(struct wm_syntax *ps, enum wm_stmt_kind kind,
                                   struct wm_span name, struct wm_span span);
void wm_stmt_doc(struct wm_syntax *ps, struct wm_stmt *s, struct wm_span doc);
/* Statements of a block; those that can stand at the top only are reported. */
struct wm_stmt **wm_make_body(struct wm_syntax *ps, const struct wm_nodes *list, uint32_t *n);
struct wm_if_arm *wm_make_arm(struct wm_syntax *ps, struct wm_expr *cond,
                              const struct wm_nodes *body, struct wm_span brace,
                              struct wm_span span);

/* ---- comments (ast_comments.c) ---- */

/* Give every comment of the text to the node that it stands before, behind or in. */
void wm_attach_comments(struct wm_syntax *ps, struct wm_file_ast *f);

#endif
