/* runtime/plan_print.c -- the text of a plan, for golden tests and for people.
 *
 * Stable: the same plan gives the same text; nothing of the machine is in it but the paths of the
 * inputs. */
#include "runtime/plan.h"

#include <inttypes.h>

struct print {
    const struct wm_plan *p;
    struct wm_buf *out;
    const struct wm_plan_dim *dim;
    const struct wm_plan_elem *elem;
    const struct wm_plan_step *step;
    const int64_t *shape;
    const uint32_t *slot;
};

static const char *const elem_name[] = {
    [WM_EL_COPY] = "copy",   [WM_EL_FILL] = "fill",       [WM_EL_CHAIN] = "chain",
    [WM_EL_EQUAL] = "equal", [WM_EL_IS_FILL] = "is_fill", [WM_EL_LOWRANK] = "lowrank",
    [WM_EL_SCALED] = "scaled",
};

static const char *const step_name[] = {
    [WM_SP_CAST] = "cast", [WM_SP_UNCAST] = "uncast", [WM_SP_ADD] = "add", [WM_SP_MUL] = "mul",
    [WM_SP_NEG] = "neg",   [WM_SP_EXP] = "exp",       [WM_SP_LOG] = "log",
};

static const char *const codec_name[] = {
    [WM_CODEC_RAW] = "raw",
    [WM_CODEC_BLOB] = "constants",
    [WM_CODEC_SWAP2] = "swap 2",
    [WM_CODEC_SWAP4] = "swap 4",
    [WM_CODEC_SWAP8] = "swap 8",
    [WM_CODEC_MSGPACK_F32] = "msgpack float32",
    [WM_CODEC_MSGPACK_F64] = "msgpack float64",
    [WM_CODEC_MSGPACK_MIXED] = "msgpack numbers",
    [WM_CODEC_MSGPACK_F64_ROUND] = "msgpack float64, rounded",
    [WM_CODEC_MSGPACK_MIXED_ROUND] = "msgpack numbers, rounded",
    [WM_CODEC_MSGPACK_U32] = "msgpack uint32",
    [WM_CODEC_MSGPACK_U32_MIXED] = "msgpack integers",
};

static void
put_text(struct print *x, struct wm_plan_text t)
{
    wm_buf_json(x->out, wm_plan_str(x->p, t));
}

static void
put_shape(struct print *x, uint32_t dtype, uint32_t shape, uint32_t rank)
{
    wm_buf_printf(x->out, " %s [", wm_dtype_info[dtype].name);
    for (uint32_t k = 0; k < rank; k++)
        wm_buf_printf(x->out, "%s%" PRId64, k ? ", " : "", x->shape[shape + k]);
    wm_buf_putc(x->out, ']');
}

static void
put_pattern(struct print *x, const uint8_t *pattern)
{
    wm_buf_putz(x->out, " 0x");
    for (int i = 15; i >= 0; i--) /* little-endian, so the number reads as usual */
        wm_buf_printf(x->out, "%02x", pattern[i]);
}

static void
print_elem(struct print *x, uint64_t id)
{
    const struct wm_plan_elem *e = &x->elem[id];

    wm_buf_printf(x->out, "elem %" PRIu64 ": %s", id, elem_name[e->kind]);
    if (e->kind == WM_EL_FILL || e->kind == WM_EL_IS_FILL)
        put_pattern(x, e->pattern);
    if (e->kind == WM_EL_LOWRANK)
        wm_buf_printf(x->out, " %s + %.17g * sum of %u (%s + %" PRId64 ") * (%s + %" PRId64 ")%s%s",
                      wm_dtype_info[e->src_dtype].name, e->scale, e->rank, wm_dtype_info[e->factor[0]].name,
                      e->stride[0], wm_dtype_info[e->factor[1]].name, e->stride[1],
                      e->mode == WM_LR_STEPWISE ? ", stepwise" : "", e->nstep ? "," : "");
    if (e->kind == WM_EL_SCALED)
        wm_buf_printf(x->out, " %s * %s%s", wm_dtype_info[e->src_dtype].name, wm_dtype_info[e->factor[0]].name,
                      e->nstep ? "," : "");
    for (uint32_t i = 0; i < e->nstep; i++) {
        const struct wm_plan_step *s = &x->step[e->step + i];

        wm_buf_printf(x->out, "%s %s", i ? "," : "", step_name[s->kind]);
        if (s->kind == WM_SP_CAST || s->kind == WM_SP_UNCAST)
            wm_buf_printf(x->out, " %s to %s", wm_dtype_info[s->from].name,
                          wm_dtype_info[s->to].name);
        else if (s->kind == WM_SP_ADD || s->kind == WM_SP_MUL)
            wm_buf_printf(x->out, " %.17g", s->value);
        if (s->lossy)
            wm_buf_putz(x->out, " lossy");
    }
    if (e->note.len) {
        wm_buf_putz(x->out, "  # ");
        put_text(x, e->note);
    }
    wm_buf_putc(x->out, '\n');
}

static void
put_dims(struct print *x, const struct wm_plan_box *b, int side)
{
    wm_buf_putc(x->out, '[');
    for (uint32_t k = 0; k < b->rank; k++) {
        const struct wm_plan_dim *d = &x->dim[b->dim + k];

        wm_buf_printf(x->out, "%s%" PRId64 ":%" PRId64, k ? " " : "", d->extent,
                      side < 0 ? d->dst : d->src[side]);
    }
    wm_buf_putc(x->out, ']');
}

static void
print_geom(struct print *x, const struct wm_plan_geom *g, uint64_t id)
{
    const struct wm_plan_box *box = wm_plan_section(x->p, WM_PS_BOX, NULL);

    wm_buf_printf(x->out, "geometry %" PRIu64 ": %" PRId64 " units of %u bytes, %u operands\n", id,
                  g->nunit, g->unit, g->nslot);
    for (uint64_t i = g->box; i < g->box + g->nbox; i++) {
        const struct wm_plan_box *b = &box[i];

        wm_buf_printf(x->out, "  %" PRId64 ": ", b->dst_base);
        put_dims(x, b, -1);
        wm_buf_putz(x->out, " <-");
        if (b->elem)
            wm_buf_printf(x->out, " #%u", b->elem);
        for (uint32_t s = 0; s < b->nsrc; s++) {
            wm_buf_printf(x->out, "%s %%%u", s ? "," : "", b->slot[s]);
            if (b->src_base[s])
                wm_buf_printf(x->out, " + %" PRId64, b->src_base[s]);
            wm_buf_putc(x->out, ' ');
            put_dims(x, b, (int)s);
        }
        wm_buf_putc(x->out, '\n');
    }
}

static void
print_out(struct print *x, const struct wm_plan_out *o)
{
    const struct wm_plan_geom *geom = wm_plan_section(x->p, WM_PS_GEOM, NULL);
    const struct wm_plan_in *in = wm_plan_section(x->p, WM_PS_IN, NULL);

    if (o->file == WM_NONE)
        wm_buf_putz(x->out, "check ");
    else
        wm_buf_printf(x->out, "  at %" PRIu64 ": ", o->off);
    if (o->name.len || o->file == WM_NONE) {
        put_text(x, o->name);
        put_shape(x, o->dtype, o->shape, o->rank);
    } else {
        wm_buf_printf(x->out, "%" PRIu64 " bytes between tensors", o->nbytes);
    }
    if (o->codec != WM_CODEC_RAW)
        wm_buf_printf(x->out, " as %s", codec_name[o->codec]);
    wm_buf_printf(x->out, " = geometry %u (", o->geom);
    for (uint32_t s = 0; s < geom[o->geom].nslot; s++) {
        wm_buf_putz(x->out, s ? ", " : "");
        put_text(x, in[x->slot[o->slot + s]].name);
    }
    wm_buf_putc(x->out, ')');
    if (o->where.len) {
        wm_buf_putz(x->out, "  # ");
        wm_buf_safe(x->out, wm_plan_str(x->p, o->where), 0);
    }
    wm_buf_putc(x->out, '\n');
}

static void
print_inputs(struct print *x)
{
    uint64_t nfile, nin;
    const struct wm_plan_infile *file = wm_plan_section(x->p, WM_PS_INFILE, &nfile);
    const struct wm_plan_in *in = wm_plan_section(x->p, WM_PS_IN, &nin);

    for (uint64_t i = 0; i < nfile; i++) {
        wm_buf_printf(x->out, "input file %" PRIu64 ": ", i);
        if (file[i].codec == WM_CODEC_RAW) {
            put_text(x, file[i].path);
            wm_buf_printf(x->out, " %" PRIu64 " bytes\n", file[i].size);
            continue;
        }
        wm_buf_printf(x->out, "%s", codec_name[file[i].codec]);
        if (file[i].codec != WM_CODEC_BLOB)
            wm_buf_printf(x->out, " of file %u at %" PRIu64 ", %" PRIu64 " bytes,", file[i].of, file[i].lo,
                          file[i].len);
        wm_buf_printf(x->out, " %" PRIu64 " bytes\n", file[i].nbytes);
    }
    for (uint64_t i = 0; i < nin; i++) {
        wm_buf_putz(x->out, "input ");
        put_text(x, in[i].name);
        put_shape(x, in[i].dtype, in[i].shape, in[i].rank);
        if (in[i].stride != WM_NONE) {
            wm_buf_putz(x->out, " strides [");
            for (uint32_t k = 0; k < in[i].rank; k++)
                wm_buf_printf(x->out, "%s%" PRId64, k ? ", " : "", x->shape[in[i].stride + k]);
            wm_buf_putc(x->out, ']');
        }
        if (in[i].origin != WM_NONE) {
            wm_buf_putz(x->out, " part at [");
            for (uint32_t k = 0; k < in[i].rank; k++)
                wm_buf_printf(x->out, "%s%" PRId64, k ? ", " : "", x->shape[in[i].origin + k]);
            wm_buf_putc(x->out, ']');
        }
        wm_buf_printf(x->out, ": file %u at %" PRIu64 ", %" PRIu64 " bytes\n", in[i].file,
                      in[i].off, in[i].nbytes);
    }
}

/* Further names of outputs, and check sums. */
static void
print_small(struct print *x)
{
    uint64_t nshared, nsum, ninsum;
    const struct wm_plan_shared *shared = wm_plan_section(x->p, WM_PS_SHARED, &nshared);
    const struct wm_plan_sum *sum = wm_plan_section(x->p, WM_PS_SUM, &nsum);
    const struct wm_plan_insum *insum = wm_plan_section(x->p, WM_PS_INSUM, &ninsum);
    const struct wm_plan_out *out = wm_plan_section(x->p, WM_PS_OUT, NULL);

    for (uint64_t i = 0; i < nshared; i++) {
        const struct wm_plan_out *o = &out[shared[i].of];

        wm_buf_putz(x->out, "shared ");
        put_text(x, shared[i].name);
        put_shape(x, o->dtype, shared[i].shape, shared[i].rank);
        wm_buf_putz(x->out, " = ");
        put_text(x, o->name);
        wm_buf_putc(x->out, '\n');
    }
    for (uint64_t i = 0; i < nsum; i++) {
        wm_buf_printf(x->out, "crc-32 of file %u [%" PRIu64 ", %" PRIu64 ") to", sum[i].file, sum[i].lo, sum[i].hi);
        for (uint32_t k = 0; k < sum[i].nfield; k++)
            wm_buf_printf(x->out, "%s %" PRIu64, k ? "," : "", sum[i].field[k]);
        wm_buf_putc(x->out, '\n');
    }
    for (uint64_t i = 0; i < ninsum; i++) {
        wm_buf_printf(x->out, "crc-32 of input file %u [%" PRIu64 ", %" PRIu64 ") is %08" PRIx32 " ", insum[i].file,
                      insum[i].lo, insum[i].hi, insum[i].crc);
        put_text(x, insum[i].name);
        wm_buf_putc(x->out, '\n');
    }
}

static void
print_outputs(struct print *x)
{
    uint64_t nfile, nout, nside, done = 0;
    const struct wm_plan_outfile *file = wm_plan_section(x->p, WM_PS_OUTFILE, &nfile);
    const struct wm_plan_out *out = wm_plan_section(x->p, WM_PS_OUT, &nout);
    const struct wm_plan_sidecar *side = wm_plan_section(x->p, WM_PS_SIDECAR, &nside);

    for (uint64_t i = 0; i < nfile; i++) {
        wm_buf_putz(x->out, "output file ");
        put_text(x, file[i].name);
        wm_buf_printf(x->out, " %" PRIu64 " bytes, head %" PRIu64 ", tail %" PRIu64 "\n",
                      file[i].size, file[i].head.len, file[i].tail.len);
        for (uint64_t k = file[i].first; k < file[i].first + file[i].ntensor; k++)
            print_out(x, &out[k]);
        done = file[i].first + file[i].ntensor;
    }
    for (uint64_t k = done; k < nout; k++)
        print_out(x, &out[k]);
    print_small(x);
    for (uint64_t i = 0; i < nside; i++) {
        wm_buf_putz(x->out, "sidecar ");
        put_text(x, side[i].name);
        if (side[i].from.len) {
            wm_buf_putz(x->out, " from ");
            put_text(x, side[i].from);
            wm_buf_putc(x->out, '\n');
        } else {
            wm_buf_printf(x->out, " %" PRIu64 " bytes\n", side[i].bytes.len);
        }
    }
}

void
wm_plan_print(const struct wm_plan *p, struct wm_buf *out)
{
    uint64_t nelem, ngeom;
    const struct wm_plan_elem *elem = wm_plan_section(p, WM_PS_ELEM, &nelem);
    const struct wm_plan_geom *geom = wm_plan_section(p, WM_PS_GEOM, &ngeom);
    struct print x = {.p = p,
                      .out = out,
                      .dim = wm_plan_section(p, WM_PS_DIM, NULL),
                      .elem = elem,
                      .step = wm_plan_section(p, WM_PS_STEP, NULL),
                      .shape = wm_plan_section(p, WM_PS_SHAPE, NULL),
                      .slot = wm_plan_section(p, WM_PS_SLOT, NULL)};

    wm_buf_printf(out, "plan %d: %" PRIu64 " bytes out\n", WM_PLAN_VERSION, p->head->out_bytes);
    print_inputs(&x);
    for (uint64_t i = 1; i < nelem; i++) /* 0 is the copy */
        print_elem(&x, i);
    for (uint64_t i = 0; i < ngeom; i++)
        print_geom(&x, &geom[i], i);
    print_outputs(&x);
}
