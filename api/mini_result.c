/* api/mini_result.c -- what a plan makes, and what files hold, in memory: for small checkpoints. */
#include "api/compare.h"
#include "api/mini_result.h"
#include "api/view.h"

static struct wm_str
full_name(struct wm_arena *a, struct wm_str file, struct wm_str name)
{
    char *p = wm_arena_alloc(a, file.n + 1 + name.n);

    if (file.n)
        memcpy(p, file.p, file.n);
    p[file.n] = '\0';
    memcpy(p + file.n + 1, name.p, name.n);
    return (struct wm_str){p, file.n + 1 + name.n};
}

static void
index_names(struct wm_result *r, struct wm_arena *a)
{
    wm_map_init(&r->by_name, a, r->n);
    for (uint32_t i = 0; i < r->n; i++)
        wm_map_set(&r->by_name, full_name(a, r->tensor[i].file, r->tensor[i].name), i);
}

enum wm_status
wm_result_of_plan(struct wm_result *r, struct wm_arena *a, const struct wm_sys *sys,
                  const struct wm_plan *plan, bool by_file, struct wm_err *err)
{
    struct wm_exec_opts o = {.threads = 1};
    struct wm_exec *x = NULL;
    struct wm_view v;
    enum wm_status st;

    wm_view_init(&v, a, plan);
    r->n = (uint32_t)v.ntensor;
    r->tensor = WM_NEW_N(a, struct wm_made, r->n);
    st = wm_exec_open(plan, sys, &o, &x, err);
    for (uint32_t i = 0; i < r->n && st == WM_OK; i++) {
        const struct wm_view_tensor t = wm_view_tensor(&v, i);
        const struct wm_plan_outfile *f = &v.outfile[v.out[t.out].file];
        unsigned char *p = wm_arena_alloc(a, t.nbytes);

        st = wm_exec_produce(x, t.out, 0, t.nbytes, p, err);
        r->tensor[i] = (struct wm_made){by_file ? wm_plan_str(plan, f->name) : WM_STR(""),
                                        t.name,
                                        (enum wm_dtype)t.dtype,
                                        t.shape,
                                        t.rank,
                                        p,
                                        t.nbytes};
    }
    if (st == WM_OK)
        st = wm_view_checks(&v, x, err);
    if (x)
        wm_exec_close(x);
    index_names(r, a);
    return st;
}

enum wm_status
wm_result_of_manifest(struct wm_result *r, struct wm_arena *a, const struct wm_sys *sys,
                      const struct wm_manifest *m, bool by_file, struct wm_err *err)
{
    struct wm_file_reader file;
    struct wm_reader reader;
    enum wm_status st = wm_file_reader_open(&file, a, sys, m, err), closed;

    reader = wm_file_reader(&file);
    r->n = m->tensor.n;
    r->tensor = WM_NEW_N(a, struct wm_made, r->n);
    for (uint32_t i = 0; i < r->n && st == WM_OK; i++) {
        const struct wm_mtensor *t = &m->tensor.item[i];
        unsigned char *p = wm_arena_alloc(a, t->nbytes);

        st = reader.read(reader.user, 0, i, 0, t->nbytes, p, err);
        r->tensor[i] = (struct wm_made){by_file ? m->file.item[t->file].name : WM_STR(""),
                                        t->name,
                                        t->dtype,
                                        t->shape,
                                        t->rank,
                                        p,
                                        t->nbytes};
    }
    closed = wm_file_reader_close(&file, err);
    index_names(r, a);
    return st == WM_OK ? closed : st;
}

const struct wm_made *
wm_result_find(const struct wm_result *r, const struct wm_made *like)
{
    uint32_t i = wm_map_get(&r->by_name, full_name(r->by_name.a, like->file, like->name));

    return i == WM_NONE ? NULL : &r->tensor[i];
}

bool
wm_made_equal(const struct wm_made *x, const struct wm_made *y)
{
    return x->dtype == y->dtype && x->rank == y->rank && x->nbytes == y->nbytes &&
           (x->rank == 0 || memcmp(x->shape, y->shape, x->rank * sizeof(*x->shape)) == 0) &&
           (x->nbytes == 0 || memcmp(x->bytes, y->bytes, x->nbytes) == 0);
}
