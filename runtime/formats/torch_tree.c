/* runtime/formats/torch_tree.c -- from a pickled tree to a flat list of tensors.
 *
 * In: nested dicts, lists and tuples with tensors at their ends.  Out: the manifest's tensors, named by the keys on the
 * way joined with dots; what a trainer wraps around them is taken away, or what the user says.  A tree may share its
 * parts, so that few bytes mean many names: names, steps and depth are bounded, and nothing recurses. */
#include "runtime/formats/torch.h"

#include <inttypes.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 64, MAX_STEPS = 16 << 20, MAX_NAMES = 4 << 20, MAX_TIMES = 64 };
enum { SEEN_KEYS = 1, SEEN_EMPTY = 2 }; /* bits of wm_pk.user: no key twice; no tensor inside */

struct frame {
    struct wm_pk *v;
    uint32_t at;
    size_t name;    /* bytes of its name */
    uint64_t before; /* tensors found when it was entered */
    bool nameless;  /* a key on the way is no string or integer */
};

struct walk {
    struct wm_torch *t;
    bool count;      /* only count the tensors */
    struct wm_buf name;
    struct frame frame[MAX_DEPTH];
    uint32_t depth;
    uint64_t steps, tensors, others;
    struct wm_buf other; /* the first few values that are no tensors */
};

static bool
is_container(const struct wm_pk *v)
{
    return v->kind == WM_PK_DICT || v->kind == WM_PK_LIST || v->kind == WM_PK_TUPLE;
}

/* A key as a part of a name; false: it is none. */
static bool
put_key(struct wm_buf *b, const struct wm_pk *key)
{
    if (key->kind == WM_PK_STR)
        wm_buf_puts(b, wm_pk_str(key));
    else if (key->kind == WM_PK_INT)
        wm_buf_printf(b, "%" PRId64, key->i);
    else
        return false;
    return true;
}

/* The same key twice: readers differ in which one counts. */
static enum wm_status
check_keys(struct wm_torch *t, struct wm_pk *dict)
{
    struct wm_map seen;

    if (dict->kind != WM_PK_DICT || dict->user & SEEN_KEYS)
        return WM_OK;
    dict->user |= SEEN_KEYS;
    wm_map_init(&seen, t->a, dict->n / 2);
    for (uint32_t k = 0; k < dict->n; k += 2) {
        const struct wm_pk *key = dict->item[k];
        struct wm_str s;

        if (key->kind == WM_PK_STR)
            s = wm_pk_str(key);
        else if (key->kind == WM_PK_INT)
            s = wm_arena_printf(t->a, "%" PRId64, key->i);
        else
            continue;
        if (wm_map_put(&seen, s, k) != k)
            return wm_fail(t->err, WM_EFORMAT, t->path, "%s: a dict has the key \"%.*s\" twice", t->part, WM_STR_ARG(s));
    }
    return WM_OK;
}

static enum wm_status
enter(struct walk *w, struct wm_pk *v, bool nameless)
{
    if (w->depth == MAX_DEPTH)
        return wm_fail(w->t->err, WM_ELIMIT, w->t->path, "\"%.*s\": nested more than %d times",
                       WM_STR_ARG(wm_buf_str(&w->name)), MAX_DEPTH);
    w->frame[w->depth++] = (struct frame){v, 0, w->name.n, w->tensors, nameless};
    return check_keys(w->t, v);
}

static enum wm_status
found_tensor(struct walk *w, struct wm_pk *v, bool nameless)
{
    struct wm_torch *t = w->t;
    struct wm_str name = wm_buf_str(&w->name);
    size_t at;

    if (++w->tensors > MAX_NAMES)
        return wm_fail(t->err, WM_ELIMIT, t->path, "more than %d tensors", MAX_NAMES);
    if (w->count)
        return WM_OK;
    if (nameless)
        return wm_fail(t->err, WM_EFORMAT, t->path, "a tensor under \"%.*s\" has a key that is no string or integer",
                       WM_STR_ARG(name));
    if (!wm_utf8_valid(name, &at))
        return wm_fail(t->err, WM_EFORMAT, t->path, "tensor \"%.*s\": its name is not UTF-8", WM_STR_ARG(name));
    return wm_torch_add(t, name.n ? wm_arena_str(t->a, name) : WM_STR("tensor"), v);
}

static void
found_other(struct walk *w)
{
    if (w->others++ < 3 && !w->count)
        wm_buf_printf(&w->other, "%s\"%.*s\"", w->other.n ? ", " : "", (int)(w->name.n < 60 ? w->name.n : 60),
                      w->name.n ? w->name.p : "");
}

/* The name of the topmost frame's next item; false: its key is none. */
static bool
put_name(struct walk *w, const struct frame *f, const struct wm_pk *key)
{
    w->name.n = f->name;
    if (f->name)
        wm_buf_putc(&w->name, '.');
    if (key)
        return put_key(&w->name, key);
    wm_buf_printf(&w->name, "%" PRIu32, f->at);
    return true;
}

/* The next item of the topmost frame, whose name is appended. */
static enum wm_status
visit(struct walk *w, struct frame *f)
{
    bool dict = f->v->kind == WM_PK_DICT, nameless = f->nameless;
    const struct wm_pk *key = dict ? f->v->item[f->at] : NULL;
    struct wm_pk *v = f->v->item[dict ? f->at + 1 : f->at];

    if (++w->steps > MAX_STEPS)
        return wm_fail(w->t->err, WM_ELIMIT, w->t->path, "%s: more than %d values", w->t->part, MAX_STEPS);
    if (!w->count && !put_name(w, f, key))
        nameless = true;
    if (w->name.n > WM_MAX_NAME)
        return wm_fail(w->t->err, WM_ELIMIT, w->t->path, "a name of more than %d bytes", WM_MAX_NAME);
    f->at += dict ? 2 : 1;
    if (wm_torch_is_tensor(v))
        return found_tensor(w, v, nameless);
    if (is_container(v) && !(v->user & SEEN_EMPTY) && v->n)
        return enter(w, v, nameless);
    found_other(w);
    return WM_OK;
}

/* All below v, under the name that w has. */
static enum wm_status
walk(struct walk *w, struct wm_pk *v)
{
    enum wm_status st;

    if (wm_torch_is_tensor(v))
        return found_tensor(w, v, false);
    if (!is_container(v)) {
        found_other(w);
        return WM_OK;
    }
    st = enter(w, v, false);
    while (st == WM_OK && w->depth) {
        struct frame *f = &w->frame[w->depth - 1];

        if (f->at < f->v->n) {
            st = visit(w, f);
            continue;
        }
        if (w->tensors == f->before)
            f->v->user |= SEEN_EMPTY;
        w->depth--;
    }
    return st;
}

static enum wm_status
count(struct wm_torch *t, struct wm_pk *v, uint64_t *out)
{
    struct walk w = {.t = t, .count = true};
    enum wm_status st;

    wm_buf_init(&w.name, t->a);
    st = walk(&w, v);
    *out = w.tensors;
    return st;
}

/* ---- what is around the tensors ---- */

/* Keys beside the model's in what trainers save: state of theirs, that no conversion wants. */
bool
wm_torch_is_trainers(struct wm_str key)
{
    static const char *const prefix[] = {"optim", "ema", "sched", "lr_sched", "scaler", "amp", "rng", "random", "cuda_rng",
                                         "torch_rng", "callbacks", "loops", "hparams", "hyper", "epoch", "step", "iter",
                                         "global_step", "best", "loss", "grad", "args", "config", "train"};

    for (size_t k = 0; k < WM_COUNTOF(prefix); k++)
        if (wm_str_starts(key, wm_str_c(prefix[k])))
            return true;
    return false;
}

bool
wm_torch_is_wrap(struct wm_str key)
{
    return wm_str_eq(key, WM_STR("model")) || wm_str_eq(key, WM_STR("state_dict")) ||
           wm_str_eq(key, WM_STR("model_state_dict")) || wm_str_eq(key, WM_STR("model_state")) ||
           wm_str_eq(key, WM_STR("module"));
}

/* A trainer's dict: exactly one key says that the model is there, all others with tensors are known as its own state.
 * *v becomes the model's. */
static enum wm_status
find_wrap(struct wm_torch *t, struct wm_pk **v, struct wm_str *root, uint64_t *left_out)
{
    struct wm_pk *dict = *v, *inner = NULL;
    uint64_t beside = 0, n;

    *left_out = 0;
    if (dict->kind != WM_PK_DICT)
        return WM_OK;
    for (uint32_t k = 0; k < dict->n; k += 2) {
        struct wm_pk *x = dict->item[k + 1];
        struct wm_str key = dict->item[k]->kind == WM_PK_STR ? wm_pk_str(dict->item[k]) : WM_STR("");
        enum wm_status st = count(t, x, &n);

        if (st != WM_OK)
            return st;
        if (n == 0)
            continue;
        if (wm_torch_is_wrap(key) && x->kind == WM_PK_DICT && !inner) {
            inner = x;
            *root = key;
        } else if (wm_torch_is_trainers(key)) {
            beside += n;
        } else {
            return WM_OK; /* something else that counts: all of it is the checkpoint */
        }
    }
    if (!inner)
        return WM_OK;
    *v = inner;
    *left_out = beside;
    return WM_OK;
}

static struct wm_pk *
child(const struct wm_pk *v, struct wm_str key)
{
    for (uint32_t k = 0; v->kind == WM_PK_DICT && k < v->n; k += 2)
        if (wm_pk_is_str(v->item[k], key))
            return v->item[k + 1];
    return NULL;
}

static enum wm_status
no_root(struct wm_torch *t, const struct wm_pk *dict, struct wm_str root)
{
    struct wm_buf b;

    wm_buf_init(&b, t->a);
    for (uint32_t k = 0, shown = 0; dict->kind == WM_PK_DICT && k < dict->n; k += 2) {
        uint64_t n;
        enum wm_status st = count(t, dict->item[k + 1], &n);

        if (st != WM_OK)
            return st;
        if (n == 0 || !is_container(dict->item[k + 1]))
            continue;
        if (shown++ == 8) {
            wm_buf_putz(&b, ", ..");
            break;
        }
        wm_buf_putz(&b, shown > 1 ? ", \"" : "\"");
        put_key(&b, dict->item[k]);
        wm_buf_putc(&b, '"');
    }
    return wm_fail(t->err, WM_EUSAGE, t->path, "no dict of tensors under \"%.*s\"; there are some under: %s",
                   WM_STR_ARG(root), b.n ? b.p : "none");
}

/* The value under a path of keys with dots; of several ways to read it the longest keys. */
static enum wm_status
follow(struct wm_torch *t, struct wm_pk **v, struct wm_str root)
{
    struct wm_pk *at = *v, *next = at;
    struct wm_str rest = root;

    while (rest.n && next) {
        size_t n = rest.n + 1;

        for (next = NULL; !next && n > 0;) {
            for (n--; n > 0 && n < rest.n && rest.p[n] != '.';)
                n--;
            if (n > 0)
                next = child(at, (struct wm_str){rest.p, n});
        }
        if (next) {
            at = next;
            rest.p += n < rest.n ? n + 1 : n;
            rest.n -= n < rest.n ? n + 1 : n;
        }
    }
    if (!next || !is_container(at))
        return no_root(t, *v, root);
    *v = at;
    return WM_OK;
}

/* ---- the whole ---- */

static void
note(struct wm_torch *t, const struct walk *w, struct wm_str root, uint64_t left_out)
{
    struct wm_buf b;

    wm_buf_init(&b, t->a);
    if (root.n)
        wm_buf_printf(&b, "tensors are those under \"%.*s\"", WM_STR_ARG(root));
    if (left_out)
        wm_buf_printf(&b, ", without %" PRIu64 " other%s in the file", left_out, left_out == 1 ? "" : "s");
    if (w->others)
        wm_buf_printf(&b, "%s%" PRIu64 " value%s that %s no tensor%s %s left out (%s%s)", b.n ? "; " : "", w->others,
                      w->others == 1 ? "" : "s", w->others == 1 ? "is" : "are", w->others == 1 ? "" : "s",
                      w->others == 1 ? "is" : "are", w->other.p, w->others > 3 ? ", .." : "");
    if (b.n)
        wm_manifest_note(t->m, t->file, wm_buf_str(&b));
}

/* A view can repeat its elements, so that few bytes stand for many.  What is in files beside was compared with those. */
static enum wm_status
check_total(struct wm_torch *t, uint32_t first)
{
    uint64_t total = 0, size = t->m->file.item[t->file].size;
    uint64_t most = (size > 1 << 20 ? size : 1 << 20) * MAX_TIMES;

    for (uint32_t k = first; k < t->m->tensor.n; k++)
        if (!t->m->tensor.item[k].store->npart &&
            (!wm_ck_uadd(total, t->m->tensor.item[k].nbytes, &total) || total > most))
            return wm_fail(t->err, WM_ELIMIT, t->path,
                           "tensor \"%.*s\": the tensors repeat their elements to more than %d times the file",
                           WM_STR_ARG(t->m->tensor.item[k].name), MAX_TIMES);
    return WM_OK;
}

enum wm_status
wm_torch_finish(struct wm_torch *t)
{
    struct walk w = {.t = t};
    struct wm_pk *v = t->tree.value;
    struct wm_str root = {0};
    uint32_t first = t->m->tensor.n;
    uint64_t left_out = 0, n;
    enum wm_status st;

    wm_buf_init(&w.name, t->a);
    wm_buf_init(&w.other, t->a);
    if (t->m->root.n) {
        root = t->m->root;
        st = follow(t, &v, root);
    } else {
        st = find_wrap(t, &v, &root, &left_out);
    }
    if (st == WM_OK)
        st = count(t, v, &n); /* so that too many names cost no memory */
    if (st == WM_OK)
        st = walk(&w, v);
    if (st == WM_OK)
        st = check_total(t, first);
    if (st == WM_OK)
        st = wm_manifest_register(t->m, first, t->err);
    if (st == WM_OK)
        note(t, &w, root, left_out);
    return st;
}
