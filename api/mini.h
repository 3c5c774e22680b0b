/* api/mini.h -- what the files of `mini` share: the stages of one set of settings, and their
 * results in memory. */
#ifndef WM_API_MINI_H
#define WM_API_MINI_H

#include "api/ctx.h"
#include "api/mini_result.h"
#include "api/out.h"
#include "compiler/mini.h"

/* One set of settings on its way. */
struct wm_trial {
    const struct wm_mini *mini;
    const char *input, *output, *back; /* directories */
    const char *config;
    wmap_plan *forward, *backward; /* backward NULL: the map has no way back */
    struct wm_result in, out, again;
    bool by_file[2]; /* of the side read first, and of the other */
    uint32_t nback;  /* tensors of the input that came back */
    uint32_t nequal; /* and were equal */
    uint32_t nlossy; /* differ, of rules that may lose something */
    uint32_t nnot_carried;
    WM_VEC(const struct wm_made *) differ, missing; /* of the input */
};

struct wm_mini_run {
    struct wmap_ctx *ctx;
    wmap_map *map;
    const wmap_mini_options *o;
    struct wm_arena *a; /* the context's */
    struct wm_str dir;  /* of all the files */
    struct wm_mini *set;
    struct wm_trial *trial;
    uint32_t nset;
    struct wm_out out;
    wmap_style style;
};

/* ---- mutants (mini_mutate.c) ---- */

enum wm_fate {
    WM_FATE_CHECK,  /* refused without an input */
    WM_FATE_BIND,   /* refused with the headers of one */
    WM_FATE_RUN,    /* a run fails */
    WM_FATE_RESULT, /* nothing notices but a comparison of what comes out, or comes back */
    WM_FATE_SAME,   /* the same function, as far as the sets show */
    WM_FATE_UNUSED, /* no set uses the rule: nobody knows */
    WM_FATE_N
};

struct wm_mutant;
struct wm_fates {
    WM_VEC(struct wm_mutant *) mutant;
    uint8_t *fate; /* [mutant.n] */
    uint32_t count[WM_FATE_N];
};
enum wm_status wm_mini_mutate(struct wm_mini_run *r, struct wm_fates *out);

/* ---- what is told (mini_report.c) ---- */

/* "input     39 tensors, 12.3 kB in 1 file" */
void wm_mini_stage_text(struct wm_mini_run *r, const char *stage, uint64_t n, uint64_t nbytes,
                        uint64_t nfile);
void wm_mini_settings_text(struct wm_mini_run *r, uint32_t set);
void wm_mini_compare_text(struct wm_mini_run *r, const struct wm_trial *t);
/* How many rules are used, and which are not. */
void wm_mini_items_text(struct wm_mini_run *r);
void wm_mini_mutants_text(struct wm_mini_run *r, const struct wm_fates *f);
void wm_mini_trial_json(struct wm_mini_run *r, const struct wm_trial *t);
void wm_mini_unused_json(struct wm_mini_run *r);
void wm_mini_mutants_json(struct wm_mini_run *r, const struct wm_fates *f);

#endif
