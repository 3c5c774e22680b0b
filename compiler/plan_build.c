/* compiler/plan_build.c -- from the bound graph to the plan: files of the output, offsets, records.
 *
 * Enters: one fused stage.  Leaves: a plan block (runtime/plan.h).  Geometries are written once for each size of unit
 * that uses them (and for each view that they read through); tensors of a sub-byte dtype are counted in bytes from here
 * on. */
#include "base/checked.h"
#include "compiler/emit.h"
#include "compiler/plan_build.h"
#include "compiler/scalar.h"

/* ---- geometries ---- */

/* Elements of a sub-byte dtype to bytes: v * bits must be whole bytes. */
static bool
to_bytes(int64_t *v, uint32_t bits)
{
    int64_t r;

    if (!wm_ck_mul(*v, bits, &r) || r % 8 != 0)
        return false;
    *v = r / 8;
    return true;
}

/* A run of the innermost dimension becomes one of bytes; all other strides and bases must be whole bytes. */
static bool
box_to_bytes(struct wm_plan_box *box, struct wm_plan_dim *dim, uint32_t bits)
{
    bool ok = to_bytes(&box->dst_base, bits);

    for (uint32_t s = 0; s < box->nsrc; s++)
        ok = ok && to_bytes(&box->src_base[s], bits);
    for (uint32_t k = 0; k < box->rank; k++) {
        bool run = k == box->rank - 1 && dim[k].dst == 1;

        for (uint32_t s = 0; s < box->nsrc; s++)
            run = run && dim[k].src[s] == 1;
        if (run) {
            ok = ok && to_bytes(&dim[k].extent, bits);
            return ok;
        }
        ok = ok && to_bytes(&dim[k].dst, bits);
        for (uint32_t s = 0; s < box->nsrc; s++)
            ok = ok && to_bytes(&dim[k].src[s], bits);
    }
    return false; /* single elements */
}

static bool
add_boxes(struct wm_build *b, const struct wm_imap *m, uint32_t bits)
{
    for (uint32_t i = 0; i < m->box.n; i++) {
        const struct wm_box *x = &m->box.item[i];
        struct wm_plan_box rec = {.dst_base = x->dst_base, .elem = x->elem, .nsrc = x->nsrc,
                                  .rank = x->rank};
        struct wm_plan_dim dim[WM_PLAN_RANK];

        if (x->rank > WM_PLAN_RANK)
            return false;
        for (uint32_t k = 0; k < x->rank; k++) {
            const struct wm_dim *d = &m->dim.item[x->dim + k];

            dim[k] = (struct wm_plan_dim){.extent = d->extent, .dst = d->dst};
            for (uint32_t s = 0; s < x->nsrc; s++)
                dim[k].src[s] = d->src[s];
        }
        for (uint32_t s = 0; s < x->nsrc; s++) {
            rec.src_base[s] = x->src_base[s];
            rec.slot[s] = x->slot[s];
        }
        if (bits < 8 && !box_to_bytes(&rec, dim, bits))
            return false;
        rec.dim = wm_plan_add(&b->pb, WM_PS_DIM, dim, sizeof(*dim), x->rank);
        wm_plan_add(&b->pb, WM_PS_BOX, &rec, sizeof(rec), 1);
    }
    return true;
}

/* `views`: its operands are tensors of the input, which may be views. */
static bool
geometry(struct wm_build *b, const struct wm_make *mk, enum wm_dtype dtype, bool views, uint32_t *out, int64_t *nunit)
{
    uint32_t bits = wm_dtype_info[dtype].bits, seen;
    const struct wm_geom *ge = &b->g->geom.item[mk->geom];
    struct wm_plan_geom rec = {.nslot = ge->nslot, .unit = bits < 8 ? 1 : bits / 8, .nunit = mk->nunit};
    struct wm_imap identity, composed;
    const struct wm_imap *m = &ge->map;
    int64_t key[3] = {mk->geom, bits, mk->nunit};

    if (bits < 8 && !to_bytes(&rec.nunit, bits))
        return false;
    *nunit = rec.nunit;
    b->sig.n = 0;
    wm_build_key(b, key, sizeof(key));
    if (views) {
        rec.nslot = wm_build_nslot(b, mk, ge->nslot);
        wm_build_views_key(b, mk, ge->nslot);
    }
    seen = wm_map_get(&b->geoms, wm_buf_str(&b->sig));
    if (seen != WM_NONE) {
        *out = seen;
        return true;
    }
    if (mk->geom == WM_GEOM_IDENTITY) {
        wm_imap_init(&identity, b->cc->a);
        wm_imap_identity(&identity, mk->nunit, 0);
        wm_imap_canon(&identity);
        m = &identity;
    }
    if (b->sig.n > sizeof(key)) {
        wm_imap_init(&composed, b->cc->a);
        if (!wm_build_through_views(b, mk, ge->nslot, m, &composed))
            return false;
        m = &composed;
    }
    rec.box = b->pb.section[WM_PS_BOX].n / sizeof(struct wm_plan_box);
    rec.nbox = m->box.n;
    if (!add_boxes(b, m, bits))
        return false;
    *out = (uint32_t)wm_plan_add(&b->pb, WM_PS_GEOM, &rec, sizeof(rec), 1);
    wm_map_put(&b->geoms, wm_arena_str(b->cc->a, wm_buf_str(&b->sig)), *out);
    return true;
}

bool
wm_build_geometry(struct wm_build *b, const struct wm_make *mk, enum wm_dtype dtype, uint32_t *out, int64_t *nunit)
{
    return geometry(b, mk, dtype, true, out, nunit);
}

bool
wm_build_bytes_geometry(struct wm_build *b, int64_t n, uint32_t *out)
{
    const struct wm_make mk = {.geom = WM_GEOM_IDENTITY, .nunit = n};

    return geometry(b, &mk, WM_DT_U8, false, out, &n);
}

static void
add_elems(struct wm_build *b)
{
    for (uint32_t i = 0; i < b->g->elem.n; i++) {
        const struct wm_elem *e = &b->g->elem.item[i];
        uint32_t from = wm_dtype_info[e->from].bits, to = wm_dtype_info[e->to].bits;
        struct wm_plan_elem rec = {.kind = e->kind, .src_unit = from < 8 ? 1 : from / 8,
                                   .dst_unit = to < 8 ? 1 : to / 8, .src_dtype = e->from,
                                   .dst_dtype = e->to, .nstep = e->nstep,
                                   .mode = e->stepwise ? WM_LR_STEPWISE : WM_LR_ONCE, .rank = e->rank,
                                   .factor = {e->factor[0], e->factor[1]},
                                   .stride = {e->stride[0], e->stride[1]}, .scale = e->scale};

        memcpy(rec.pattern, e->pattern, sizeof(rec.pattern));
        rec.note = wm_plan_add_text(&b->pb, e->note);
        rec.step = (uint32_t)wm_plan_add(&b->pb, WM_PS_STEP, e->step, sizeof(*e->step), e->nstep);
        wm_plan_add(&b->pb, WM_PS_ELEM, &rec, sizeof(rec), 1);
    }
}

/* ---- outputs ---- */

struct wm_plan_text
wm_build_where(struct wm_build *b, const struct wm_make *mk)
{
    struct wm_str key = {(const char *)&mk->span, sizeof(mk->span)};
    uint32_t id = wm_map_get(&b->wheres, key), line, col;
    struct wm_str text;

    if (id != WM_NONE)
        return b->where_text.item[id];
    if (mk->span.len == 0) {
        text = WM_STR("");
    } else {
        wm_source_pos(&b->cc->sources, mk->span, &line, &col);
        text = wm_arena_printf(b->cc->a, "%.*s:%u:%u",
                               WM_STR_ARG(b->cc->sources.list.item[mk->span.file].path), line, col);
    }
    wm_map_put(&b->wheres, wm_arena_str(b->cc->a, key), b->where_text.n);
    return *WM_PUSH(b->cc->a, &b->where_text) = wm_plan_add_text(&b->pb, text);
}

static uint32_t
slots_of(struct wm_build *b, const struct wm_make *mk)
{
    uint32_t n = b->g->geom.item[mk->geom].nslot, first = 0;

    for (uint32_t s = 0; s < n; s++) {
        uint32_t at = wm_build_slots(b, b->g->stage->slot.item[mk->slot + s]);

        first = s ? first : at;
    }
    return first;
}

static enum wm_status
subbyte(struct wm_build *b, const struct wm_make *mk, struct wm_str name)
{
    wm_report(&b->cc->diags, WM_E_SUBBYTE, mk->span,
              "`%s` has a dtype of less than a byte, and the rule would cut inside of bytes",
              wm_place_show(b->cc->a, name).p);
    return WM_NO;
}

enum wm_status
wm_build_tensor(struct wm_build *b, const struct wm_wtensor *w, uint32_t file)
{
    const struct wm_make *mk = &b->g->stage->make.item[w->user];
    struct wm_plan_out rec = {.file = file, .dtype = w->dtype, .off = w->off, .nbytes = w->nbytes,
                              .rank = w->rank, .codec = w->codec};
    int64_t nunit;

    if (!wm_build_geometry(b, mk, w->dtype, &rec.geom, &nunit))
        return subbyte(b, mk, w->name);
    rec.name = wm_plan_add_text(&b->pb, w->name);
    rec.shape = wm_plan_add_shape(&b->pb, w->shape, w->rank);
    rec.slot = slots_of(b, mk);
    rec.where = wm_build_where(b, mk);
    wm_plan_add(&b->pb, WM_PS_OUT, &rec, sizeof(rec), 1);
    b->pb.out_bytes += w->nbytes;
    return WM_OK;
}

static enum wm_status
add_checks(struct wm_build *b)
{
    for (uint32_t i = 0; i < b->g->stage->check.n; i++) {
        const struct wm_make *mk = &b->g->stage->check.item[i];
        const struct wm_imap *m = &b->g->geom.item[mk->geom].map;
        struct wm_plan_out rec = {.file = WM_NONE};
        int64_t nunit;

        if ((mk->replica && b->o->trust_replicas) || (mk->pad && !b->o->strict_pad) || m->box.n == 0)
            continue;
        rec.dtype = b->g->elem.item[m->box.item[0].elem].from;
        if (!wm_build_geometry(b, mk, rec.dtype, &rec.geom, &nunit))
            return subbyte(b, mk, WM_STR("a check"));
        rec.nbytes = (uint64_t)nunit;
        rec.name = wm_plan_add_text(&b->pb, b->g->elem.item[m->box.item[0].elem].note);
        rec.slot = slots_of(b, mk);
        rec.where = wm_build_where(b, mk);
        wm_plan_add(&b->pb, WM_PS_OUT, &rec, sizeof(rec), 1);
    }
    return WM_OK;
}

/* ---- files ---- */

static void
add_index(struct wm_build *b, struct wm_arena *tmp, const struct wm_shard_list *files)
{
    struct wm_plan_outfile rec = {.order = files->n, .format = b->fmt_id};
    struct wm_indexed *x = wm_arena_alone(tmp, files->ntensor * sizeof(*x));
    uint32_t n = 0;

    for (uint32_t f = 0; f < files->n; f++)
        for (uint32_t i = 0; i < files->file[f].n; i++)
            x[n++] = (struct wm_indexed){files->file[f].tensor[i].name, files->file[f].name};
    rec.name = wm_plan_add_text(&b->pb, wm_str_c(b->fmt->index_name));
    rec.head = wm_format_add_index(b->fmt, &b->pb, x, n, files->nbytes);
    rec.size = rec.head.len;
    rec.first = b->pb.section[WM_PS_OUT].n / sizeof(struct wm_plan_out); /* none, behind all */
    wm_plan_add(&b->pb, WM_PS_OUTFILE, &rec, sizeof(rec), 1);
}

static enum wm_status
add_files(struct wm_build *b)
{
    struct wm_shard_list files;
    struct wm_arena_child tmp;
    enum wm_status st;

    wm_arena_child_begin(&tmp, b->cc->a);
    st = wm_shard_files(&tmp.a, b->g, b->o, b->fmt, &files, b->err);
    for (uint32_t f = 0; f < files.n && st == WM_OK; f++)
        st = wm_build_file(b, &files.file[f], f);
    if (st == WM_OK && files.indexed && b->fmt->index)
        add_index(b, &tmp.a, &files);
    wm_arena_child_end(&tmp);
    return st;
}

static enum wm_status
add_sidecars(struct wm_build *b)
{
    for (uint32_t i = 0; i < b->g->carry.n; i++) {
        struct wm_plan_sidecar rec = {0};
        bool again = false;

        for (uint32_t k = 0; k < i; k++)
            again |= wm_str_eq(b->g->carry.item[k], b->g->carry.item[i]);
        if (again)
            continue;
        rec.from = wm_plan_add_text(&b->pb, wm_arena_printf(b->cc->a, "%.*s/%.*s",
                                                            WM_STR_ARG(b->g->manifest->dir),
                                                            WM_STR_ARG(b->g->carry.item[i])));
        rec.name = wm_plan_add_text(&b->pb, b->g->carry.item[i]);
        wm_plan_add(&b->pb, WM_PS_SIDECAR, &rec, sizeof(rec), 1);
    }
    for (uint32_t i = 0; i < b->g->small.n; i++) {
        struct wm_plan_sidecar rec = {0};

        rec.name = wm_plan_add_text(&b->pb, b->g->small.item[i].name);
        rec.bytes = wm_plan_add_bytes(&b->pb, b->g->small.item[i].text.p, b->g->small.item[i].text.n);
        wm_plan_add(&b->pb, WM_PS_SIDECAR, &rec, sizeof(rec), 1);
    }
    return b->g->no_emit || wm_emit_files(b->g, &b->pb) ? WM_OK : WM_NO;
}

static enum wm_status
check_template(struct wm_build *b)
{
    const struct wm_manifest *like = b->o->like;

    if (!like)
        return WM_OK;
    if (!b->fmt->templates)
        return wm_fail(b->err, WM_EUSAGE, like->path.p, "%s is not written after a template", b->fmt->name);
    for (uint32_t i = 0; i < like->file.n; i++)
        if (like->file.item[i].format != b->fmt_id)
            return wm_fail(b->err, WM_EUSAGE, like->path.p, "the template is %s, but the output %s",
                           wm_formats[like->file.item[i].format]->name, b->fmt->name);
    return WM_OK;
}

static enum wm_status
find_format(struct wm_build *b)
{
    struct wm_str name = b->o->format.n ? b->o->format : b->g->out_format;

    if (name.n == 0 && b->g->out_file.n > 0)
        b->fmt = wm_format_by_suffix(b->g->out_file, &b->fmt_id);
    else
        b->fmt = wm_format_by_name(name.n ? name : WM_STR("safetensors"), &b->fmt_id);
    if (!b->fmt && b->g->out_file.n && name.n == 0)
        b->fmt = wm_format_by_name(WM_STR("safetensors"), &b->fmt_id);
    if (!b->fmt || !b->fmt->layout)
        return wm_fail(b->err, WM_ESUPPORT, NULL, "the format \"%.*s\" can't be written; name another with --format",
                       WM_STR_ARG(name));
    if (b->g->out_root.n && !b->fmt->nests)
        return wm_fail(b->err, WM_ESUPPORT, NULL, "the map puts its tensors under \"%.*s\" inside of a file, and a file of "
                       "the format %s does not nest", WM_STR_ARG(b->g->out_root), b->fmt->name);
    return check_template(b);
}

enum wm_status
wm_plan_build(struct wm_cc *cc, const struct wm_graph *g, const struct wm_bind_opts *o, void **block,
              uint64_t *size, struct wm_err *err)
{
    struct wm_build b = {.cc = cc, .g = g, .o = o, .err = err};
    enum wm_status st;

    if ((st = find_format(&b)) != WM_OK)
        return st;
    wm_plan_builder_init(&b.pb, cc->a);
    wm_map_init(&b.geoms, cc->a, 64);
    wm_map_init(&b.wheres, cc->a, 64);
    wm_buf_init(&b.sig, cc->a);
    wm_build_inputs_init(&b);
    add_elems(&b);
    if ((st = add_files(&b)) != WM_OK || (st = add_checks(&b)) != WM_OK || (st = add_sidecars(&b)) != WM_OK)
        return st;
    if (!o->trust_checksums)
        wm_build_insums(&b);
    *block = wm_plan_finish(&b.pb, size);
    return WM_OK;
}
