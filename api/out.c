/* api/out.c -- see out.h. */
#include "api/out.h"

#include <inttypes.h>
#include <math.h>

enum { PIECE = 32 << 10 };

void
wm_out_init(struct wm_out *o, struct wm_arena *a, wmap_sink sink)
{
    *o = (struct wm_out){.sink = sink};
    wm_buf_init(&o->b, a);
}

static void
hand_on(struct wm_out *o)
{
    if (o->b.n && !o->refused)
        o->refused = o->sink.write(o->sink.user, o->b.p, o->b.n) != 0;
    o->b.n = 0;
}

void
wm_out_more(struct wm_out *o)
{
    if (o->b.n >= PIECE)
        hand_on(o);
}

bool
wm_out_end(struct wm_out *o)
{
    hand_on(o);
    return !o->refused;
}

void
wm_out_size(struct wm_buf *b, uint64_t nbytes)
{
    char text[16];

    wmap_print_size(nbytes, text, sizeof(text));
    wm_buf_putz(b, text);
}

void
wm_out_shape(struct wm_buf *b, const int64_t *shape, uint32_t rank)
{
    wm_buf_putc(b, '[');
    for (uint32_t k = 0; k < rank; k++)
        wm_buf_printf(b, "%s%" PRId64, k ? " " : "", shape[k]);
    wm_buf_putc(b, ']');
}

void
wm_out_count(struct wm_buf *b, uint64_t n, const char *what)
{
    wm_buf_printf(b, "%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

/* ---- JSON ---- */

void
wm_js_value(struct wm_out *o, const char *key)
{
    if (o->depth) {
        bool *some = &o->some[o->depth - 1];

        if (*some)
            wm_buf_putc(&o->b, ',');
        if (o->depth <= 2) {
            wm_buf_putc(&o->b, '\n');
            wm_buf_pad(&o->b, ' ', 2 * (size_t)o->depth);
        } else if (*some) {
            wm_buf_putc(&o->b, ' ');
        }
        *some = true;
    }
    if (key) {
        wm_buf_json(&o->b, wm_str_c(key));
        wm_buf_putz(&o->b, ": ");
    }
    wm_out_more(o);
}

static void
open_container(struct wm_out *o, const char *key, char open, char close)
{
    wm_js_value(o, key);
    wm_buf_putc(&o->b, open);
    if (o->depth < WM_OUT_DEPTH) {
        o->close[o->depth] = close;
        o->some[o->depth++] = false;
    }
}

void
wm_js_object(struct wm_out *o, const char *key)
{
    open_container(o, key, '{', '}');
}

void
wm_js_array(struct wm_out *o, const char *key)
{
    open_container(o, key, '[', ']');
}

void
wm_js_close(struct wm_out *o)
{
    o->depth--;
    if (o->some[o->depth] && o->depth < 2) {
        wm_buf_putc(&o->b, '\n');
        wm_buf_pad(&o->b, ' ', 2 * (size_t)o->depth);
    }
    wm_buf_putc(&o->b, o->close[o->depth]);
    if (o->depth == 0)
        wm_buf_putc(&o->b, '\n');
}

void
wm_js_str(struct wm_out *o, const char *key, struct wm_str s)
{
    wm_js_value(o, key);
    wm_buf_json(&o->b, s);
}

void
wm_js_int(struct wm_out *o, const char *key, int64_t v)
{
    wm_js_value(o, key);
    wm_buf_printf(&o->b, "%" PRId64, v);
}

void
wm_js_uint(struct wm_out *o, const char *key, uint64_t v)
{
    wm_js_value(o, key);
    wm_buf_printf(&o->b, "%" PRIu64, v);
}

void
wm_js_real(struct wm_out *o, const char *key, double v)
{
    wm_js_value(o, key);
    wm_buf_printf(&o->b, isfinite(v) ? "%.17g" : "\"%g\"", v);
}

void
wm_js_bool(struct wm_out *o, const char *key, bool v)
{
    wm_js_value(o, key);
    wm_buf_putz(&o->b, v ? "true" : "false");
}

void
wm_js_result(struct wm_out *o, const char *schema, wmap_status status)
{
    wm_js_object(o, NULL);
    wm_js_str(o, "schema", wm_str_c(schema));
    wm_js_int(o, "status", status);
}

void
wm_js_shape(struct wm_out *o, const char *key, const int64_t *shape, uint32_t rank)
{
    wm_js_value(o, key);
    wm_buf_putc(&o->b, '[');
    for (uint32_t k = 0; k < rank; k++)
        wm_buf_printf(&o->b, "%s%" PRId64, k ? ", " : "", shape[k]);
    wm_buf_putc(&o->b, ']');
}
