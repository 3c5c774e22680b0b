/* api/out.h -- results on their way to a sink: text and JSON.
 *
 * Text is collected in a buffer and handed on in pieces of some ten KiB, so that a list of 100 000
 * tensors needs no memory of its size.  After the sink has refused a piece, nothing more is handed
 * on. */
#ifndef WM_API_OUT_H
#define WM_API_OUT_H

#include "base/buf.h"
#include "wmap/wmap.h"

enum { WM_OUT_DEPTH = 16 };

struct wm_out {
    struct wm_buf b;
    wmap_sink sink;
    bool refused;
    uint32_t depth;           /* of open JSON objects and arrays */
    char close[WM_OUT_DEPTH]; /* '}' or ']' */
    bool some[WM_OUT_DEPTH];  /* a member was written */
};

void wm_out_init(struct wm_out *o, struct wm_arena *a, wmap_sink sink);
/* Hand on what there is, if it is much. */
void wm_out_more(struct wm_out *o);
/* Hand on all; false where the sink has refused. */
bool wm_out_end(struct wm_out *o);

/* 90939392 -> "90.9 MB"; decimal, three digits. */
void wm_out_size(struct wm_buf *b, uint64_t nbytes);
/* [32 64] */
void wm_out_shape(struct wm_buf *b, const int64_t *shape, uint32_t rank);
/* "1 tensor", "2 tensors" */
void wm_out_count(struct wm_buf *b, uint64_t n, const char *what);

/* JSON.  `key` is NULL inside an array.  What lies deeper than the members of the outermost lists
 * is written in one line. */
/* The outermost object, with its schema ("wmap.diff/1") and the exit status that it stands for. */
void wm_js_result(struct wm_out *o, const char *schema, wmap_status status);
void wm_js_object(struct wm_out *o, const char *key);
void wm_js_array(struct wm_out *o, const char *key);
void wm_js_close(struct wm_out *o);
void wm_js_str(struct wm_out *o, const char *key, struct wm_str s);
void wm_js_int(struct wm_out *o, const char *key, int64_t v);
void wm_js_uint(struct wm_out *o, const char *key, uint64_t v);
void wm_js_real(struct wm_out *o, const char *key, double v); /* NaN, Inf: a string */
void wm_js_bool(struct wm_out *o, const char *key, bool v);
void wm_js_shape(struct wm_out *o, const char *key, const int64_t *shape, uint32_t rank);
/* The key and the separators only: the caller writes the value into o->b. */
void wm_js_value(struct wm_out *o, const char *key);

#endif
