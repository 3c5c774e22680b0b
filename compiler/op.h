/* compiler/op.h -- named operations: one row in ops.def, one file in ops/ each.
 *
 * The state of a pipeline is a list of tensors.  An operation is a shape rule (both ways) and an
 * index rule.  Going back needs no second index rule: the boxes of the first one are exchanged, so
 * that there is nothing to keep in step. An operation that undoes another one is its `mirror`:
 * chunk is concat, exchanged.
 *
 * Which way data goes: a `->` rule applies its operations from left to right, a `<-` rule from
 * right to left, both as they are named.  A `<->` rule read from the left applies them from left to
 * right; read from the right, it undoes them from right to left. */
#ifndef WM_COMPILER_OP_H
#define WM_COMPILER_OP_H

#include "compiler/graph.h"
#include "compiler/value.h"
#include "runtime/manifest.h"

struct wm_shape {
    uint32_t rank;
    int64_t dim[WM_MAX_RANK];
};

enum wm_argkind {
    WM_ARG_DIM, /* an integer; negative ones count from the end */
    WM_ARG_INT,
    WM_ARG_INTS,   /* a list of integers */
    WM_ARG_PARTS,  /* a list of sizes, or a number of parts */
    WM_ARG_NUMBER, /* an integer or a float */
    WM_ARG_DTYPE   /* the name of a data type */
};

/* An evaluated argument. */
struct wm_arg {
    struct wm_span span;
    struct wm_value v;   /* but of a data type */
    enum wm_dtype dtype; /* WM_ARG_DTYPE */
};

/* A call at bind. */
struct wm_opx {
    struct wm_graph *g;
    const struct wm_opcall *call;
    const struct wm_op *op; /* whose rules count: the mirror's, where the named one has one */
    struct wm_arg *arg;     /* [narg] */
    uint32_t narg;
    bool undo;           /* data goes against op's rules */
    bool both;           /* of a `<->` rule */
    uint32_t nin;        /* tensors that enter, in the sense of op's rules */
    enum wm_dtype dtype; /* of the tensors that it moves */
};

enum wm_op_class {
    WM_OP_VIEW,   /* one tensor in, one out; of a list, each on its own */
    WM_OP_JOIN,   /* the list to one tensor; undone, one tensor to a list */
    WM_OP_ELEMENT /* elementwise, each tensor on its own */
};

struct wm_op {
    const char *name;
    const char *signature; /* "dim, [sizes]": for messages */
    const char *doc;       /* one line: what it does, in torch's words */
    enum wm_op_class class;
    uint32_t min_args, max_args;
    enum wm_argkind arg[4];     /* kinds; the last one counts for all that follow */
    const struct wm_op *mirror; /* this is that one undone: no rules of its own */

    /* Further check of a call without its values; reports.  NULL: none. */
    bool (*check)(struct wm_cc *cc, const struct wm_opcall *call);
    /* Why it can't stand in a `<->` rule as written, with the remedy; NULL where it can.  NULL: it
     * always can. */
    const char *(*one_way)(const struct wm_opcall *call);
    /* Does undoing it lose something, so that `<->` needs the word `lossy`?  NULL: never. */
    bool (*loses)(const struct wm_opcall *call);

    /* Look at the arguments as a whole, once; may turn x->undo around.  NULL: nothing to do. */
    bool (*prepare)(struct wm_opx *x);
    /* Shapes behind it from those before it, and back; in[x->nin], one out.  Report and return
     * false. unshape NULL: it can't be undone. */
    bool (*shape)(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out);
    bool (*unshape)(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in);
    /* JOIN undone: how many pieces there are, or 0: as many as the rule has tensors. */
    bool (*pieces)(struct wm_opx *x, const struct wm_shape *out, int64_t *n);
    /* Boxes that write `out` and read in[slot].  NULL: the elements stay in row-major order. */
    bool (*index)(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out,
                  struct wm_imap *map); /* reports */

    /* ELEMENT: the step for data of type `dtype` (undo: for data that comes out with it); *has: is
     * there one? Always in the forward sense; wm_step_invert() turns it around. */
    bool (*step)(struct wm_opx *x, enum wm_dtype dtype, struct wm_plan_step *step, bool *has);

    /* The call that undoes this one, as text of a map.  NULL: `inverse` with the same arguments. */
    const char *inverse;
    bool (*invert)(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out);
};

#define WM_OP(id) extern const struct wm_op wm_op_##id;
#include "compiler/ops.def"
#undef WM_OP

const struct wm_op *wm_op_find(struct wm_str name);
/* All of them, in the order of the table. */
const struct wm_op *const *wm_op_table(uint32_t *n);
/* Does every operation of the rule work element by element (so that patterns may stand beside it)?
 */
bool wm_ops_elementwise(const struct wm_rule_ast *r);

/* The call that undoes `call`, as text: *out is complete, its nodes live in the arena.  Turning a
 * `<->` rule around is the list of these in reverse order; that of a one-way rule is the calls
 * themselves in reverse order. False: reported. */
bool wm_opcall_invert(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out);

/* The data type that an argument names as it is written, or WM_DT_N: a name of a text that the configuration or a
 * parameter gives. */
enum wm_dtype wm_dtype_written(const struct wm_expr *e);
/* The same with its value; WM_DT_N: reported. */
enum wm_dtype wm_dtype_value(struct wm_benv *be, struct wm_menv *me, const struct wm_scope *sc,
                             const struct wm_expr *e);

/* ---- for the operations ---- */

/* Arguments.  They report what is wrong and return false. */
bool wm_arg_int(struct wm_opx *x, uint32_t i, int64_t *out);
bool wm_arg_number(struct wm_opx *x, uint32_t i, double *out);
/* A dimension of a tensor of that rank; negative ones count from the end. */
bool wm_arg_dim(struct wm_opx *x, uint32_t i, uint32_t rank, uint32_t *out);
/* A list of sizes >= 0 in the arena.  `hole` not NULL: one entry may be -1, and *hole is its number
 * (WM_NONE: none). */
bool wm_arg_sizes(struct wm_opx *x, uint32_t i, const int64_t **out, uint32_t *n, uint32_t *hole);
bool wm_arg_list(struct wm_opx *x, uint32_t i);          /* a list at all */
bool wm_arg_is_list(const struct wm_opx *x, uint32_t i); /* does not report */
/* Report a fault of a call, "NAME: ..."; returns false. */
bool wm_op_error(struct wm_opx *x, enum wm_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, with a note behind it. */
void wm_op_note(struct wm_opx *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Shapes. */
void wm_shape_strides(const struct wm_shape *s, int64_t *stride); /* row-major, in elements */
bool wm_shape_numel(const struct wm_shape *s, int64_t *n);
struct wm_str wm_shape_text(struct wm_arena *a, const struct wm_shape *s); /* [2, 3] */
/* Put n dims in the place of `count` dims from `at`. */
bool wm_shape_splice(struct wm_opx *x, const struct wm_shape *in, uint32_t at, uint32_t count,
                     const int64_t *dim, uint32_t n, struct wm_shape *out);
/* Product of sizes with the hole solved so that it is `total`; reports.  out[n]. */
bool wm_sizes_solve(struct wm_opx *x, const int64_t *size, uint32_t n, uint32_t hole, int64_t total,
                    int64_t *out);

/* Shapes and boxes of repeat (outer) and repeat_interleave: arguments dim, n. */
bool wm_copies_shape(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out);
bool wm_copies_unshape(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in);
bool wm_copies_boxes(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, bool outer,
                     struct wm_imap *map);
/* One box: it writes extent[rank] with strides dst from dst_base, and reads `slot`. */
void wm_index_box(struct wm_imap *map, uint32_t slot, uint32_t rank, const int64_t *extent,
                  int64_t dst_base, const int64_t *dst, int64_t src_base, const int64_t *src);

/* One arithmetic step on a float type; reports other types. */
bool wm_op_arithmetic(struct wm_opx *x, enum wm_dtype dtype, enum wm_step_kind kind, double value,
                      struct wm_plan_step *step, bool *has);
/* For `loses`: always. */
bool wm_op_loses(const struct wm_opcall *call);

/* Texts: nodes for inverse calls.  `like` gives the span. */
struct wm_expr *wm_text_int(struct wm_arena *a, const struct wm_expr *like, int64_t i);
struct wm_expr *wm_text_float(struct wm_arena *a, const struct wm_expr *like, double f);
struct wm_expr *wm_text_op(struct wm_arena *a, enum wm_expr_kind kind, struct wm_expr *l,
                           struct wm_expr *r);
bool wm_text_literal(const struct wm_expr *e,
                     int64_t *i); /* an integer literal, perhaps with a minus */
/* An argument with its list, if it is written as one: its length; else WM_NONE. */
uint32_t wm_text_list(const struct wm_expr *e);
/* Arguments of an inverse call. */
struct wm_expr **wm_text_args(struct wm_arena *a, uint32_t n, struct wm_expr *x, struct wm_expr *y,
                              struct wm_expr *z);
bool wm_text_fail(struct wm_cc *cc, const struct wm_opcall *call, const char *why);

/* ---- pipelines at bind ---- */

/* What a pipeline gives for one tensor of the other side. */
struct wm_pipe_out {
    struct wm_shape shape;
    enum wm_dtype dtype;
    struct wm_imap map; /* slots number the reading tensors */
};
struct wm_pipe_check {
    struct wm_imap map; /* slots as above; boxes compare (EQUAL) or look for padding (IS_FILL) */
    int64_t nunit;
    bool replica, pad;
};

/* Bind a pipeline rule's instance: from the reading side's shapes to the other side's shapes and
 * maps.  `back`: the reading side is the right one.  in[nin] are the reading tensors, all of type
 * `dtype`; out[nout] is filled, its maps and the checks live in the graph's arena.  False:
 * reported. */
bool wm_pipe_bind(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
                  const struct wm_rule *r, bool back, const struct wm_shape *in,
                  enum wm_dtype dtype, uint32_t nin, struct wm_pipe_out *out, uint32_t nout,
                  struct wm_pipe_check **check, uint32_t *ncheck);

/* How many tensors such a pipeline gives; 0: as many as are asked for (for an `in keys` index on
 * the writing side, whose values only the pipeline knows).  False: reported. */
bool wm_pipe_count(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
                   const struct wm_rule *r, bool back, const struct wm_shape *in,
                   enum wm_dtype dtype, uint32_t nin, int64_t *nout);

/* The element operation of a rule's elementwise pipeline for one direction and dtype: an id of the
 * graph's table (0: nothing to do); *dtype becomes the output's. */
bool wm_pipe_elem(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
                  const struct wm_rule *r, bool back, enum wm_dtype *dtype, uint32_t *elem);

#endif
