/* compiler/dump.c -- stable texts of the checked module and of the bound graph, for `wmap dump` and golden tests. */
#include "compiler/bind.h"

static void
print_key(const struct wm_rule *r, const struct wm_key *k, struct wm_buf *out)
{
    wm_buf_putc(out, '"');
    wm_key_print(k, wm_rule_var_name, (void *)r, out);
    wm_buf_putc(out, '"');
}

static void
print_product(const struct wm_rule *r, const struct wm_product *p, struct wm_buf *out)
{
    wm_buf_putz(out, "{");
    for (uint32_t i = 0; i < p->naxis; i++) {
        wm_buf_putz(out, i ? " " : "");
        wm_buf_puts(out, r->axis.item[p->axis[i]].name);
    }
    wm_buf_putz(out, p->pad != WM_NONE ? "} pad" : p->partner == WM_NONE ? "} dropped" : "}");
}

static void
dump_rule(const struct wm_rule *r, struct wm_buf *out)
{
    static const char *const arrow[] = {"<->", "->", "<-"};

    wm_buf_printf(out, "rule %s%s%s\n", arrow[r->arrow], r->captures ? " captures" : "",
                  r->pipeline ? " operations" : "");
    for (int s = 0; s < 2; s++)
        for (uint32_t t = 0; t < r->side[s].nterm; t++) {
            const struct wm_rterm *term = &r->side[s].term[t];

            wm_buf_printf(out, "  %s ", s ? "right" : "left ");
            print_key(r, &term->key, out);
            for (uint32_t k = 0; k < term->nplace; k++)
                wm_buf_printf(out, " @%.*s", WM_STR_ARG(r->var.item[term->place[k]].name));
            wm_buf_putc(out, '\n');
        }
    for (uint32_t i = 0; i < r->side[0].nproduct; i++) {
        const struct wm_product *p = &r->side[0].product[i];

        wm_buf_putz(out, "  product ");
        print_product(r, p, out);
        if (p->partner != WM_NONE) {
            wm_buf_printf(out, " %s ", arrow[r->arrow]);
            print_product(r, &r->side[1].product[p->partner], out);
        }
        wm_buf_putc(out, '\n');
    }
    for (uint32_t i = 0; i < r->cond.n; i++) {
        wm_buf_printf(out, "  when %s", r->cond.item[i].negate ? "not " : "");
        wm_print_expr(r->cond.item[i].expr, out);
        wm_buf_putc(out, '\n');
    }
    for (uint32_t i = 1; i < r->axis.n; i++) {
        const struct wm_axis *ax = &r->axis.item[i];

        wm_buf_printf(out, "  axis %.*s from %.*s%s%s%s\n", WM_STR_ARG(ax->name),
                      WM_STR_ARG(ax->from.n ? ax->from : WM_STR("shapes")), ax->broadcast ? " broadcast" : "",
                      ax->pick ? " pick" : "", ax->pad ? " pad" : "");
    }
}

void
wm_module_dump(const struct wm_module *m, struct wm_buf *out)
{
    wm_buf_printf(out, "map %.*s\n", WM_STR_ARG(m->name));
    for (uint32_t i = 0; i < m->rule.n; i++)
        dump_rule(m->rule.item[i], out);
}

static void
print_shape(const struct wm_gt *t, struct wm_buf *out)
{
    wm_buf_printf(out, " %s [", wm_dtype_info[t->dtype].name);
    for (uint32_t k = 0; k < t->rank; k++)
        wm_buf_printf(out, "%s%lld", k ? " " : "", (long long)t->shape[k]);
    wm_buf_putc(out, ']');
}

static void
print_make(struct wm_cc *cc, const struct wm_graph *g, const struct wm_make *mk, struct wm_buf *out)
{
    const struct wm_stage *s = g->stage;

    wm_buf_printf(out, " geometry %u of", mk->geom);
    for (uint32_t k = 0; k < g->geom.item[mk->geom].nslot; k++)
        wm_buf_printf(out, " %s", wm_place_show(cc->a, s->in->t.item[s->slot.item[mk->slot + k]].key).p);
    wm_buf_putc(out, '\n');
}

void
wm_graph_print(struct wm_cc *cc, const struct wm_graph *g, struct wm_buf *out)
{
    const struct wm_stage *s = g->stage;

    for (uint32_t i = 0; i < s->out->t.n; i++) {
        const struct wm_gt *t = &s->out->t.item[i];

        if (t->file.n)
            wm_buf_printf(out, "%.*s: ", WM_STR_ARG(t->file));
        wm_buf_puts(out, wm_place_show(cc->a, t->key));
        print_shape(t, out);
        print_make(cc, g, &s->make.item[i], out);
    }
    for (uint32_t i = 0; i < s->check.n; i++) {
        wm_buf_printf(out, "check %u", i);
        print_make(cc, g, &s->check.item[i], out);
    }
    wm_buf_putz(out, "geometry 0: the whole tensor\n");
    for (uint32_t i = 1; i < g->geom.n; i++) {
        wm_buf_printf(out, "geometry %u:\n", i);
        wm_imap_print(&g->geom.item[i].map, out);
    }
}
