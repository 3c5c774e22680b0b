/* runtime/json.h -- a strict streaming JSON reader for headers and index files of checkpoints.
 *
 * No tree: the caller pulls tokens.  Exact unsigned 64-bit integers, UTF-8 checked, depth at most 128, NUL and
 * other escapes resolved; duplicates are the caller's to refuse.  Text behind the value is an error (white space
 * excepted).  Errors carry the byte offset. */
#ifndef WM_RUNTIME_JSON_H
#define WM_RUNTIME_JSON_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

enum wm_json_tok {
    WM_JS_ERROR, WM_JS_END,
    WM_JS_OBJECT, WM_JS_OBJECT_END, WM_JS_ARRAY, WM_JS_ARRAY_END,
    WM_JS_KEY,    /* str */
    WM_JS_STRING, /* str */
    WM_JS_UINT,   /* u: digits only, no sign, point, exponent or leading zero, < 2^64 */
    WM_JS_NUMBER, /* any other number: str is its text */
    WM_JS_TRUE, WM_JS_FALSE, WM_JS_NULL
};

enum { WM_JSON_MAX_DEPTH = 128 };

struct wm_json {
    struct wm_arena *a;      /* for strings with escapes; others point into the text */
    const char *text;
    size_t n, at;
    uint32_t depth;
    uint8_t stack[WM_JSON_MAX_DEPTH]; /* '{' or '[' */
    uint8_t state;
    struct wm_str str;
    uint64_t u;
    size_t tok_at;           /* offset of the last token */
    const char *why;         /* of WM_JS_ERROR: "invalid UTF-8", ... */
};

void wm_json_init(struct wm_json *j, struct wm_arena *a, const char *text, size_t n);
enum wm_json_tok wm_json_next(struct wm_json *j);
/* Skip the value that begins with the token `t` just read (nested ones whole). */
bool wm_json_skip(struct wm_json *j, enum wm_json_tok t);

#endif
