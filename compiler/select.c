/* compiler/select.c -- leaves in the fused stage what is to be made: tensors by name, files by part.
 *
 * Enters: the stage of all outputs.  Leaves: one of those that were asked for, with the checks that concern them (that
 * read an input which they read).  What nothing asks for is not read, either. */
#include "compiler/select.h"

/* ---- templates ---- */

struct reader {
    struct wm_arena *a;
    struct wm_str text;
    struct wm_key key;
    WM_VEC(struct wm_kpart) part;
    WM_VEC(struct wm_str) name;  /* of variables, by number */
    struct wm_buf literal;
    struct wm_err *err;
};

static enum wm_status
bad_template(struct reader *r, const char *why)
{
    return wm_fail(r->err, WM_EUSAGE, NULL, "--only \"%.*s\": %s", WM_STR_ARG(r->text), why);
}

static void
end_literal(struct reader *r)
{
    if (r->literal.n > 0)
        *WM_PUSH(r->a, &r->part) = (struct wm_kpart){.kind = WM_KP_TEXT, .text = wm_buf_str(&r->literal)};
    wm_buf_init(&r->literal, r->a);
}

static uint32_t
variable(struct reader *r, struct wm_str name)
{
    for (uint32_t i = 0; i < r->name.n; i++)
        if (wm_str_eq(r->name.item[i], name))
            return i;
    *WM_PUSH(r->a, &r->name) = name;
    return r->name.n - 1;
}

static bool
is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static struct wm_str
trim(struct wm_str s)
{
    while (s.n > 0 && s.p[0] == ' ')
        s = (struct wm_str){s.p + 1, s.n - 1};
    while (s.n > 0 && s.p[s.n - 1] == ' ')
        s.n--;
    return s;
}

static enum wm_status
words(struct reader *r, struct wm_kpart *part, struct wm_str list)
{
    WM_VEC(struct wm_str) word = {0};

    for (;;) {
        const char *bar = list.n ? memchr(list.p, '|', list.n) : NULL;
        struct wm_str w = trim((struct wm_str){list.p, bar ? (size_t)(bar - list.p) : list.n});

        if (w.n == 0)
            return bad_template(r, "a word of a list is empty");
        *WM_PUSH(r->a, &word) = w;
        if (!bar)
            break;
        list.n -= (size_t)(bar + 1 - list.p);
        list.p = bar + 1;
    }
    part->kind = WM_KP_WORDS;
    part->word = word.item;
    part->nword = word.n;
    return WM_OK;
}

/* {name}, {name:05}, {name*}, {name in a|b}: `s` is what stands between the braces. */
static enum wm_status
hole(struct reader *r, struct wm_str s)
{
    struct wm_kpart part = {.kind = WM_KP_INDEX};
    enum wm_status st = WM_OK;
    size_t n = 0;

    s = trim(s);
    while (n < s.n && (is_letter(s.p[n]) || (n > 0 && s.p[n] >= '0' && s.p[n] <= '9')))
        n++;
    if (n == 0)
        return bad_template(r, "a name stands in braces: {i} for any number, {x*} for any text");
    part.var = variable(r, (struct wm_str){s.p, n});
    s = trim((struct wm_str){s.p + n, s.n - n});
    if (wm_str_eq(s, WM_STR("*")))
        part.kind = WM_KP_CAPTURE;
    else if (s.n > 3 && memcmp(s.p, "in ", 3) == 0)
        st = words(r, &part, (struct wm_str){s.p + 3, s.n - 3});
    else if (s.n > 2 && s.n < 5 && s.p[0] == ':' && s.p[1] == '0')
        for (size_t i = 2; i < s.n && st == WM_OK; i++) {
            if (s.p[i] < '0' || s.p[i] > '9')
                st = bad_template(r, "a width is written as in {i:05}");
            part.width = part.width * 10 + (uint32_t)(s.p[i] - '0');
        }
    else if (s.n > 0)
        st = bad_template(r, "in braces stand {i}, {i:05}, {x*} or {p in a|b}");
    r->key.has_capture |= part.kind == WM_KP_CAPTURE;
    *WM_PUSH(r->a, &r->part) = part;
    return st;
}

/* A part of the same name is of the same kind. */
static bool
agree(const struct reader *r)
{
    for (uint32_t i = 0; i < r->part.n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (r->part.item[i].kind != WM_KP_TEXT && r->part.item[k].kind != WM_KP_TEXT &&
                r->part.item[i].var == r->part.item[k].var && r->part.item[i].kind != r->part.item[k].kind)
                return false;
    return true;
}

static enum wm_status
read_template(struct reader *r)
{
    struct wm_str s = r->text, proof;
    enum wm_status st = WM_OK;

    wm_buf_init(&r->literal, r->a);
    for (size_t i = 0; i < s.n && st == WM_OK; i++) {
        bool twice = i + 1 < s.n && s.p[i + 1] == s.p[i];
        const char *close;

        if ((s.p[i] != '{' && s.p[i] != '}') || twice) {
            wm_buf_putc(&r->literal, s.p[i]);
            i += s.p[i] == '{' || s.p[i] == '}';
            continue;
        }
        close = s.p[i] == '{' ? memchr(s.p + i, '}', s.n - i) : NULL;
        if (!close)
            return bad_template(r, s.p[i] == '{' ? "a brace is not closed ({{ is a brace itself)"
                                                 : "a brace is not opened (}} is a brace itself)");
        end_literal(r);
        st = hole(r, (struct wm_str){s.p + i + 1, (size_t)(close - s.p) - i - 1});
        i = (size_t)(close - s.p);
    }
    end_literal(r);
    r->key.part = r->part.item;
    r->key.npart = r->part.n;
    if (st == WM_OK && r->part.n == 0)
        st = bad_template(r, "a name is missing");
    if (st == WM_OK && !agree(r))
        st = bad_template(r, "the same name stands for different things");
    if (st == WM_OK && wm_key_ambiguous(r->a, &r->key, &proof))
        st = wm_fail(r->err, WM_EUSAGE, NULL,
                     "--only \"%.*s\": a key such as \"%.*s\" can be read in two ways; --only may be given several times",
                     WM_STR_ARG(r->text), WM_STR_ARG(proof));
    return st;
}

/* ---- tensors ---- */

static enum wm_status
not_found(const struct wm_graph *g, const bool *part, struct wm_str text, struct wm_err *err)
{
    const struct wm_tset *out = g->stage->out;
    struct wm_str *name = WM_NEW_N(g->cc->a, struct wm_str, out->t.n), near;
    uint32_t n = 0;

    for (uint32_t i = 0; i < out->t.n; i++)
        if (part[i])
            name[n++] = wm_place_key(out->t.item[i].key);
    near = wm_suggest(g->cc->a, text, name, n);
    if (near.n)
        return wm_fail(err, WM_EUSAGE, NULL, "--only \"%.*s\": no tensor of the output has such a name; did you mean \"%.*s\"?",
                       WM_STR_ARG(text), WM_STR_ARG(near));
    return wm_fail(err, WM_EUSAGE, NULL, "--only \"%.*s\": no tensor of the output has such a name", WM_STR_ARG(text));
}

/* Mark what a template names, among what the parts leave. */
static enum wm_status
mark(const struct wm_graph *g, struct wm_str text, const bool *part, bool *keep, struct wm_err *err)
{
    struct reader r = {.a = g->cc->a, .text = text, .err = err};
    enum wm_status st = read_template(&r);
    int64_t *value = WM_NEW_N(g->cc->a, int64_t, r.part.n + 1);
    struct wm_str *cap = WM_NEW_N(g->cc->a, struct wm_str, r.part.n + 1);
    bool any = false;

    for (uint32_t i = 0; i < g->stage->out->t.n && st == WM_OK; i++)
        if (part[i] && wm_key_match(&r.key, wm_place_key(g->stage->out->t.item[i].key), value, cap))
            any = keep[i] = true;
    return st == WM_OK && !any ? not_found(g, part, text, err) : st;
}

static uint32_t
nslot(const struct wm_graph *g, const struct wm_make *mk)
{
    return mk->geom == WM_GEOM_IDENTITY ? 1 : g->geom.item[mk->geom].nslot;
}

static void
copy_make(struct wm_graph *g, struct wm_stage *to, const struct wm_make *mk, bool check)
{
    struct wm_make copy = *mk;

    copy.slot = to->slot.n;
    for (uint32_t k = 0; k < nslot(g, mk); k++)
        *WM_PUSH(g->cc->a, &to->slot) = g->stage->slot.item[mk->slot + k];
    if (check)
        *WM_PUSH(g->cc->a, &to->check) = copy;
    else
        *WM_PUSH(g->cc->a, &to->make) = copy;
}

static struct wm_stage *
kept(struct wm_graph *g, const bool *keep)
{
    const struct wm_stage *all = g->stage;
    struct wm_stage *s = wm_stage_new(g, all->in);
    bool *read = WM_NEW_N(g->cc->a, bool, all->in->t.n + 1);

    for (uint32_t i = 0; i < all->out->t.n; i++) {
        const struct wm_make *mk = &all->make.item[i];

        if (!keep[i])
            continue;
        wm_tset_add(g->cc, s->out, &all->out->t.item[i]);
        copy_make(g, s, mk, false);
        for (uint32_t k = 0; k < nslot(g, mk); k++)
            read[all->slot.item[mk->slot + k]] = true;
    }
    for (uint32_t i = 0; i < all->check.n; i++) {
        const struct wm_make *mk = &all->check.item[i];
        bool concerns = false;

        for (uint32_t k = 0; k < nslot(g, mk); k++)
            concerns |= read[all->slot.item[mk->slot + k]];
        if (concerns)
            copy_make(g, s, mk, true);
    }
    return s;
}

/* Files that hold nothing are not written: the selection asked for what there is, not for ranks. */
enum wm_status
wm_select(struct wm_graph *g, const struct wm_str *only, uint32_t nonly, const struct wm_parts *parts,
          struct wm_err *err)
{
    const struct wm_tset *out = g->stage->out;
    bool *part = WM_NEW_N(g->cc->a, bool, out->t.n + 1), *keep = nonly ? WM_NEW_N(g->cc->a, bool, out->t.n + 1) : part;
    struct wm_str *file = WM_NEW_N(g->cc->a, struct wm_str, out->t.n + 1);
    enum wm_status st = WM_OK;

    if (nonly == 0 && (!parts || parts->full))
        return WM_OK;
    for (uint32_t i = 0; i < out->t.n; i++) {
        file[i] = out->t.item[i].file;
        part[i] = !parts || parts->full || wm_parts_have(parts, file[i]);
    }
    if (parts)
        st = wm_parts_found(g->cc->a, parts, file, out->t.n, NULL, err);
    for (uint32_t i = 0; i < nonly && st == WM_OK; i++)
        st = mark(g, only[i], part, keep, err);
    if (st != WM_OK)
        return st;
    g->stage = kept(g, keep);
    g->out_files.n = 0;
    return WM_OK;
}
