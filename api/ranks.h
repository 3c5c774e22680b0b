/* api/ranks.h -- directories of rank files: which ranks there are, and what each tensor is over them.
 *
 * rank_files.c tells by the names of the files whether a directory is one, and that no rank is missing or stray;
 * rank_meta.c reads what training wrote about it; rank_tensors.c compares what the ranks hold; rank_print.c says so. */
#ifndef WM_API_RANKS_H
#define WM_API_RANKS_H

#include "api/ctx.h"
#include "api/out.h"

struct cJSON;

enum wm_rank_axis { WM_AX_TP, WM_AX_PP, WM_AX_EP, WM_AX_DP, WM_AX_PART, WM_AX_N };
extern const char *const wm_rank_axis_name[WM_AX_N];

struct wm_rank_file {
    struct wm_str name;         /* relative to the directory */
    uint32_t at[WM_AX_N];       /* its numbers; 0 where the name has none */
    uint32_t file;              /* in the manifest; WM_NONE before it is open */
};

/* A metadata file of a pipeline stage. */
struct wm_rank_meta {
    struct wm_str path;
    const struct cJSON *parameters, *specs;
};

struct wm_ranks {
    const char *layout;         /* "optimum-neuron" */
    struct wm_str dir;          /* of the checkpoint, as named */
    uint32_t has;               /* bits of the axes that the names tell */
    uint32_t count[WM_AX_N];    /* ranks of each axis; parts: 0 */
    uint32_t base;              /* the first number of tp: 0, of some 1 */
    struct wm_rank_file *file;  /* [nfile], ascending (pp, ep, tp, part) */
    uint32_t nfile;
    struct wm_str *left_out;    /* [nleft] files beside that are of no rank */
    uint32_t nleft;
    bool second_is_open;        /* of Megatron: the second number may be pp or ep; the tensors tell */
    struct wm_rank_meta *meta;  /* [count[PP]], or NULL */
    bool unfinished;            /* the file that is written last is not beside the metadata */
};

/* The ranks of a directory, by the names in it; *out stays NULL where it is none.  Missing and stray ones are errors. */
enum wm_status wm_ranks_list(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_str dir, struct wm_ranks **out,
                             struct wm_err *err);
/* The same of an open directory whose files are like each other and hold tensors of the same names. */
enum wm_status wm_ranks_guess(struct wm_arena *a, const struct wm_manifest *m, struct wm_ranks **out, struct wm_err *err);
/* Read and compare with the files what stands beside them. */
enum wm_status wm_ranks_read_meta(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_ranks *r, struct wm_err *err);
/* Order, and no rank missing, twice or stray. */
enum wm_status wm_ranks_complete(struct wm_arena *a, struct wm_ranks *r, struct wm_err *err);

/* Does a name fit a template with {tp}, {pp}, ..?  Its numbers go to at[WM_AX_N], their axes to *has. */
bool wm_rank_match(const char *tmpl, struct wm_str s, uint32_t *at, uint32_t *has);

/* "tp 3, pp 0": those of `axes` that the layout has. */
struct wm_str wm_rank_show(struct wm_arena *a, const struct wm_ranks *r, const uint32_t *at, uint32_t axes);

/* What a metadata file says of a tensor. */
struct wm_rank_said {
    bool known, cut;
    uint32_t dim, stride, copies;     /* stride: equal parts, each of them cut; copies: of the whole over the ranks */
    struct wm_str part[3];            /* parts of what a rank holds, in order */
    int64_t part_size[3];
    uint32_t npart;
};
enum wm_status wm_rank_said_of(struct wm_arena *a, const struct wm_ranks *r, uint32_t pp, struct wm_str name,
                               struct wm_rank_said *out, struct wm_err *err);

/* Is all that they name among `have`, whose keys are "STAGE:NAME"? */
enum wm_status wm_rank_meta_names(struct wm_arena *a, const struct wm_ranks *r, const struct wm_map *have, struct wm_err *err);

enum wm_rank_kind {
    WM_RK_WHOLE,     /* of one rank */
    WM_RK_CUT,
    WM_RK_REPLICA,
    WM_RK_LACKING    /* some ranks have it, others not; or with another dtype */
};

/* A tensor over the ranks of a stage. */
struct wm_rtensor {
    struct wm_str name;
    uint32_t pp;
    uint32_t *id;           /* [EP * TP] in the manifest, or WM_NONE */
    uint32_t nid;           /* of them there */
    uint32_t *cls;          /* [EP * TP] ranks with the same number hold the same bytes */
    uint32_t zero;          /* the class of several ranks that hold zeros alone; or WM_NONE */
    enum wm_rank_kind kind;
    bool by_metadata;
    bool agree;             /* false: copies differ, or a rank lacks it */
    bool ep_differ;         /* each ep rank has its own */
    struct wm_rank_said said;
    int32_t dim;            /* of CUT; -1: the files don't tell */
    bool even;
    int64_t whole;          /* length of that dimension over the ranks */
};

struct wm_rank_tensors {
    struct wm_rtensor *item;
    uint32_t n;
};

/* Group, compare bytes, judge. */
enum wm_status wm_ranks_judge(struct wmap_ctx *ctx, struct wm_arena *a, struct wm_ranks *r, const struct wmap_checkpoint *c,
                              struct wm_rank_tensors *out, struct wm_err *err);

/* What a rank holds first of the tensor. */
const struct wm_mtensor *wm_rtensor_first(const struct wm_rtensor *t, const struct wm_ranks *r, const struct wm_manifest *m);

void wm_ranks_text(const struct wmap_checkpoint *c, struct wm_arena *a, const struct wm_rank_tensors *t, struct wm_out *o);
void wm_ranks_json(const struct wmap_checkpoint *c, struct wm_arena *a, const struct wm_rank_tensors *t, struct wm_out *o);

#endif
