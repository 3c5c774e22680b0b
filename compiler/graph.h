/* compiler/graph.h -- the bound graph: tensors of both sides and the boxes between them.
 *
 * A stage moves one set of tensors to another; a map is a few stages (files -> keys, shards -> whole tensors, rules,
 * and the same outwards), a composition more of them.  Stages are fused pairwise by composing boxes, so that only one
 * is left: from the input's tensors to the output's.  Tensors with equal geometry share it. */
#ifndef WM_COMPILER_GRAPH_H
#define WM_COMPILER_GRAPH_H

#include "base/dtype.h"
#include "compiler/imap.h"
#include "compiler/module.h"
#include "runtime/plan.h"

/* A tensor of a set.  `file` is the path of its file inside the checkpoint, or empty where the side names none.
 * `key` is its name; for a tensor that lives on one value of a file index, the place follows behind a NUL:
 * "k_proj.weight\0rank=3" (see wm_place_*). */
struct wm_gt {
    struct wm_str file, key;
    enum wm_dtype dtype;
    uint32_t rank;
    const int64_t *shape;
};

struct wm_tset {
    WM_VEC(struct wm_gt) t;
    struct wm_map by_key;           /* key -> number (only of sets without files, or after placing) */
};

enum { WM_GEOM_IDENTITY = 0 };      /* geometry 0 copies the whole of slot 0 */

struct wm_geom {
    struct wm_imap map;             /* slots are local: 0 .. nslot-1 */
    uint32_t nslot;
};

/* How an output tensor, or a check, is made. */
struct wm_make {
    uint32_t geom;
    uint32_t slot;                  /* first in stage.slot; [geom.nslot] input tensors */
    int64_t nunit;                  /* elements (of a check: comparisons) */
    const struct wm_rule *rule;     /* for messages; may be NULL */
    struct wm_span span;
    bool replica;                   /* a check of copies (--trust-replicas leaves it out) */
    bool pad;                       /* a check of padding (--strict-pad makes it) */
};

struct wm_stage {
    struct wm_tset *in, *out;
    WM_VEC(struct wm_make) make;    /* [out->t.n], parallel */
    WM_VEC(struct wm_make) check;
    WM_VEC(uint32_t) slot;          /* numbers of `in` tensors */
};

/* Element operations of a graph; id 0 is the copy. */
struct wm_elem {
    enum wm_elem_kind kind;
    enum wm_dtype from, to;         /* of CHAIN, LOWRANK, SCALED; FILL: to */
    const struct wm_plan_step *step;
    uint32_t nstep;
    uint8_t pattern[16];
    struct wm_str note;
    /* of LOWRANK, and factor[0] of SCALED: `from` is the weight's type; see struct wm_plan_elem */
    uint32_t rank;
    bool stepwise;
    enum wm_dtype factor[2];
    int64_t stride[2];
    double scale;
};

/* A small file that goes with the output. */
struct wm_small {
    struct wm_str name, text;
};

/* What an adapter changes: its name, and the number of a tensor of the adapter that goes into it. */
struct wm_adapted_key {
    struct wm_str key;
    uint32_t t;
};

struct wm_bind;

struct wm_graph {
    struct wm_cc *cc;
    WM_VEC(struct wm_geom) geom;
    WM_VEC(struct wm_elem) elem;
    const struct wm_manifest *manifest;
    struct wm_stage *stage;         /* the fused one: tensors of the manifest, by number -> output tensors */
    struct wm_bind *out_bind;       /* of the last link: its side's items */
    struct wm_str out_format;       /* of the map's side; may be empty */
    struct wm_str out_root;         /* where in its files the tensors go; may be empty */
    struct wm_str out_file;         /* the side's only file, where its name is fixed; may be empty */
    WM_VEC(struct wm_str) out_files; /* files that the output must have even where they hold nothing (ranks) */
    WM_VEC(struct wm_str) carry;    /* sidecar files: paths relative to the input's directory */
    bool no_emit;                   /* the small files of the output are `small`, not those of the map's side */
    WM_VEC(struct wm_small) small;
    WM_VEC(struct wm_adapted_key) adapted;
    struct wm_str adapter_into;     /* the side in whose layout the adapter was merged, where that is written; or empty */
    WM_VEC(struct wm_str) not_carried; /* keys of rules for the other direction only */
};

struct wm_stage *wm_stage_new(struct wm_graph *g, struct wm_tset *in);
uint32_t wm_graph_elem(struct wm_graph *g, const struct wm_elem *e);   /* finds an equal one or adds */
uint32_t wm_graph_geom(struct wm_graph *g, const struct wm_imap *m, uint32_t nslot); /* adds */
struct wm_gt *wm_tset_add(struct wm_cc *cc, struct wm_tset *ts, const struct wm_gt *t);

int64_t wm_gt_numel(const struct wm_gt *t);
/* One more output of a stage: input tensor number `in`, unchanged, under the name and file of `as`. */
void wm_stage_pass(struct wm_graph *g, struct wm_stage *s, uint32_t in, const struct wm_gt *as);

/* first then second, as one.  False: too many boxes (reported). */
struct wm_stage *wm_stage_fuse(struct wm_graph *g, struct wm_stage *first, struct wm_stage *second);

/* "first inner, then outer" for wm_imap_compose; user = the graph.  Constants are folded.  A check (IS_FILL) of what is
 * a FILL of the same constant gives that FILL: such boxes need no check.  WM_NONE: the two do not combine, or the
 * constant has no image (a cast that it does not survive, a check of it that can only fail). */
uint32_t wm_elem_join(void *graph, uint32_t outer, uint32_t inner);

/* Keys with places: "key" + NUL + "rank=3,stage=0"; parts in the order of the index numbers. */
struct wm_str wm_place_key(struct wm_str joined);    /* the part before NUL */
struct wm_str wm_place_of(struct wm_str joined);     /* the part behind it, or empty */
bool wm_place_get(struct wm_str joined, struct wm_str name, int64_t *value);
/* For messages: `key` or `key (rank=3)`. */
struct wm_str wm_place_show(struct wm_arena *a, struct wm_str joined);

#endif
