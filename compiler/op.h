/* compiler/op.h -- named operations: one row in ops.def, one file in ops/ each.
 *
 * The state of a pipeline is a list of tensors.  An operation is a shape rule (both ways) and an index rule; its inverse
 * moves data by the exchanged boxes of the same index rule, so that there is nothing to keep in step. */
#ifndef WM_COMPILER_OP_H
#define WM_COMPILER_OP_H

#include "compiler/graph.h"
#include "compiler/value.h"

struct wm_shape {
    uint32_t rank;
    int64_t dim[WM_MAX_RANK];
};

enum { WM_OP_MAX_ARGS = 4 };

/* An evaluated argument. */
struct wm_arg {
    struct wm_span span;
    struct wm_value v;
    enum wm_dtype dtype;         /* where the operation takes a dtype */
};

/* A call at bind.  `list` lengths: nin tensors enter, nout leave (in the forward sense). */
struct wm_opx {
    struct wm_graph *g;
    const struct wm_rule *rule;
    const struct wm_opcall *call;
    const struct wm_op *op;
    struct wm_arg arg[WM_OP_MAX_ARGS];
    uint32_t narg;
    uint32_t nin, nout;          /* the known one(s); the other is set by `count` */
    bool failed;                 /* a diagnostic was made */
};

enum wm_op_class {
    WM_OP_VIEW,      /* one tensor in, one out, each on its own; moves elements */
    WM_OP_JOIN,      /* the list to one tensor */
    WM_OP_SPLIT,     /* one tensor to a list */
    WM_OP_ELEMENT    /* elementwise */
};

struct wm_op {
    const char *name;
    enum wm_op_class class;
    uint32_t min_args, max_args;
    const char *signature;       /* "(dim, [sizes])": for messages */

    /* Static check of the call (argument kinds as far as literals tell); reports.  May be NULL. */
    bool (*check)(struct wm_module *m, const struct wm_opcall *call);

    /* SPLIT, going forward: how many pieces the input gives (the sizes' count, the extent of an unstack), or 0:
     * as many as are asked for.  JOIN, going back: how many pieces the joined tensor has.  NULL: as many as asked. */
    uint32_t (*pieces)(struct wm_opx *x, const struct wm_shape *whole);

    /* Forward: shapes of all outputs from those of all inputs (nin, nout set).  Reports and returns false. */
    bool (*shape)(struct wm_opx *x, const struct wm_shape *in, struct wm_shape *out);
    /* Backward: shapes of all inputs from those of all outputs.  NULL: not invertible. */
    bool (*unshape)(struct wm_opx *x, const struct wm_shape *out, struct wm_shape *in);
    /* Boxes that write output j and read the inputs (slot = input number); shapes agree with shape(). */
    bool (*index)(struct wm_opx *x, const struct wm_shape *in, const struct wm_shape *out, uint32_t j,
                  struct wm_imap *map);

    /* ELEMENT: append the steps for one direction; `dtype` is the type so far and becomes the new one. */
    bool (*steps)(struct wm_opx *x, bool back, enum wm_dtype *dtype, struct wm_plan_step *step, uint32_t *nstep);

    /* Can it stand in <->?  NULL: yes.  Otherwise returns why not, with the remedy; NULL where it can. */
    const char *(*why_not_invertible)(const struct wm_opcall *call);
    /* The call that undoes this one, as text of a map; false: report why. */
    bool (*invert)(struct wm_cc *cc, const struct wm_opcall *call, struct wm_opcall *out);
};

#define WM_OP(id) extern const struct wm_op wm_op_##id;
#include "compiler/ops.def"
#undef WM_OP

const struct wm_op *wm_op_find(struct wm_str name);
/* All names, for did-you-mean. */
const struct wm_str *wm_op_names(uint32_t *n);

/* Helpers shared by the operations. */
/* An integer argument; negative counts from the end of `rank` when `is_dim`.  Reports. */
bool wm_arg_int(struct wm_opx *x, uint32_t i, int64_t *out);
bool wm_arg_dim(struct wm_opx *x, uint32_t i, uint32_t rank, uint32_t *out);
/* A list of integers. */
bool wm_arg_ints(struct wm_opx *x, uint32_t i, int64_t *out, uint32_t max, uint32_t *n);
/* Row-major strides of a shape. */
void wm_shape_strides(const struct wm_shape *s, int64_t *stride);
bool wm_shape_numel(const struct wm_shape *s, int64_t *n);
void wm_shape_print(const struct wm_shape *s, struct wm_buf *out); /* [2, 3] */
/* Report a fault of a call: code, message with both quantities; sets x->failed. */
bool wm_op_error(struct wm_opx *x, enum wm_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Bind a pipeline rule's instance (compiler/op.c): from the reading side's shapes to the other side's shapes and
 * maps.  `back`: from right to left.  in[nin] are the reading tensors; out must have room for nout. */
struct wm_pipe_out {
    struct wm_shape shape;
    enum wm_dtype dtype;
    struct wm_imap map;          /* slots number the reading tensors */
};
struct wm_pipe_check {
    struct wm_imap map;
    int64_t nunit;
    bool replica, pad;
};
bool wm_pipe_bind(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
                  const struct wm_rule *r, bool back, const struct wm_shape *in,
                  enum wm_dtype dtype, uint32_t nin, struct wm_pipe_out *out, uint32_t nout,
                  struct wm_pipe_check **check, uint32_t *ncheck);

/* The element operation of a rule's elementwise pipeline for one direction and dtype: an id of the graph's table
 * (0: nothing to do); *dtype becomes the output's. */
bool wm_pipe_elem(struct wm_graph *g, struct wm_benv *be, const struct wm_scope *sc,
                  const struct wm_rule *r, bool back, enum wm_dtype *dtype, uint32_t *elem);

#endif
