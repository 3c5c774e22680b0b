/* ops_kit.h -- rules of one-line maps, bound to shapes, for the tests of named operations. */
#ifndef WM_TESTS_OPS_KIT_H
#define WM_TESTS_OPS_KIT_H

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "compiler/elem.h"
#include "compiler/op.h"
#include "compiler/scalar.h"

/* A shape.  Maps have the params two = 2 and list = [2, 4] where they use them. */
#define S(...)                                                                                     \
    {                                                                                              \
        WM_COUNTOF(((int64_t[]){__VA_ARGS__})),                                                    \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

struct world {
    struct wm_arena arena;
    struct wm_cc cc;
    struct wm_graph g;
    struct wm_benv be;
    struct wm_module *mod;
};

static inline struct world *
world_new(const char *rules)
{
    struct world *w = calloc(1, sizeof *w);
    struct wm_err err = {0};
    struct wm_buf text;

    wm_arena_init(&w->arena, &wm_sys_real, NULL, NULL);
    wm_cc_init(&w->cc, &w->arena, &wm_sys_real);
    wm_buf_init(&text, &w->arena);
    wm_buf_printf(&text, "wmap 1\nmap m\n%s%s%s\n",
                  strstr(rules, "two") ? "param two = 2 \"two\"\n" : "",
                  strstr(rules, "list") ? "param list = [2, 4] \"sizes\"\n" : "", rules);
    w->mod = wm_module_of_text(&w->cc, WM_STR("test.wmap"), wm_buf_str(&text), &err);
    w->g.cc = w->be.cc = &w->cc;
    return w;
}

static inline void
world_free(struct world *w)
{
    wm_arena_fini(&w->arena);
    free(w);
}

static inline void
print_diags(struct world *w)
{
    struct wm_buf b;

    wm_buf_init(&b, &w->arena);
    wm_diags_text(&w->cc.diags, &(struct wm_render){.max = 20}, &b);
    print_message("%s\n", b.p ? b.p : "");
}

static inline bool
bind(struct world *w, uint32_t rule, bool back, const struct wm_shape *in, uint32_t nin,
     enum wm_dtype t, struct wm_pipe_out *out, uint32_t nout, struct wm_pipe_check **check,
     uint32_t *ncheck)
{
    const struct wm_rule *r = w->mod->rule.item[rule];
    struct wm_scope sc = {.rule = r};

    return wm_pipe_bind(&w->g, &w->be, &sc, r, back, in, t, nin, out, nout, check, ncheck);
}

static inline int64_t
numel(const struct wm_shape *s)
{
    int64_t n;

    assert_true(wm_shape_numel(s, &n));
    return n;
}

static inline void
same_shape(const struct wm_shape *a, const struct wm_shape *b)
{
    assert_int_equal(a->rank, b->rank);
    for (uint32_t k = 0; k < a->rank; k++)
        assert_int_equal(a->dim[k], b->dim[k]);
}

static inline struct wm_str
inverse_text(struct world *w, const struct wm_rule_ast *r)
{
    struct wm_rule_ast inv = *r;
    struct wm_buf b;

    inv.side[0] = r->side[1];
    inv.side[1] = r->side[0];
    if (r->arrow != WM_AR_BOTH)
        inv.arrow = r->arrow == WM_AR_FORWARD ? WM_AR_BACKWARD : WM_AR_FORWARD;
    inv.op = WM_NEW_N(&w->arena, struct wm_opcall, r->nop);
    for (uint32_t i = 0; i < r->nop; i++) {
        inv.op[r->nop - 1 - i] = r->op[i];
        if (r->arrow == WM_AR_BOTH &&
            !wm_opcall_invert(&w->cc, &r->op[i], &inv.op[r->nop - 1 - i])) {
            print_diags(w);
            fail();
        }
    }
    wm_buf_init(&b, &w->arena);
    wm_print_rule(&inv, &b);
    return wm_buf_str(&b);
}

#endif
