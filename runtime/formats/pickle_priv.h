/* runtime/formats/pickle_priv.h -- the pickle machine's state, between its instructions (pickle.c) and what they work on
 * (pickle_stack.c). */
#ifndef WM_RUNTIME_FORMATS_PICKLE_PRIV_H
#define WM_RUNTIME_FORMATS_PICKLE_PRIV_H

#include "runtime/formats/pickle.h"

struct wm_pk_machine {
    struct wm_arena *a;
    const struct wm_pk_opts *o;
    const unsigned char *p;
    size_t n, at, op; /* op: where the instruction began */
    uint64_t nop;     /* instructions read */
    size_t before;    /* of the arena's memory */
    WM_VEC(struct wm_pk *) stack;
    WM_VEC(uint32_t) mark;
    WM_VEC(struct wm_pk *) memo;
    WM_VEC(struct wm_pk *) ref;
    struct wm_pk *none, *yes, *no, *nil; /* nil: the empty tuple */
    struct wm_pk **class;                /* [nclass], made when named */
    bool done;
    struct wm_err *err;
};

/* Failures: they name file, part and the place of the instruction. */
enum wm_status wm_pk_bad(struct wm_pk_machine *m, const char *what);
enum wm_status wm_pk_bad_type(struct wm_pk_machine *m, const char *what, const struct wm_pk *v);
enum wm_status wm_pk_cut(struct wm_pk_machine *m);
/* The stack. */
enum wm_status wm_pk_push(struct wm_pk_machine *m, struct wm_pk *v);
struct wm_pk *wm_pk_new(struct wm_pk_machine *m, enum wm_pk_kind kind);
/* Are there n values above the topmost mark? */
enum wm_status wm_pk_need(struct wm_pk_machine *m, uint32_t n);
/* The values above the topmost mark, which goes; valid until the next push. */
enum wm_status wm_pk_pop_mark(struct wm_pk_machine *m, struct wm_pk ***item, uint32_t *n);
/* Put into the memo. */
enum wm_status wm_pk_remember(struct wm_pk_machine *m, uint64_t index, struct wm_pk *v);
/* Append to the items of a LIST, DICT, SET or TUPLE made by it. */
enum wm_status wm_pk_append(struct wm_pk_machine *m, struct wm_pk *v, struct wm_pk *const *item, uint32_t n);
struct wm_pk *wm_pk_new_tuple(struct wm_pk_machine *m, struct wm_pk *const *item, uint32_t n);
/* The next n bytes; false: there are less. */
bool wm_pk_take(struct wm_pk_machine *m, size_t n, const unsigned char **p);
/* The next n bytes as an unsigned little-endian number. */
bool wm_pk_number(struct wm_pk_machine *m, unsigned n, uint64_t *out);

static inline struct wm_pk *
wm_pk_pop(struct wm_pk_machine *m)
{
    return m->stack.item[--m->stack.n];
}

static inline struct wm_pk *
wm_pk_top(struct wm_pk_machine *m)
{
    return m->stack.item[m->stack.n - 1];
}

#endif
