/* api/gen_write.c -- a generated model on its way to disk.
 *
 * The files are laid out as a plan without boxes, so that the same code as for a run makes them
 * appear whole or not at all; their tensors are computed piece by piece on several threads. */
#include "api/gen.h"
#include "api/gen_fill.h"
#include "api/parallel.h"
#include "base/checked.h"
#include "runtime/format.h"
#include "runtime/io.h"
#include "runtime/sums.h"

enum { PIECE = 1 << 20 };

#define SHARD_DEFAULT UINT64_C(5000000000)

/* A run of a tensor's place in its file. */
struct place {
    uint32_t tensor, file;
    uint64_t off;
    uint64_t first_piece;
};

/* What a container has between the tensors of a file. */
struct between {
    uint32_t file;
    struct wm_wpiece piece;
};

struct writer {
    struct wm_gen_model *m;
    struct place *place; /* [m->tensor.n], in the order of the files */
    uint64_t npiece;
    const struct wm_format *format;
    WM_VEC(struct between) between;
    struct wm_sums sums;
    unsigned char **buffer; /* of each thread */
    const char *path;
    atomic_uint_least64_t done;
    struct wm_progress progress;
};

static enum wm_status
write_piece(void *user, unsigned thread, uint64_t i, struct wm_err *err)
{
    struct writer *w = user;
    uint32_t lo = 0, hi = w->m->tensor.n;
    const struct place *p;
    const struct wm_gen_tensor *t;
    struct wm_gen_fill fill;
    uint64_t at, n, unit, done;
    enum wm_status st;

    while (lo + 1 < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (w->place[mid].first_piece <= i)
            lo = mid;
        else
            hi = mid;
    }
    p = &w->place[lo];
    t = &w->m->tensor.item[p->tensor];
    at = (i - p->first_piece) * PIECE;
    n = t->nbytes - at < PIECE ? t->nbytes - at : PIECE;
    wm_gen_fill_init(&fill, t->dtype, t->name, w->m->seed);
    unit = wm_dtype_info[fill.dtype].bits < 8 ? 1 : wm_dtype_info[fill.dtype].bits / 8u;
    wm_gen_fill_range(&fill, at / unit, n / unit, w->buffer[thread]);
    st = wm_io_pwrite(w->m->ctx->sys, wm_output_fd(w->m->ctx->running, p->file), w->path,
                      w->buffer[thread], n, p->off + at, err);
    wm_sums_add(&w->sums, p->file, p->off + at, w->buffer[thread], n);
    done = atomic_fetch_add(&w->done, n) + n;
    if (st == WM_OK && wm_progress_call(&w->progress, done, w->m->nbytes))
        st = wm_fail(err, WM_ELIMIT, NULL, "interrupted");
    return st;
}

/* ---- files ---- */

/* Shards are runs of the state dict: each is filled until the limit would be passed, or has one tensor where the
 * container holds no more.  first[k] is the first tensor of shard k, first[n] the number of tensors. */
static uint32_t
assign_shards(const struct wm_gen_model *m, uint64_t limit, bool single, uint32_t *first)
{
    uint64_t size = 0;
    uint32_t n = 0;

    first[0] = 0;
    for (uint32_t k = 0; k < m->tensor.n; k++) {
        uint64_t nbytes = m->tensor.item[k].nbytes;

        if (single ? k > 0 : size && nbytes > limit - size) {
            first[++n] = k;
            size = 0;
        }
        size =
            nbytes > limit - size ? limit : size + nbytes; /* one larger than the limit is alone */
    }
    first[++n] = m->tensor.n;
    return n;
}

/* Lay out a file of the tensors [from, to); their places come behind those of the files before. */
static enum wm_status
add_file(struct writer *w, struct wm_plan_builder *b, struct wm_str name, uint32_t file, uint32_t from, uint32_t to,
         struct wm_err *err)
{
    struct wm_gen_model *m = w->m;
    struct wm_wtensor *t = WM_NEW_N(m->a, struct wm_wtensor, to - from);
    struct wm_plan_outfile rec = {.first = from, .ntensor = to - from, .order = file};
    struct wm_wfile layout;
    enum wm_status st;

    for (uint32_t k = from; k < to; k++) {
        const struct wm_gen_tensor *g = &m->tensor.item[k];

        t[k - from] = (struct wm_wtensor){.name = g->name,
                                          .dtype = g->dtype,
                                          .rank = g->rank,
                                          .shape = g->shape,
                                          .nbytes = g->nbytes,
                                          .user = k,
                                          .same = WM_NONE};
    }
    if ((st = w->format->layout(m->a, t, to - from, &(struct wm_wopts){.name = name}, &layout, err)) != WM_OK)
        return st;
    for (uint32_t k = from; k < to; k++) {
        const struct wm_wtensor *x = &t[k - from];

        w->place[k] = (struct place){x->user, file, x->off, w->npiece};
        w->npiece += (x->nbytes + PIECE - 1) / PIECE;
    }
    for (uint32_t k = 0; k < layout.piece.n; k++)
        *WM_PUSH(m->a, &w->between) = (struct between){file, layout.piece.item[k]};
    for (uint32_t k = 0; k < layout.sum.n; k++) {
        const struct wm_wsum *s = &layout.sum.item[k];
        struct wm_plan_sum sum = {file, s->nfield, s->lo, s->hi, {s->field[0], s->field[1]}};

        wm_plan_add(b, WM_PS_SUM, &sum, sizeof(sum), 1);
    }
    rec.name = wm_plan_add_text(b, name);
    rec.size = layout.size;
    rec.head = wm_plan_add_bytes(b, layout.head.p, layout.head.n);
    rec.tail = wm_plan_add_bytes(b, layout.tail.p, layout.tail.n);
    wm_plan_add(b, WM_PS_OUTFILE, &rec, sizeof(rec), 1);
    return WM_OK;
}

static void
add_index(struct wm_gen_model *m, struct wm_plan_builder *b, const struct wm_format *f,
          const uint32_t *first, const struct wm_str *file, uint32_t nfile)
{
    struct wm_indexed *x = WM_NEW_N(m->a, struct wm_indexed, m->tensor.n);
    struct wm_plan_outfile rec = {.first = m->tensor.n, .order = nfile};

    for (uint32_t k = 0, s = 0; k < m->tensor.n; k++) {
        s += k == first[s + 1];
        x[k] = (struct wm_indexed){m->tensor.item[k].name, file[s]};
    }
    rec.name = wm_plan_add_text(b, wm_str_c(f->index_name));
    rec.head = wm_format_add_index(f, b, x, m->tensor.n, m->nbytes);
    rec.size = rec.head.len;
    wm_plan_add(b, WM_PS_OUTFILE, &rec, sizeof(rec), 1);
}

/* The plan: files with their constant bytes, and config.json; the places of the tensors are in w.
 */
static enum wm_status
lay_out(struct writer *w, uint64_t limit, struct wm_plan *plan, uint32_t *nfile, struct wm_err *err)
{
    struct wm_gen_model *m = w->m;
    const struct wm_format *f = w->format;
    uint32_t *first = WM_NEW_N(m->a, uint32_t, (size_t)m->tensor.n + 1);
    struct wm_plan_sidecar config = {0};
    struct wm_plan_builder b;
    struct wm_str *name, text;
    uint64_t size;
    enum wm_status st = WM_OK;

    wm_plan_builder_init(&b, m->a);
    w->place = WM_NEW_N(m->a, struct place, m->tensor.n);
    *nfile = assign_shards(m, limit ? limit : SHARD_DEFAULT, f->single, first);
    name = WM_NEW_N(m->a, struct wm_str, *nfile);
    for (uint32_t k = 0; k < *nfile && st == WM_OK; k++) {
        if (f->single)
            name[k] = wm_arena_printf(m->a, "%.*s%s", WM_STR_ARG(m->tensor.item[k].name), f->suffix);
        else
            name[k] = wm_format_shard_name(f, m->a, k + 1, *nfile);
        st = add_file(w, &b, name[k], k, first[k], first[k + 1], err);
    }
    if (st != WM_OK)
        return st;
    if (*nfile > 1 && f->index)
        add_index(m, &b, f, first, name, *nfile);
    text = wm_gen_config(m);
    config.name = wm_plan_add_text(&b, WM_STR("config.json"));
    config.bytes = wm_plan_add_bytes(&b, text.p, text.n);
    wm_plan_add(&b, WM_PS_SIDECAR, &config, sizeof(config), 1);
    *plan = (struct wm_plan){wm_plan_finish(&b, &size)};
    return WM_OK;
}

/* Small: headers of entries. */
static enum wm_status
write_between(struct writer *w, struct wm_err *err)
{
    enum wm_status st = WM_OK;

    for (uint32_t k = 0; k < w->between.n && st == WM_OK; k++) {
        const struct wm_wpiece *p = &w->between.item[k].piece;
        uint32_t file = w->between.item[k].file;

        st = wm_io_pwrite(w->m->ctx->sys, wm_output_fd(w->m->ctx->running, file), w->path, p->bytes, p->len, p->off,
                          err);
        wm_sums_add(&w->sums, file, p->off, p->bytes, p->len);
    }
    return st;
}

static enum wm_status
write_all(struct writer *w, const wmap_gen_options *o, struct wm_err *err)
{
    const struct wm_sys *sys = w->m->ctx->sys;
    unsigned threads = wm_work_threads(&o->work);
    struct wm_parallel run = {.piece = write_piece, .user = w, .sys = sys, .n = w->npiece};
    enum wm_status st = write_between(w, err);

    if (threads > wm_work_memory(&o->work) / PIECE)
        threads = (unsigned)(wm_work_memory(&o->work) / PIECE);
    run.threads = threads ? threads : 1;
    w->buffer = WM_NEW_N(w->m->a, unsigned char *, run.threads);
    for (unsigned k = 0; k < run.threads && st == WM_OK; k++)
        if (!(w->buffer[k] = sys->malloc(PIECE)))
            st = wm_fail(err, WM_ENOMEM, NULL, "out of memory for buffers");
    if (st == WM_OK)
        st = wm_parallel_run(&run, err);
    for (unsigned k = 0; k < run.threads; k++)
        sys->free(w->buffer[k]);
    return st;
}

static enum wm_status
commit(struct writer *w, struct wm_output *out, struct wm_err *err)
{
    uint32_t *sum = WM_NEW_N(w->m->a, uint32_t, w->sums.n);

    wm_sums_take(&w->sums, sum);
    wm_output_sums(out, sum, NULL);
    return wm_output_commit(out, err);
}

enum wm_status
wm_gen_write(struct wm_gen_model *m, const wmap_gen_options *o, wmap_run_result *result,
             struct wm_err *err)
{
    struct writer w = {.m = m, .path = o->output, .progress = {m->ctx, &o->work}};
    struct wm_output_opts opts = {
        .force = o->force, .fsync = o->fsync, .is_dir = true, .sparse = o->sparse};
    struct wm_output **running = &m->ctx->running;
    struct wm_plan plan;
    uint32_t nfile;
    enum wm_status st = wm_ctx_stopped(m->ctx, err) ? WM_ELIMIT : WM_OK;

    atomic_init(&w.done, 0);
    if (st == WM_OK)
        st = wm_out_format(m->a, wm_str_c(o->format ? o->format : "safetensors"), &w.format, err);
    if (st == WM_OK && o->sparse && o->format && strcmp(o->format, "safetensors") != 0)
        st = wm_fail(err, WM_EUSAGE, NULL, "only safetensors files can be sparse, not %s",
                     o->format);
    if (st == WM_OK)
        st = lay_out(&w, o->max_shard_size, &plan, &nfile, err);
    if (st == WM_OK)
        st = wm_sums_open(&w.sums, &plan, m->ctx->sys, err);
    if (st == WM_OK)
        st = wm_output_open(m->a, m->ctx->sys, wm_str_c(o->output), &plan, &opts, running, err);
    if (st == WM_OK && !o->sparse)
        st = write_all(&w, o, err);
    if (st == WM_OK && wm_ctx_stopped(m->ctx, err))
        st = WM_ELIMIT;
    if (st == WM_OK)
        st = commit(&w, *running, err);
    wm_output_abort(*running);
    *running = NULL;
    wm_sums_close(&w.sums);
    if (st == WM_OK && result)
        *result =
            (wmap_run_result){.ntensor = m->tensor.n, .nfile = nfile, .bytes_written = m->nbytes};
    return st;
}
