/* runtime/formats/torch_format.c -- PyTorch's containers: one, under the names that are usual for it.
 *
 * Both are read the same; by content, a file is a .pth.  Sharded, a .bin has the names and the index of Hugging Face, a .pth those that go with its
 * own name. */
#include "runtime/formats/safetensors.h"
#include "runtime/formats/torch.h"
#include "runtime/formats/torch_write.h"

/* What trainers put beside a model. */
static bool
aside(struct wm_str name)
{
    static const char *const prefix[] = {"training_args", "optimizer", "scheduler", "scaler", "rng_state", "random_states",
                                         "sampler", "dl_state_dict", "trainer_state"};

    for (size_t k = 0; k < WM_COUNTOF(prefix); k++)
        if (wm_str_starts(name, wm_str_c(prefix[k])))
            return true;
    return wm_str_ends(name, WM_STR("_optim_states.pt")) || wm_str_ends(name, WM_STR(".pt.info.pt"));
}

static const char *const pth_suffixes[] = {".pt", NULL};

const struct wm_format wm_format_pth = {
    .name = "pth",
    .suffix = ".pth",
    .suffixes = pth_suffixes,
    .index_name = "model.pth.index.json",
    .probe = wm_torch_probe,
    .read = wm_torch_read,
    .layout = wm_torch_layout,
    .shares = true,
    .index = wm_safetensors_index,
    .nests = true,
    .aside = aside,
    .stem = "model",
};

const struct wm_format wm_format_bin = {
    .name = "bin",
    .suffix = ".bin",
    .index_name = "pytorch_model.bin.index.json",
    .read = wm_torch_read,
    .layout = wm_torch_layout,
    .shares = true,
    .index = wm_safetensors_index,
    .nests = true,
    .aside = aside,
    .stem = "pytorch_model",
};
