/* runtime/formats/pickle_stack.c -- the pickle machine's stack, memo, containers and bytes.
 *
 * In: what instructions ask for.  Out: the values, or a failure that names the place.  The stack and the memo grow
 * with the instructions read, containers by doubling. */
#include "runtime/formats/pickle_priv.h"

#include <string.h>

/* ---- failures ---- */

enum wm_status
wm_pk_bad(struct wm_pk_machine *m, const char *what)
{
    return wm_fail(m->err, WM_EFORMAT, m->o->file, "%s: byte %zu: %s", m->o->part, m->op, what);
}

enum wm_status
wm_pk_bad_type(struct wm_pk_machine *m, const char *what, const struct wm_pk *v)
{
    return wm_fail(m->err, WM_EFORMAT, m->o->file, "%s: byte %zu: %s a value of type %s", m->o->part, m->op, what,
                   wm_pk_type_name(v, m->o->classes));
}

enum wm_status
wm_pk_cut(struct wm_pk_machine *m)
{
    return wm_fail(m->err, WM_EIO, m->o->file, "%s: byte %zu: the pickle ends in the middle", m->o->part, m->op);
}

const char *
wm_pk_type_name(const struct wm_pk *v, const struct wm_pk_class *classes)
{
    static const char *const names[] = {"None",  "bool", "int",  "int", "float", "str", "tuple",
                                        "list", "dict", "set", "class", "object", "reference"};

    if (v->kind == WM_PK_DICT && v->ordered)
        return "OrderedDict";
    return v->kind == WM_PK_OBJECT || v->kind == WM_PK_CLASS ? classes[v->cls].name : names[v->kind];
}

/* ---- stack and memo ---- */

enum wm_status
wm_pk_push(struct wm_pk_machine *m, struct wm_pk *v)
{
    *WM_PUSH(m->a, &m->stack) = v;
    return WM_OK;
}

struct wm_pk *
wm_pk_new(struct wm_pk_machine *m, enum wm_pk_kind kind)
{
    struct wm_pk *v = WM_NEW(m->a, struct wm_pk);

    v->kind = (uint8_t)kind;
    return v;
}

/* Values that the topmost mark lets be taken. */
static uint32_t
height(const struct wm_pk_machine *m)
{
    return m->stack.n - (m->mark.n ? m->mark.item[m->mark.n - 1] : 0);
}

enum wm_status
wm_pk_need(struct wm_pk_machine *m, uint32_t n)
{
    return height(m) >= n ? WM_OK : wm_pk_bad(m, "takes more values than there are");
}

/* The values above the topmost mark, which goes; valid until the next push. */
enum wm_status
wm_pk_pop_mark(struct wm_pk_machine *m, struct wm_pk ***item, uint32_t *n)
{
    if (m->mark.n == 0)
        return wm_pk_bad(m, "no mark to go back to");
    m->mark.n--;
    *n = m->stack.n - m->mark.item[m->mark.n];
    m->stack.n -= *n;
    *item = m->stack.n + *n ? m->stack.item + m->stack.n : NULL;
    return WM_OK;
}

enum wm_status
wm_pk_remember(struct wm_pk_machine *m, uint64_t index, struct wm_pk *v)
{
    if (index > m->nop)
        return wm_pk_bad(m, "a memo index greater than the number of instructions");
    while (m->memo.n <= index)
        *WM_PUSH(m->a, &m->memo) = NULL;
    m->memo.item[index] = v;
    return WM_OK;
}

/* Append to the items of a LIST, DICT or SET: room is always a power of two. */
enum wm_status
wm_pk_append(struct wm_pk_machine *m, struct wm_pk *v, struct wm_pk *const *item, uint32_t n)
{
    uint64_t total = (uint64_t)v->n + n, had = 4, room = 4;

    if (total > UINT32_MAX / 2)
        return wm_pk_bad(m, "more than 2^31 items");
    while (had < v->n)
        had *= 2;
    while (room < total)
        room *= 2;
    if (v->n == 0 || room > had)
        v->item = wm_arena_grow(m->a, v->item, v->n ? (size_t)had : 0, (size_t)room, sizeof(*v->item));
    if (n)
        memcpy(v->item + v->n, item, n * sizeof(*item));
    v->n = (uint32_t)total;
    return WM_OK;
}

struct wm_pk *
wm_pk_new_tuple(struct wm_pk_machine *m, struct wm_pk *const *item, uint32_t n)
{
    struct wm_pk *v = wm_pk_new(m, WM_PK_TUPLE);

    v->item = WM_NEW_N(m->a, struct wm_pk *, n);
    if (n)
        memcpy(v->item, item, n * sizeof(*item));
    v->n = n;
    return v;
}

/* ---- bytes ---- */

bool
wm_pk_take(struct wm_pk_machine *m, size_t n, const unsigned char **p)
{
    if (n > m->n - m->at)
        return false;
    *p = m->p + m->at;
    m->at += n;
    return true;
}

/* An unsigned little-endian number of n bytes. */
bool
wm_pk_number(struct wm_pk_machine *m, unsigned n, uint64_t *out)
{
    const unsigned char *p;

    if (!wm_pk_take(m, n, &p))
        return false;
    *out = 0;
    for (unsigned k = n; k-- > 0;)
        *out = *out << 8 | p[k];
    return true;
}
