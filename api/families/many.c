/* api/families/many.c -- no model: many small tensors, for measuring what each of them costs. */
#include "api/gen_family.h"

static const struct wm_gen_row rows[] = {
    WM_SET("num_blocks", "4", "groups of tensors"),
    WM_SET("tensors_per_block", "5", "tensors of a group"),
    WM_SET("width", "64", "elements of a tensor"),

    WM_INDEX("block", "num_blocks"),
    WM_INDEX("tensor", "tensors_per_block"),

    WM_TENSOR("model.blocks.{block}.{tensor}.weight", "width"),
    WM_END,
};

const struct wm_gen_family wm_gen_many = {"many", "ManyTensors", "many small tensors, no model",
                                          "bf16", rows};
