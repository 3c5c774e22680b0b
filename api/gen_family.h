/* api/gen_family.h -- model families as tables: settings, derived sizes, tensors.
 *
 * A family is one file in families/ and one row in families.def.  Sizes, counts and conditions are
 * expressions over its settings (gen_expr.c); rows of several families are in families/parts.h.
 * A tensor's key may name indices ({layer}); rows that stand together and share an index are
 * repeated for each of its values, so that the tensors come in the order of a model's state dict. */
#ifndef WM_API_GEN_FAMILY_H
#define WM_API_GEN_FAMILY_H

#include "base/arena.h"
#include "base/map.h"
#include "base/status.h"

enum wm_gen_kind { WM_GR_END, WM_GR_SET, WM_GR_LET, WM_GR_PRESET, WM_GR_INDEX, WM_GR_TENSOR };

struct wm_gen_row {
    enum wm_gen_kind kind;
    const char *name;  /* setting, derived value, preset, index; or a tensor's key */
    const char *value; /* SET: JSON (null: not written); LET, INDEX: expression; PRESET: "a=1 b=2";
                          TENSOR: shape, expressions separated by commas */
    const char *when;  /* TENSOR: condition, or NULL; SET: what it is */
    const char *dtype; /* TENSOR: as in safetensors, where it is not the model's */
};

/* clang-format off */
#define WM_SET(name, json, what)              {WM_GR_SET, name, json, what, NULL}
#define WM_LET(name, expr)                    {WM_GR_LET, name, expr, NULL, NULL}
#define WM_PRESET(name, settings)             {WM_GR_PRESET, name, settings, NULL, NULL}
#define WM_INDEX(name, count)                 {WM_GR_INDEX, name, count, NULL, NULL}
#define WM_TENSOR(key, shape)                 {WM_GR_TENSOR, key, shape, NULL, NULL}
#define WM_TENSOR_IF(when, key, shape)        {WM_GR_TENSOR, key, shape, when, NULL}
#define WM_TENSOR_OF(dtype, when, key, shape) {WM_GR_TENSOR, key, shape, when, dtype}
#define WM_END                                {WM_GR_END, NULL, NULL, NULL, NULL}
/* clang-format on */

struct wm_gen_family {
    const char *name;         /* also model_type */
    const char *architecture; /* "LlamaForCausalLM" */
    const char *doc;
    const char *dtype; /* by default: "bf16" */
    const struct wm_gen_row *row;
};

/* ---- values ---- */

enum wm_gen_vkind { WM_GV_NULL, WM_GV_INT, WM_GV_OTHER };

struct wm_gen_value {
    enum wm_gen_vkind kind; /* booleans are integers here, and keep their text; OTHER: only text */
    int64_t i;
    struct wm_str json;
};

/* What names mean while a family is written out. */
struct wm_gen_env {
    struct wm_arena *a;
    const struct wm_gen_family *family;
    struct wm_gen_value *value; /* of each row, for settings */
    int64_t *index;             /* of each row, for indices; -1: not bound */
    struct wm_err *err;
    unsigned depth; /* of derived values in derived values */
};

/* Value of an expression: integers (true is 1), + - * / % with exact division, comparisons, ! &&
 * ||, a ?? b, a ? b : c, parentheses.  False: err says why. */
bool wm_gen_eval(struct wm_gen_env *e, const char *text, int64_t *out);
/* The first expression of `text`, up to a comma; *rest is behind it, or NULL at the end. */
bool wm_gen_eval_next(struct wm_gen_env *e, const char *text, const char **rest, int64_t *out);
/* The row of a setting, derived value or index; WM_NONE. */
uint32_t wm_gen_find(const struct wm_gen_family *f, enum wm_gen_kind kind, struct wm_str name);

#endif
