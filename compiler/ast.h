/* compiler/ast.h -- the syntax tree of a .wmap file.
 *
 * The parser builds it, the printer (fmt, invert) prints it, the checker reads it.  It mirrors the
 * text: nothing is resolved here.  Every node has its span; where the text was wrong there is an
 * error node, never NULL.  All of it lives in the arena of the compilation.
 *
 * Atoms keep their spelling (`text`), so that the printer gives back 1_000 and 1e4 as written. */
#ifndef WM_COMPILER_AST_H
#define WM_COMPILER_AST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/source.h"

/* Brackets, blocks and expressions nest at most so deep: passes over the tree may recurse. */
#define WM_DEPTH_MAX  256
#define WM_NAME_MAX   255   /* bytes of a name */
#define WM_STRING_MAX 16384 /* bytes of a string as written */

/* Comments stay with the statement (or item, or line) before which they stand.  In lead, inside and
 * tail lists an empty string is an empty line. */
struct wm_comments {
    struct wm_str *lead; /* whole-line comments before it, each with its `#`, no line end */
    uint32_t nlead;
    bool blank_before;     /* an empty line stood before the comments / the statement */
    struct wm_str trail;   /* comment behind it on its last line, or empty */
    struct wm_str open;    /* comment behind its opening brace, on that line, or empty */
    struct wm_str *inside; /* comments between its tokens; the printer puts them before it */
    uint32_t ninside;
};

/* ---- expressions (language: values) ---- */

enum wm_expr_kind {
    WM_EX_ERROR,
    WM_EX_INT,   /* i */
    WM_EX_FLOAT, /* f */
    WM_EX_BOOL,  /* b */
    WM_EX_NULL,
    WM_EX_STRING, /* s: escapes resolved */
    WM_EX_NAME,   /* s */
    WM_EX_CONFIG, /* the word `config` */
    WM_EX_KEYS,   /* the word `keys` of `in keys`; only as the domain of an index */
    WM_EX_FIELD,  /* arg[0] . s */
    WM_EX_ITEM,   /* arg[0] [ arg[1] ] */
    WM_EX_CALL,   /* s ( arg... ); `has(config.x)` and `exists("key")` are calls */
    WM_EX_NEG,    /* - arg[0] */
    WM_EX_NOT,    /* ! arg[0] */
    WM_EX_MUL,
    WM_EX_DIV,
    WM_EX_MOD,
    WM_EX_ADD,
    WM_EX_SUB,
    WM_EX_ELSE,  /* arg[0] ?? arg[1] */
    WM_EX_RANGE, /* arg[0] .. arg[1], end excluded */
    WM_EX_EQ,
    WM_EX_NE,
    WM_EX_LT,
    WM_EX_LE,
    WM_EX_GT,
    WM_EX_GE,
    WM_EX_IN, /* arg[0] in arg[1] */
    WM_EX_AND,
    WM_EX_OR,
    WM_EX_COND, /* arg[0] ? arg[1] : arg[2] */
    WM_EX_LIST,  /* [ arg... ] */
    WM_EX_OBJECT, /* { arg... }: MEMBER and EACH */
    WM_EX_MEMBER, /* s = arg[0], or tmpl = arg[0]; s is a path a.b.c */
    WM_EX_EACH    /* each s [where arg[1]]: arg[0], whose members or items are spread */
};

struct wm_expr {
    enum wm_expr_kind kind;
    struct wm_span span;
    struct wm_str text; /* spelling of an atom as written (numbers, strings with their quotes) */
    struct wm_str s;    /* name, field, string value */
    int64_t i;
    double f;
    bool b;
    bool parens; /* was written in parentheses (the printer decides anew; kept for messages) */
    struct wm_expr **arg;
    uint32_t narg;
    uint32_t depth;           /* 1 more than its deepest argument; at most WM_DEPTH_MAX */
    struct wm_template *tmpl; /* of the string of exists("key"), text("..."), and of MEMBER */
};

/* ---- key templates ---- */

enum wm_hole_kind {
    WM_HO_TEXT,    /* literal bytes, braces and escapes resolved */
    WM_HO_INDEX,   /* {layer} {layer:05} {layer + first}: expr is the whole shifted expression */
    WM_HO_WORDS,   /* {p in gate|up}: name, word[] */
    WM_HO_CAPTURE, /* {rest*}: name */
    WM_HO_ERROR
};

struct wm_hole {
    enum wm_hole_kind kind;
    struct wm_span span;  /* inside the string, of a hole with its braces */
    struct wm_str text;   /* of WM_HO_TEXT */
    struct wm_str name;   /* of index, words, capture: the name that stands first in the hole */
    struct wm_expr *expr; /* of an index hole: NAME, or the shifted expression */
    uint32_t width;       /* {layer:05} -> 5; 0 = no padding */
    struct wm_str *word;  /* [nword] */
    uint32_t nword;
};

struct wm_template {
    struct wm_span span; /* of the string with its quotes */
    struct wm_str text;   /* as written, with its quotes; empty where no text stands for the tree */
    struct wm_hole *part; /* adjacent texts are joined; never two WM_HO_TEXT in a row */
    uint32_t npart;
};

/* ---- patterns ---- */

enum wm_pat_kind {
    WM_PT_AXIS,    /* name */
    WM_PT_ONE,     /* the literal 1 */
    WM_PT_REST,    /* ... (only as a whole dimension) */
    WM_PT_PRODUCT, /* (a b c): item[], outermost first; () is not allowed */
    WM_PT_SUM,     /* (a + b + c): item[], in order */
    WM_PT_ERROR
};

struct wm_pat {
    enum wm_pat_kind kind;
    struct wm_span span;
    struct wm_str name;
    struct wm_pat **item;
    uint32_t nitem;
};

/* [d0 d1 ...]: one wm_pat per dimension.  The parser folds: a dimension `(a b)` is a PRODUCT,
 * `(a + b)` a SUM; a SUM inside a PRODUCT, or a PRODUCT inside a SUM, stands in parentheses. */
struct wm_pattern {
    struct wm_span span;
    struct wm_pat **dim;
    uint32_t ndim;
};

/* ---- rules ---- */

struct wm_term {
    struct wm_span span;
    struct wm_template *key;
    struct wm_pattern *pattern; /* NULL: without a pattern */
};

struct wm_opcall {
    struct wm_span span;
    struct wm_str name;
    struct wm_span name_span;
    bool lossy;           /* `lossy cast(...)` */
    struct wm_expr **arg; /* lists are WM_EX_LIST; dtypes are WM_EX_NAME */
    uint32_t narg;
    bool parens; /* `neg` and `neg()` are both accepted; printed as `neg` */
};

enum wm_clause_kind {
    WM_CL_WHERE,
    WM_CL_WHEN,
    WM_CL_OPTIONAL,
    WM_CL_BROADCAST,
    WM_CL_PICK,
    WM_CL_PAD
};

/* One `name = expr` of where, pick, pad; or one name of broadcast (expr NULL). */
struct wm_binding {
    struct wm_span span;
    struct wm_str name;
    struct wm_expr *expr;
};

struct wm_clause {
    enum wm_clause_kind kind;
    struct wm_span span;
    struct wm_expr *expr;    /* of when; of optional (NULL: plain) */
    struct wm_binding *bind; /* [nbind] of where, broadcast, pick, pad */
    uint32_t nbind;
};

enum wm_arrow { WM_AR_BOTH, WM_AR_FORWARD, WM_AR_BACKWARD };

struct wm_fill {
    struct wm_span span;
    struct wm_expr *value;
    struct wm_str dtype;
    struct wm_span dtype_span;
};

/* terms <-> terms, terms <-> op | op <-> terms, fill V D <-> term.  side[0] is the left one. */
struct wm_rule_ast {
    enum wm_arrow arrow;
    struct wm_span arrow_span;
    struct {
        struct wm_term *term; /* [nterm] */
        uint32_t nterm;
        struct wm_fill *fill; /* instead of terms; NULL otherwise */
    } side[2];
    struct wm_opcall *op; /* [nop], in the order of the text */
    uint32_t nop;
    struct wm_clause *clause; /* [nclause], in the order of the text */
    uint32_t nclause;
};

/* ---- sides ---- */

enum wm_item_kind {
    WM_SI_FORMAT, /* format NAME */
    WM_SI_FILE,   /* file "..." holds "..." as "..." root "..." */
    WM_SI_ALIAS,  /* alias "x" = "y" [when e] */
    WM_SI_IGNORE, /* ignore "x", ... [when e] */
    WM_SI_CARRY,  /* carry "glob", ... */
    WM_SI_EMIT,   /* emit "params.json" EXPR [checked] [when e] */
    WM_SI_LORA,   /* lora "A" [..], "B" [..] into "W" [..] scale e [rounding stepwise] [when e] */
    WM_SI_SCALES  /* scales "S" of "W" blocks e [dequant type] [when e] */
};

struct wm_side_item {
    enum wm_item_kind kind;
    struct wm_span span;
    struct wm_str name; /* of format */
    struct wm_template *
        *tmpl; /* file: 1; alias: 2 (x, y); ignore: n; emit: 1; carry: n (literal); scales: 2 (S, W) */
    uint32_t ntmpl;
    struct wm_template *holds, *as; /* of file; NULL where absent */
    struct wm_expr *root;           /* of file: a WM_EX_STRING, or NULL */
    struct wm_expr *when;           /* NULL: always */
    struct wm_expr *value;          /* of emit */
    bool checked;                   /* of emit: a file that is there when the side is read says the same */
    struct wm_term *term; /* of lora: A, B, W */
    uint32_t nterm;
    struct wm_expr *scale; /* of lora */
    bool stepwise;         /* of lora: rounding stepwise */
    struct wm_expr *blocks, *dequant; /* of scales; dequant: NULL where absent */
    struct wm_comments *comments;
};

/* ---- shard blocks ---- */

struct wm_part { /* an entry of parts [ ... ] */
    struct wm_span span;
    struct wm_expr *size;
    struct wm_expr *groups, *width; /* at most one; NULL */
};

enum wm_shard_kind { WM_SH_SPLIT, WM_SH_AT, WM_SH_REPLICATE };

struct wm_shard_line {
    enum wm_shard_kind kind;
    struct wm_span span;
    struct wm_template *key;
    struct wm_expr *dim;   /* split D */
    struct wm_expr *at;    /* at E */
    struct wm_expr *parts; /* number or name, or NULL; with a list: part[] instead */
    struct wm_part *part;
    uint32_t npart;
    struct wm_expr *groups, *unit;     /* NULL where absent */
    struct wm_expr *size, *pad, *fill; /* size N pad M [fill V] */
    struct wm_expr *when; /* NULL: always */
    struct wm_expr *width; /* of each rank, which it may name; NULL */
    bool uneven;
    struct wm_comments *comments;
};

/* ---- map expressions: ~m, a >> b, m(tp = 8) ---- */

enum wm_mapx_kind { WM_MX_NAME, WM_MX_INVERSE, WM_MX_COMPOSE, WM_MX_CALL };

struct wm_mapx {
    enum wm_mapx_kind kind;
    struct wm_span span;
    struct wm_str name;      /* of NAME: an identifier in a file; on the command line also a path */
    struct wm_mapx *arg[2];  /* INVERSE, CALL: [0]; COMPOSE: both */
    struct wm_binding *bind; /* of CALL */
    uint32_t nbind;
    uint32_t depth; /* as of wm_expr */
};

/* ---- statements ---- */

enum wm_stmt_kind {
    WM_ST_ERROR,
    WM_ST_MAP,    /* map NAME "doc" */
    WM_ST_MAPDEF, /* map NAME = mapx */
    WM_ST_PARAM,  /* param NAME = expr [where expr] "doc" */
    WM_ST_LET,    /* let NAME = expr */
    WM_ST_INDEX,  /* index NAME < expr | in expr | in keys | = (a b) [< ...] [where expr] */
    WM_ST_SIDE,   /* source NAME? { } / target NAME? { } */
    WM_ST_SHARD,  /* shard INDEX on source|target { } */
    WM_ST_RULE,
    WM_ST_OVERRIDE, /* override RULE */
    WM_ST_WITHIN,   /* within A <-> B CLAUSES { } */
    WM_ST_IF,       /* if e { } else ...: a chain of arms */
    WM_ST_IMPORT,   /* import "x.wmap" as NAME */
    WM_ST_USE       /* use NAME */
};

struct wm_if_arm {
    struct wm_span span;
    struct wm_expr *cond; /* NULL: the final else */
    struct wm_stmt **body;
    uint32_t nbody;
    struct wm_span brace; /* its `{` */
    struct wm_str open;   /* comment behind the opening brace */
    struct wm_str *tail;  /* comments before the closing brace */
    uint32_t ntail;
};

struct wm_stmt {
    enum wm_stmt_kind kind;
    struct wm_span span;          /* the whole statement */
    struct wm_comments *comments; /* NULL: none */
    struct wm_str name; /* map, param, let, index, side (may be empty), shard, import, use */
    struct wm_span name_span;
    struct wm_str doc;      /* escapes resolved; empty where absent */
    struct wm_str doc_text; /* as written, with quotes */
    struct wm_expr *expr;   /* param, let: value; index `in`: domain (RANGE, LIST, KEYS, any) */
    struct wm_expr *bound;  /* index `< e` (also the bound of a composite) */
    struct wm_expr *where;  /* filter of an index; what a param must be */
    struct wm_binding *component; /* composite index: names; expr NULL */
    uint32_t ncomponent;
    struct wm_mapx *mapx; /* mapdef */
    int side;             /* side, shard: 0 source (left), 1 target (right) */
    struct wm_side_item *item;
    uint32_t nitem;
    struct wm_shard_line *line;
    uint32_t nline;
    struct wm_rule_ast *rule;      /* rule, override */
    struct wm_template *prefix[2]; /* within */
    struct wm_clause *clause;      /* within */
    uint32_t nclause;
    struct wm_stmt **body; /* within */
    uint32_t nbody;
    struct wm_if_arm *arm; /* if */
    uint32_t narm;
    struct wm_template *path; /* import: a literal template */
    struct wm_span brace;     /* the `{` of side, shard, within */
    struct wm_str *tail;      /* comments before the closing brace of side, shard, within */
    uint32_t ntail;
};

struct wm_file_ast {
    uint32_t source; /* index in wm_sources */
    int64_t version; /* of `wmap 1`; 0 where the header is missing or wrong */
    struct wm_span version_span;
    struct wm_comments *comments; /* before `wmap 1` */
    struct wm_stmt **stmt;
    uint32_t nstmt;
    struct wm_str *tail; /* comments at the end of the file */
    uint32_t ntail;
    bool ok; /* no syntax error was reported */
};

#endif
