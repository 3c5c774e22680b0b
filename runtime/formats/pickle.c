/* runtime/formats/pickle.c -- the machine: one function for each kind of instruction, and the loop.
 *
 * In: bytes.  Out: values in the arena.  A value is what an instruction made, never more than its bytes can have
 * meant: the whole stays within WM_PK_MAX_MEMORY. */
#include "runtime/formats/pickle_priv.h"

#include <inttypes.h>
#include <string.h>

typedef enum wm_status op_fn(struct wm_pk_machine *m, unsigned code);

/* ---- instructions ---- */

static enum wm_status
op_proto(struct wm_pk_machine *m, unsigned code)
{
    uint64_t v = 0;

    (void)code;
    if (!wm_pk_number(m, 1, &v))
        return wm_pk_cut(m);
    return v <= 5 ? WM_OK : wm_pk_bad(m, "a pickle protocol above 5");
}

static enum wm_status
op_stop(struct wm_pk_machine *m, unsigned code)
{
    (void)code;
    if (m->mark.n || m->stack.n != 1)
        return wm_pk_bad(m, "does not end with exactly one value");
    m->done = true;
    return WM_OK;
}

static enum wm_status
op_mark(struct wm_pk_machine *m, unsigned code)
{
    (void)code;
    *WM_PUSH(m->a, &m->mark) = m->stack.n;
    return WM_OK;
}

static enum wm_status
push_class(struct wm_pk_machine *m, struct wm_str module, struct wm_str name)
{
    /* Python 2 called it otherwise. */
    if (wm_str_eq(module, WM_STR("__builtin__")))
        module = WM_STR("builtins");
    for (uint32_t k = 0; k < m->o->nclass; k++) {
        struct wm_str s = wm_str_c(m->o->classes[k].name);

        if (s.n != module.n + 1 + name.n || !wm_str_starts(s, module) || s.p[module.n] != '.' ||
            memcmp(s.p + module.n + 1, name.p, name.n) != 0)
            continue;
        if (!m->class[k]) {
            m->class[k] = wm_pk_new(m, WM_PK_CLASS);
            m->class[k]->cls = (uint16_t)k;
        }
        return wm_pk_push(m, m->class[k]);
    }
    return wm_fail(m->err, WM_EFORMAT, m->o->file,
                   "%s: byte %zu: refers to \"%.*s.%.*s\", which is none of what a checkpoint is made of; nothing was run",
                   m->o->part, m->op, WM_STR_ARG(module), WM_STR_ARG(name));
}

static bool
line(struct wm_pk_machine *m, struct wm_str *out)
{
    const unsigned char *end = memchr(m->p + m->at, '\n', m->n - m->at);

    if (!end)
        return false;
    *out = (struct wm_str){(const char *)m->p + m->at, (size_t)(end - m->p) - m->at};
    m->at += out->n + 1;
    return true;
}

static enum wm_status
op_global(struct wm_pk_machine *m, unsigned code)
{
    struct wm_str module, name;

    (void)code;
    if (!line(m, &module) || !line(m, &name))
        return wm_pk_cut(m);
    return push_class(m, module, name);
}

static enum wm_status
op_stack_global(struct wm_pk_machine *m, unsigned code)
{
    struct wm_pk *module, *name;
    enum wm_status st = wm_pk_need(m, 2);

    (void)code;
    if (st != WM_OK)
        return st;
    name = wm_pk_pop(m);
    module = wm_pk_pop(m);
    if (module->kind != WM_PK_STR || name->kind != WM_PK_STR)
        return wm_pk_bad(m, "names a class by something else than strings");
    return push_class(m, wm_pk_str(module), wm_pk_str(name));
}

/* OrderedDict(pairs), as Python 2 pickled them. */
static enum wm_status
add_pairs(struct wm_pk_machine *m, struct wm_pk *dict, const struct wm_pk *list)
{
    enum wm_status st = WM_OK;

    if (list->kind != WM_PK_LIST && list->kind != WM_PK_TUPLE)
        return wm_pk_bad_type(m, "makes a dict of", list);
    for (uint32_t k = 0; st == WM_OK && k < list->n; k++) {
        const struct wm_pk *pair = list->item[k];

        if ((pair->kind != WM_PK_LIST && pair->kind != WM_PK_TUPLE) || pair->n != 2)
            return wm_pk_bad(m, "makes a dict of something else than pairs");
        st = wm_pk_append(m, dict, pair->item, 2);
    }
    return st;
}

/* A call of one of the containers: they are values of their own. */
static enum wm_status
make_container(struct wm_pk_machine *m, unsigned role, const struct wm_pk *args, struct wm_pk **out)
{
    const struct wm_pk *arg = args->n ? args->item[0] : NULL;
    bool sequence = arg && (arg->kind == WM_PK_LIST || arg->kind == WM_PK_TUPLE);

    if (args->n > 1)
        return wm_pk_bad(m, "more than one argument for a container");
    *out = wm_pk_new(m, role == WM_PK_AS_SET ? WM_PK_SET : role == WM_PK_AS_TUPLE ? WM_PK_TUPLE : WM_PK_DICT);
    (*out)->ordered = role == WM_PK_AS_ORDERED_DICT;
    if (!arg)
        return WM_OK;
    if (role == WM_PK_AS_ORDERED_DICT)
        return add_pairs(m, *out, arg);
    if (role == WM_PK_AS_COUNTER ? arg->kind != WM_PK_DICT : !sequence)
        return wm_pk_bad_type(m, "makes a container of", arg);
    return wm_pk_append(m, *out, arg->item, arg->n);
}

static enum wm_status
op_call(struct wm_pk_machine *m, unsigned code)
{
    struct wm_pk *args, *f, *v = NULL;
    unsigned role;
    enum wm_status st = wm_pk_need(m, 2);

    (void)code;
    if (st != WM_OK)
        return st;
    args = wm_pk_pop(m);
    f = wm_pk_pop(m);
    if (f->kind != WM_PK_CLASS)
        return wm_pk_bad_type(m, "calls", f);
    if (args->kind != WM_PK_TUPLE)
        return wm_pk_bad_type(m, "takes as arguments", args);
    role = m->o->classes[f->cls].role;
    if (role == WM_PK_AS_NAME)
        return wm_fail(m->err, WM_EFORMAT, m->o->file, "%s: byte %zu: calls %s, which is no function", m->o->part,
                       m->op, m->o->classes[f->cls].name);
    if (role != WM_PK_AS_OBJECT && role != WM_PK_AS_BUILT) {
        st = make_container(m, role, args, &v);
        return st == WM_OK ? wm_pk_push(m, v) : st;
    }
    v = wm_pk_new(m, WM_PK_OBJECT);
    v->cls = f->cls;
    v->item = WM_NEW_N(m->a, struct wm_pk *, 2);
    v->item[0] = args;
    v->n = 2;
    return wm_pk_push(m, v);
}

/* An OrderedDict's state are attributes of it ("_metadata"): no content. */
static enum wm_status
op_build(struct wm_pk_machine *m, unsigned code)
{
    struct wm_pk *state, *v;
    enum wm_status st = wm_pk_need(m, 2);

    (void)code;
    if (st != WM_OK)
        return st;
    state = wm_pk_pop(m);
    v = wm_pk_top(m);
    if (v->kind == WM_PK_DICT && v->ordered)
        return WM_OK;
    if (v->kind != WM_PK_OBJECT || m->o->classes[v->cls].role != WM_PK_AS_BUILT)
        return wm_pk_bad_type(m, "gives a state to", v);
    v->item[1] = state;
    return WM_OK;
}

static enum wm_status
op_ref(struct wm_pk_machine *m, unsigned code)
{
    struct wm_pk *v;
    enum wm_status st = wm_pk_need(m, 1);

    (void)code;
    if (st != WM_OK)
        return st;
    v = wm_pk_new(m, WM_PK_REF);
    v->item = WM_NEW_N(m->a, struct wm_pk *, 1);
    v->item[0] = wm_pk_pop(m);
    v->n = 1;
    *WM_PUSH(m->a, &m->ref) = v;
    return wm_pk_push(m, v);
}

static enum wm_status
op_constant(struct wm_pk_machine *m, unsigned code)
{
    return wm_pk_push(m, code == 'N' ? m->none : code == 0x88 ? m->yes : code == 0x89 ? m->no : m->nil);
}

static enum wm_status
op_empty(struct wm_pk_machine *m, unsigned code)
{
    return wm_pk_push(m, wm_pk_new(m, code == ']' ? WM_PK_LIST : code == '}' ? WM_PK_DICT : WM_PK_SET));
}

static enum wm_status
op_tuple(struct wm_pk_machine *m, unsigned code)
{
    struct wm_pk **item = NULL;
    uint32_t n = 0;
    enum wm_status st = wm_pk_pop_mark(m, &item, &n);

    (void)code;
    return st == WM_OK ? wm_pk_push(m, wm_pk_new_tuple(m, item, n)) : st;
}

static enum wm_status
op_tuple_n(struct wm_pk_machine *m, unsigned code)
{
    uint32_t n = code - 0x84;
    enum wm_status st = wm_pk_need(m, n);
    struct wm_pk *v;

    if (st != WM_OK)
        return st;
    v = wm_pk_new_tuple(m, m->stack.item + m->stack.n - n, n);
    m->stack.n -= n;
    return wm_pk_push(m, v);
}

/* The n values above a container go into it. */
static enum wm_status
fill(struct wm_pk_machine *m, enum wm_pk_kind kind, struct wm_pk *const *item, uint32_t n)
{
    enum wm_status st = wm_pk_need(m, 1);

    if (st != WM_OK)
        return st;
    if (wm_pk_top(m)->kind != kind)
        return wm_pk_bad_type(m, kind == WM_PK_DICT ? "sets an item of" : "appends to", wm_pk_top(m));
    if (kind == WM_PK_DICT && n % 2)
        return wm_pk_bad(m, "a key without a value");
    return wm_pk_append(m, wm_pk_top(m), item, n);
}

static enum wm_status
op_append(struct wm_pk_machine *m, unsigned code)
{
    enum wm_status st = wm_pk_need(m, 2);
    struct wm_pk *v;

    (void)code;
    if (st != WM_OK)
        return st;
    v = wm_pk_pop(m);
    return fill(m, WM_PK_LIST, &v, 1);
}

static enum wm_status
op_setitem(struct wm_pk_machine *m, unsigned code)
{
    enum wm_status st = wm_pk_need(m, 3);
    struct wm_pk *pair[2];

    (void)code;
    if (st != WM_OK)
        return st;
    pair[1] = wm_pk_pop(m);
    pair[0] = wm_pk_pop(m);
    return fill(m, WM_PK_DICT, pair, 2);
}

static enum wm_status
fill_marked(struct wm_pk_machine *m, enum wm_pk_kind kind)
{
    struct wm_pk **item = NULL;
    uint32_t n = 0;
    enum wm_status st = wm_pk_pop_mark(m, &item, &n);

    return st == WM_OK ? fill(m, kind, item, n) : st;
}

static enum wm_status
op_appends(struct wm_pk_machine *m, unsigned code)
{
    (void)code;
    return fill_marked(m, WM_PK_LIST);
}

static enum wm_status
op_setitems(struct wm_pk_machine *m, unsigned code)
{
    (void)code;
    return fill_marked(m, WM_PK_DICT);
}

static enum wm_status
op_additems(struct wm_pk_machine *m, unsigned code)
{
    (void)code;
    return fill_marked(m, WM_PK_SET);
}

static enum wm_status
push_int(struct wm_pk_machine *m, int64_t i)
{
    struct wm_pk *v = wm_pk_new(m, WM_PK_INT);

    v->i = i;
    return wm_pk_push(m, v);
}

static enum wm_status
op_int(struct wm_pk_machine *m, unsigned code)
{
    uint64_t v = 0;

    if (!wm_pk_number(m, code == 'J' ? 4 : code == 'M' ? 2 : 1, &v))
        return wm_pk_cut(m);
    return push_int(m, code == 'J' ? (int32_t)(uint32_t)v : (int64_t)v);
}

static enum wm_status
op_long(struct wm_pk_machine *m, unsigned code)
{
    const unsigned char *p = NULL;
    struct wm_pk *v;
    uint64_t n = 0, i;

    (void)code;
    if (!wm_pk_number(m, 1, &n) || !wm_pk_take(m, (size_t)n, &p))
        return wm_pk_cut(m);
    if (n <= 8) {
        i = n && p[n - 1] & 0x80 ? UINT64_MAX : 0;
        for (uint64_t k = n; k-- > 0;)
            i = i << 8 | p[k];
        return push_int(m, (int64_t)i);
    }
    v = wm_pk_new(m, WM_PK_BIG);
    v->s = (const char *)p;
    v->n = (uint32_t)n;
    return wm_pk_push(m, v);
}

static enum wm_status
op_float(struct wm_pk_machine *m, unsigned code)
{
    struct wm_pk *v = wm_pk_new(m, WM_PK_FLOAT);
    const unsigned char *p = NULL;
    uint64_t bits = 0;

    (void)code;
    if (!wm_pk_take(m, 8, &p))
        return wm_pk_cut(m);
    for (int k = 0; k < 8; k++)
        bits = bits << 8 | p[k];
    memcpy(&v->f, &bits, sizeof(v->f));
    return wm_pk_push(m, v);
}

static enum wm_status
op_string(struct wm_pk_machine *m, unsigned code)
{
    const unsigned char *p = NULL;
    struct wm_pk *v;
    uint64_t n = 0;

    if (!wm_pk_number(m, code == 'X' ? 4 : 1, &n) || !wm_pk_take(m, (size_t)n, &p))
        return wm_pk_cut(m);
    v = wm_pk_new(m, WM_PK_STR);
    v->s = (const char *)p;
    v->n = (uint32_t)n;
    return wm_pk_push(m, v);
}

static enum wm_status
op_get(struct wm_pk_machine *m, unsigned code)
{
    uint64_t k = 0;

    if (!wm_pk_number(m, code == 'h' ? 1 : 4, &k))
        return wm_pk_cut(m);
    if (k >= m->memo.n || !m->memo.item[k])
        return wm_fail(m->err, WM_EFORMAT, m->o->file, "%s: byte %zu: nothing was put at %" PRIu64 " of the memo",
                       m->o->part, m->op, k);
    return wm_pk_push(m, m->memo.item[k]);
}

static enum wm_status
op_put(struct wm_pk_machine *m, unsigned code)
{
    uint64_t k = 0;
    enum wm_status st;

    if (!wm_pk_number(m, code == 'q' ? 1 : 4, &k))
        return wm_pk_cut(m);
    st = wm_pk_need(m, 1);
    return st == WM_OK ? wm_pk_remember(m, k, wm_pk_top(m)) : st;
}

static enum wm_status
op_memoize(struct wm_pk_machine *m, unsigned code)
{
    enum wm_status st = wm_pk_need(m, 1);

    (void)code;
    return st == WM_OK ? wm_pk_remember(m, m->memo.n, wm_pk_top(m)) : st;
}

/* Frames are for readers that fetch ahead. */
static enum wm_status
op_frame(struct wm_pk_machine *m, unsigned code)
{
    uint64_t n = 0;

    (void)code;
    if (!wm_pk_number(m, 8, &n))
        return wm_pk_cut(m);
    return WM_OK;
}

/* ---- the loop ---- */

struct op {
    const char *name;
    op_fn *run;
    unsigned protocol;
};

static const struct op ops[256] = {
#define WM_PICKLE_OP(name, code, protocol, function) [code] = {#name, function, protocol},
#include "runtime/formats/pickle.def"
#undef WM_PICKLE_OP
};

static enum wm_status
step(struct wm_pk_machine *m)
{
    const struct op *op;
    unsigned code;

    m->op = m->at;
    if (m->at == m->n)
        return wm_pk_cut(m);
    code = m->p[m->at++];
    op = &ops[code];
    m->nop++;
    if (!op->name)
        return wm_fail(m->err, WM_EFORMAT, m->o->file, "%s: byte %zu: 0x%02x is no instruction of a pickle", m->o->part,
                       m->op, code);
    if (!op->run || (op->protocol > 2 && !m->o->protocol4))
        return wm_fail(m->err, WM_EFORMAT, m->o->file,
                       "%s: byte %zu: the instruction %s, which restricted readers of checkpoints don't have",
                       m->o->part, m->op, op->name);
    if (m->a->total - m->before > WM_PK_MAX_MEMORY)
        return wm_fail(m->err, WM_ELIMIT, m->o->file, "%s: byte %zu: its values need more than %d MiB", m->o->part,
                       m->op, WM_PK_MAX_MEMORY >> 20);
    return op->run(m, code);
}

enum wm_status
wm_pk_read(struct wm_arena *a, const struct wm_pk_opts *o, struct wm_str bytes, struct wm_pk_result *out,
           struct wm_err *err)
{
    struct wm_pk_machine m = {.a = a, .o = o, .p = (const unsigned char *)bytes.p, .n = bytes.n, .err = err};
    enum wm_status st = WM_OK;

    m.before = a->total;
    m.none = wm_pk_new(&m, WM_PK_NONE);
    m.yes = wm_pk_new(&m, WM_PK_BOOL);
    m.yes->i = 1;
    m.no = wm_pk_new(&m, WM_PK_BOOL);
    m.nil = wm_pk_new(&m, WM_PK_TUPLE);
    m.class = WM_NEW_N(a, struct wm_pk *, o->nclass);
    while (st == WM_OK && !m.done)
        st = step(&m);
    if (st == WM_OK)
        *out = (struct wm_pk_result){wm_pk_top(&m), m.ref.item, m.ref.n, m.at};
    return st;
}
