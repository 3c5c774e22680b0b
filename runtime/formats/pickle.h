/* runtime/formats/pickle.h -- a pickle machine that builds values and runs nothing.
 *
 * In: the bytes of a pickle, and a closed list of the classes and functions it may name.  Out: a tree (with sharing,
 * and perhaps cycles) of values; a call of a listed function is a value, too, that says what would have been
 * called with what.  The instructions are those that torch's own restricted reader has; everything else is refused
 * by name.  Time is linear in the bytes, memory bounded; nothing recurses. */
#ifndef WM_RUNTIME_FORMATS_PICKLE_H
#define WM_RUNTIME_FORMATS_PICKLE_H

#include "base/arena.h"
#include "base/status.h"

enum { WM_PK_MAX_BYTES = 256 << 20, WM_PK_MAX_MEMORY = 384 << 20 };

enum wm_pk_kind {
    WM_PK_NONE,
    WM_PK_BOOL,   /* i */
    WM_PK_INT,    /* i */
    WM_PK_BIG,    /* an integer of more than 64 bits: s, n bytes of two's complement, little-endian */
    WM_PK_FLOAT,  /* f */
    WM_PK_STR,    /* s, n; not checked to be UTF-8 */
    WM_PK_TUPLE,  /* item, n */
    WM_PK_LIST,   /* item, n */
    WM_PK_DICT,   /* item, n: keys and values in turn, as assigned: a key may be there twice */
    WM_PK_SET,    /* item, n */
    WM_PK_CLASS,  /* a class or function of the list: cls */
    WM_PK_OBJECT, /* cls called: item[0] are its arguments, a tuple; item[1] its state, or NULL */
    WM_PK_REF     /* something outside of the pickle: item[0] is its id */
};

struct wm_pk {
    uint8_t kind;
    bool ordered;  /* a DICT that is an OrderedDict */
    uint8_t user;  /* the user's */
    uint8_t pad;
    uint16_t cls;  /* index in the list */
    uint16_t pad2;
    uint32_t n;
    union {
        int64_t i;
        double f;
        const char *s;
        struct wm_pk **item;
    };
};

/* What a listed name stands for. */
enum wm_pk_role {
    WM_PK_AS_OBJECT,       /* a call makes an OBJECT */
    WM_PK_AS_BUILT,        /* the same, and it may be given a state */
    WM_PK_AS_NAME,         /* not to be called */
    WM_PK_AS_ORDERED_DICT, /* a call makes a DICT of no argument, or of pairs */
    WM_PK_AS_COUNTER,      /* a DICT of no argument, or of a dict */
    WM_PK_AS_SET,          /* a SET of a list */
    WM_PK_AS_TUPLE         /* a TUPLE of a tuple or list */
};

struct wm_pk_class {
    const char *name; /* "collections.OrderedDict" */
    uint16_t role;    /* enum wm_pk_role */
    uint16_t user;
};

struct wm_pk_opts {
    const char *file;      /* for messages */
    const char *part;      /* the same: which pickle of the file ("data.pkl") */
    const struct wm_pk_class *classes;
    uint32_t nclass;
    bool protocol4;        /* the instructions of protocol 4, too */
};

struct wm_pk_result {
    struct wm_pk *value;
    struct wm_pk **ref;    /* all REFs, each once */
    uint32_t nref;
    size_t used;           /* bytes of the pickle */
};

/* One pickle at the start of `bytes`, which the values borrow.  WM_EIO: it goes on behind the end of `bytes`. */
enum wm_status wm_pk_read(struct wm_arena *a, const struct wm_pk_opts *o, struct wm_str bytes,
                          struct wm_pk_result *out, struct wm_err *err);

static inline struct wm_str
wm_pk_str(const struct wm_pk *v)
{
    return (struct wm_str){v->s, v->n};
}

static inline bool
wm_pk_is_str(const struct wm_pk *v, struct wm_str s)
{
    return v->kind == WM_PK_STR && wm_str_eq(wm_pk_str(v), s);
}

/* "dict", "OrderedDict", "int", the name of a class.. */
const char *wm_pk_type_name(const struct wm_pk *v, const struct wm_pk_class *classes);

#endif
