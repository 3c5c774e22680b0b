/* api/gen.h -- what the files of `gen` share: the model as a list of tensors, and the writer. */
#ifndef WM_API_GEN_H
#define WM_API_GEN_H

#include "api/ctx.h"
#include "api/gen_family.h"

struct wm_gen_tensor {
    struct wm_str name;
    enum wm_dtype dtype;
    uint32_t rank;
    const int64_t *shape;
    uint64_t nbytes;
};

struct wm_gen_model {
    struct wmap_ctx *ctx;
    struct wm_arena *a;
    const struct wm_gen_family *family;
    struct wm_gen_env env;
    enum wm_dtype dtype;
    uint64_t seed;
    WM_VEC(struct wm_gen_tensor) tensor; /* in the order of a state dict */
    uint64_t nbytes;
};

/* Settings from "NAME=VALUE" (and presets), then the tensors that follow from them. */
enum wm_status wm_gen_model_init(struct wm_gen_model *m, const wmap_gen_options *o,
                                 struct wm_err *err);
/* config.json as Hugging Face writes it: two spaces, the family's order. */
struct wm_str wm_gen_config(const struct wm_gen_model *m);
enum wm_status wm_gen_write(struct wm_gen_model *m, const wmap_gen_options *o,
                            wmap_run_result *result, struct wm_err *err);

#endif
