/* compiler/emit.c -- emit items: one small file for each value of the indices in its name (see emit.h).
 *
 * Writing, the value is printed as JSON, or as it is where it is a text.  Reading, a `checked` file that is there is
 * compared with what the map would have written. */
#include "compiler/emit.h"

#include <cjson/cJSON.h>

#include "compiler/bind.h"
#include "compiler/json_tree.h"

enum { MAX_HOLES = 8, MAX_SHOWN = 4 };

/* The files of one item, one after the other. */
struct files {
    struct wm_bind *b;
    struct wm_menv *me;
    const struct wm_side_item *it;
    struct wm_str index[MAX_HOLES];
    const struct wm_index_values *iv[MAX_HOLES];
    int64_t at[MAX_HOLES];
    struct wm_value value[MAX_HOLES];
    struct wm_scope scope;
    uint32_t n;
    bool more;
};

static bool
files_begin(struct files *f, struct wm_bind *b, struct wm_menv *me, const struct wm_side_item *it)
{
    const struct wm_template *t = it->tmpl[0];

    *f = (struct files){.b = b, .me = me, .it = it, .more = true};
    for (uint32_t i = 0; i < t->npart; i++) {
        const struct wm_name *nm;
        bool known = t->part[i].kind != WM_HO_INDEX;

        for (uint32_t k = 0; k < f->n; k++)
            known |= wm_str_eq(f->index[k], t->part[i].name);
        if (known)
            continue;
        nm = wm_module_find(me->mod, t->part[i].name);
        if (f->n == MAX_HOLES || !nm || nm->kind != WM_NM_INDEX) {
            wm_report(&b->cc->diags, WM_E_KEY_HOLE, it->span, "more than %d indices in one name", MAX_HOLES);
            return false;
        }
        f->index[f->n] = t->part[i].name;
        f->iv[f->n] = wm_index_get(&b->be, me, nm->id);
        if (!f->iv[f->n])
            return false;
        f->more &= f->iv[f->n++]->n > 0;
    }
    f->scope = (struct wm_scope){.name = f->index, .val = f->value, .nname = f->n};
    return true;
}

/* The name of the file, and the values of its indices set; false: an error, or no file for them (then *skip). */
static bool
files_get(struct files *f, struct wm_str *name, bool *skip)
{
    bool yes = true;

    for (uint32_t k = 0; k < f->n; k++)
        f->value[k] = (struct wm_value){.kind = WM_V_INT, .u.i = wm_index_value(f->iv[k], f->at[k])};
    *skip = false;
    if (f->it->when && !wm_eval_bool(&f->b->be, f->me, &f->scope, f->it->when, &yes))
        return false;
    *skip = !yes;
    if (!yes || !wm_eval_text(&f->b->be, f->me, &f->scope, f->it->tmpl[0], name))
        return false;
    if (wm_path_is_inside(*name))
        return true;
    wm_report(&f->b->cc->diags, WM_E_OUTPUT_NAME, f->it->span, "\"%.*s\" is not a plain file name",
              WM_STR_ARG(*name));
    return false;
}

static void
files_next(struct files *f)
{
    for (uint32_t k = f->n; k-- > 0;) {
        if (++f->at[k] < f->iv[k]->n)
            return;
        f->at[k] = 0;
    }
    f->more = false;
}

/* ---- writing ---- */

/* cJSON's text with two blanks for each tab of its indents; strings hold no tabs (they are escaped). */
static struct wm_str
print_json(struct wm_arena *a, const cJSON *root)
{
    struct wm_str text = wm_json_print(a, root, true);
    struct wm_buf b;

    wm_buf_init(&b, a);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\t')
            wm_buf_putz(&b, i > 0 && text.p[i - 1] == ':' ? " " : "  ");
        else
            wm_buf_putc(&b, text.p[i]);
    wm_buf_putc(&b, '\n');
    return wm_buf_str(&b);
}

/* Has the output a file of that name already? */
static bool
is_taken(const struct wm_plan_builder *pb, struct wm_str name)
{
    const struct wm_plan_outfile *f = (const void *)pb->section[WM_PS_OUTFILE].p;
    const struct wm_plan_sidecar *c = (const void *)pb->section[WM_PS_SIDECAR].p;
    uint64_t nf = pb->section[WM_PS_OUTFILE].n / sizeof(*f);
    uint64_t nc = pb->section[WM_PS_SIDECAR].n / sizeof(*c);
    const char *text = pb->section[WM_PS_STRINGS].p;

    for (uint64_t i = 0; i < nf + nc; i++) {
        struct wm_plan_text t = i < nf ? f[i].name : c[i - nf].name;

        if (wm_str_eq((struct wm_str){text + t.off, t.len}, name))
            return true;
    }
    return false;
}

static bool
write_file(struct files *f, struct wm_str name, struct wm_plan_builder *pb)
{
    struct wm_arena *a = f->b->cc->a;
    struct wm_value v = wm_eval(&f->b->be, f->me, &f->scope, f->it->value);
    struct wm_plan_sidecar rec = {0};
    struct wm_str text;
    cJSON *json;

    if (v.kind == WM_V_ERROR)
        return false;
    if (is_taken(pb, name)) {
        wm_report(&f->b->cc->diags, WM_E_DUPLICATE_NAME, f->it->span, "\"%.*s\" is a file of the output already",
                  WM_STR_ARG(name));
        return false;
    }
    if (v.kind == WM_V_STR) {
        text = v.u.s;
    } else {
        json = wm_value_json(a, v);
        wm_cc_own_json(f->b->cc, json);
        text = print_json(a, json);
    }
    rec.name = wm_plan_add_text(pb, name);
    rec.bytes = wm_plan_add_bytes(pb, text.p, text.n);
    wm_plan_add(pb, WM_PS_SIDECAR, &rec, sizeof(rec), 1);
    return true;
}

static bool
same_name(const struct wm_template *a, const struct wm_template *b)
{
    bool same = a->npart == b->npart;

    for (uint32_t i = 0; same && i < a->npart; i++)
        same = a->part[i].kind == b->part[i].kind && a->part[i].width == b->part[i].width &&
               wm_str_eq(a->part[i].text, b->part[i].text) && wm_str_eq(a->part[i].name, b->part[i].name);
    return same;
}

/* Does the map itself emit the file that an item of a map which it uses emits? */
static bool
is_hidden(const struct wm_bind *b, const struct wm_side *s, uint32_t item)
{
    for (uint32_t i = 0; i < s->item.n && s->item_mod.item[item] != b->m; i++)
        if (s->item.item[i]->kind == WM_SI_EMIT && s->item_mod.item[i] == b->m &&
            same_name(s->item.item[i]->tmpl[0], s->item.item[item]->tmpl[0]))
            return true;
    return false;
}

bool
wm_emit_files(const struct wm_graph *g, struct wm_plan_builder *pb)
{
    struct wm_bind *b = g->out_bind;
    const struct wm_side *s = &b->m->side[b->ws];
    struct files f;
    bool ok = true, skip;

    for (uint32_t i = 0; i < s->item.n; i++) {
        if (s->item.item[i]->kind != WM_SI_EMIT || is_hidden(b, s, i))
            continue;
        if (!files_begin(&f, b, wm_menv_of(&b->be, s->item_mod.item[i]), s->item.item[i]))
            return false;
        for (; ok && f.more; files_next(&f)) {
            struct wm_str name;

            if (files_get(&f, &name, &skip))
                ok = write_file(&f, name, pb);
            else
                ok = skip;
        }
    }
    return ok;
}

/* ---- reading ---- */

struct compare {
    struct files *f;
    struct wm_str name;
    uint32_t ndiff;
    struct wm_diag *d;
};

static const char *
printed(struct compare *c, const cJSON *j)
{
    const char *out = j ? wm_json_print(c->f->b->cc->a, j, false).p : "absent";

    return strlen(out) > 60 ? (cJSON_IsObject(j) ? "an object" : "a long value") : out;
}

static void
differ(struct compare *c, struct wm_str path, const cJSON *want, const cJSON *have)
{
    struct wm_diags *ds = &c->f->b->cc->diags;
    const char *is = printed(c, have), *should = printed(c, want);

    if (c->ndiff++ == 0)
        c->d = wm_report(ds, WM_E_EMITTED, c->f->it->span, "%.*s: %.*s is %s, but by the map it is %s",
                         WM_STR_ARG(c->name), WM_STR_ARG(path), is, should);
    else if (c->ndiff <= MAX_SHOWN)
        wm_note(ds, c->d, "%.*s is %s, by the map %s", WM_STR_ARG(path), is, should);
}

/* path.name, or path["name"] where the name is not a plain one. */
static struct wm_str
inside(struct wm_arena *a, struct wm_str path, const char *name)
{
    struct wm_buf b;

    if (!strpbrk(name, ". \"[]"))
        return path.n ? wm_arena_printf(a, "%.*s.%s", WM_STR_ARG(path), name) : wm_str_c(name);
    wm_buf_init(&b, a);
    wm_buf_puts(&b, path);
    wm_buf_putc(&b, '[');
    wm_buf_json(&b, wm_str_c(name));
    wm_buf_putc(&b, ']');
    return wm_buf_str(&b);
}

static bool
is_null(const cJSON *j)
{
    return !j || cJSON_IsNull(j);
}

/* The member of that name; members of two equal objects mostly stand in one order. */
static const cJSON *
member(const cJSON *o, const cJSON *hint, const char *name)
{
    if (hint && strcmp(hint->string, name) == 0)
        return hint;
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

/* Of two values that are no objects and no lists.  Integers are compared to the last digit, by their text: other
 * spellings of a number differ in a point or an exponent. */
static bool
same_value(const cJSON *a, const cJSON *b)
{
    if (cJSON_IsNumber(a) && cJSON_IsNumber(b) && a->valuestring && b->valuestring &&
        !strpbrk(a->valuestring, ".eE") && !strpbrk(b->valuestring, ".eE"))
        return strcmp(a->valuestring, b->valuestring) == 0;
    return cJSON_Compare(a, b, true);
}

static void
compare(struct compare *c, struct wm_str path, const cJSON *want, const cJSON *have, uint32_t depth)
{
    struct wm_arena *a = c->f->b->cc->a;

    if ((is_null(want) && is_null(have)) || depth > WM_DEPTH_MAX)
        return;
    if (cJSON_IsObject(want) && cJSON_IsObject(have)) {
        const cJSON *hint = have->child;

        for (const cJSON *w = want->child; w; w = w->next, hint = hint ? hint->next : NULL)
            compare(c, inside(a, path, w->string), w,
                    member(have, hint, w->string), depth + 1);
        hint = want->child;
        for (const cJSON *h = have->child; h; h = h->next, hint = hint ? hint->next : NULL)
            if (!member(want, hint, h->string))
                compare(c, inside(a, path, h->string), NULL, h, depth + 1);
        return;
    }
    if (cJSON_IsArray(want) && cJSON_IsArray(have) && cJSON_GetArraySize(want) == cJSON_GetArraySize(have)) {
        const cJSON *h = have->child;
        int n = 0;

        for (const cJSON *w = want->child; w && h; w = w->next, h = h->next)
            compare(c, wm_arena_printf(a, "%.*s[%d]", WM_STR_ARG(path), n++), w, h, depth + 1);
        return;
    }
    if (is_null(want) || is_null(have) || !same_value(want, have))
        differ(c, path, want, have);
}

/* What the file must be can't be computed: perhaps since -D says something else than the input. */
static void
note_defines(struct wm_bind *b, struct wm_str name)
{
    struct wm_diags *ds = &b->cc->diags;

    for (uint32_t k = 0; ds->list.n && k < b->be.differs.n; k++)
        wm_note(ds, ds->list.item[ds->list.n - 1], "%.*s; the input has %.*s", WM_STR_ARG(b->be.differs.item[k]),
                WM_STR_ARG(name));
}

/* One file.  False: it is there and differs, or can't be read; *there: it is. */
static bool
check_file(struct files *f, struct wm_str name, bool *there)
{
    struct compare c = {.f = f, .name = name};
    struct wm_str path, real;
    const cJSON *have;
    struct wm_value v;
    cJSON *want;

    if (!wm_eval_json_file(&f->b->be, name, f->it->span, &have))
        return false;
    *there = have != NULL;
    if (!have)
        return true;
    path = wm_arena_printf(f->b->cc->a, "%.*s/%.*s", WM_STR_ARG(f->b->be.dir), WM_STR_ARG(name));
    real = wm_small_path(f->b->cc, path);
    c.name = (struct wm_str){real.p + path.n - name.n, real.n - (path.n - name.n)};
    v = wm_eval(&f->b->be, f->me, &f->scope, f->it->value);
    if (v.kind == WM_V_ERROR) {
        note_defines(f->b, name);
        return false;
    }
    want = wm_value_json(f->b->cc->a, v);
    wm_cc_own_json(f->b->cc, want);
    compare(&c, WM_STR(""), want, have, 0);
    if (c.ndiff > MAX_SHOWN)
        wm_note(&f->b->cc->diags, c.d, "and %u more", c.ndiff - MAX_SHOWN);
    return c.ndiff == 0;
}

static bool
check_item(struct wm_bind *b, struct wm_menv *me, const struct wm_side_item *it)
{
    struct wm_str absent = {0};
    uint32_t nthere = 0;
    struct files f;
    bool ok = true, skip, there = false;

    if (!files_begin(&f, b, me, it))
        return false;
    for (; ok && f.more; files_next(&f)) {
        struct wm_str name;

        if (!files_get(&f, &name, &skip)) {
            ok = skip;
            continue;
        }
        ok = check_file(&f, name, &there);
        nthere += there;
        if (!there && absent.n == 0)
            absent = name;
    }
    if (ok && nthere > 0 && absent.n > 0) {
        wm_report(&b->cc->diags, WM_E_EMITTED, it->span, "%.*s is missing, but others of its kind are there",
                  WM_STR_ARG(absent));
        return false;
    }
    return ok;
}

bool
wm_check_emitted(struct wm_bind *b)
{
    const struct wm_side *s = &b->m->side[b->rs];
    bool ok = true;

    if (b->be.dir.n == 0)
        return true;
    for (uint32_t i = 0; i < s->item.n; i++)
        if (s->item.item[i]->kind == WM_SI_EMIT && s->item.item[i]->checked)
            ok &= check_item(b, wm_menv_of(&b->be, s->item_mod.item[i]), s->item.item[i]);
    return ok;
}
