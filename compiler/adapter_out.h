/* compiler/adapter_out.h -- the adapter itself, converted: what its two files share. */
#ifndef WM_COMPILER_ADAPTER_OUT_H
#define WM_COMPILER_ADAPTER_OUT_H

#include "compiler/bind.h"

/* A set of rows (or columns) of a weight that is written, as a nest in each of the two tensors that know them. */
struct wm_lines_of {
    int64_t first, count;        /* the least of them; how many */
    int64_t from;                /* where they begin in the factor, in elements */
    uint32_t rank;
    struct {
        int64_t extent, to, from; /* strides: in lines of the weight, in elements of the factor */
    } dim[WM_MAX_RANK];
};

/* A pair of factors, with the part of the weight that their product goes into: rows times columns. */
struct wm_lora_pair {
    uint32_t tensor[2];          /* of the adapter: that of the rows, that of the columns */
    enum wm_dtype dtype;
    uint32_t r;
    int64_t step[2];             /* of the rank in either */
    int64_t base[2];             /* where the rank begins in either: the same number is the same pair */
    double scale;
    WM_VEC(struct wm_lines_of) line[2];
    uint32_t nbox;
    int64_t count;
    bool flipped;                /* the rows are those of A */
    int64_t at;                  /* its first rank in what is written */
};

/* A weight that is written and has pairs. */
struct wm_adapted {
    struct wm_str key, module;   /* "x.y.weight", "x.y" */
    int64_t size[2];             /* rows, columns */
    struct wm_span span;
    WM_VEC(struct wm_lora_pair) product;
    WM_VEC(struct wm_lines_of) rest[2]; /* rows and columns of what no pair goes into */
    int64_t r;                   /* of all pairs */
    double scale;
    bool embedding, flipped;
};

struct wm_adapter_out {
    struct wm_bind *b;
    const struct wm_adapter *ad;
    uint32_t nbase;              /* tensors of the manifest before the adapter's */
    struct wm_stage *from;       /* what merging would make */
    struct wm_stage *st;         /* the adapter's tensors that are made */
    WM_VEC(struct wm_adapted) weight;
    WM_VEC(struct wm_str) saved; /* modules of whole tensors */
};

/* The rows and columns of a box: of a factor each; `flip`: those of B are the columns. */
bool wm_lines_of_box(const struct wm_imap *m, const struct wm_box *b, int64_t cols, bool flip, struct wm_lines_of line[2]);
/* The same lines, and (from) at the same place of the factor? */
bool wm_lines_same(const struct wm_lines_of *x, const struct wm_lines_of *y, bool from);
/* Where the rank begins in a factor, and where the lines begin; false: the rank is no side of a matrix, or part of one. */
bool wm_lines_split(const struct wm_mtensor *t, int64_t base, int64_t step, uint32_t r, int64_t *rank, int64_t *line);

/* adapter_config.json, hyperparameters.yaml of what is written; false: reported. */
bool wm_adapter_config_peft(struct wm_adapter_out *x);
bool wm_adapter_config_litgpt(struct wm_adapter_out *x);

bool wm_adapter_fail(struct wm_adapter_out *x, struct wm_str module, const char *why);

#endif
