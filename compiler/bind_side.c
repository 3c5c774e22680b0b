/* compiler/bind_side.c -- the sides of a map at bind: which file holds which key.
 *
 * Reading: tensors in files become logical tensors (keys with places).  Writing: the reverse.  A side without file lines
 * takes names as keys. */
#include "compiler/bind.h"
#include "compiler/select.h"

/* ---- files ---- */

/* A file line with room to match and print its templates. */
struct wm_line {
    const struct wm_file_line *f;
    struct wm_inst x;
    struct wm_map files;         /* names of the files seen, for the stray and the missing */
    uint32_t missing;
    struct wm_diag *diag;
};

static struct wm_line *
lines_of(struct wm_bind *b, int side)
{
    const struct wm_side *sd = &b->m->side[side];
    struct wm_line *l = WM_NEW_N(b->cc->a, struct wm_line, sd->file.n);

    for (uint32_t i = 0; i < sd->file.n; i++) {
        l[i].f = &sd->file.item[i];
        wm_inst_init(b, l[i].f->scope, &l[i].x);
        wm_map_init(&l[i].files, b->cc->a, 16);
    }
    return l;
}

/* The key of a tensor `name` in `file` by one line: `name` matches `as`, and gives the key by `holds`. */
static bool
key_by_line(struct wm_bind *b, struct wm_line *l, struct wm_str file, struct wm_str name, struct wm_str *key,
            bool *range)
{
    struct wm_rterm t = {.key = l->f->holds, .place = l->f->place, .nplace = l->f->nplace};

    wm_inst_forget(&l->x);
    if (!wm_inst_read(b, &l->x, &l->f->name, file, range))
        return false;
    if (!l->f->has_holds) {
        struct wm_kpart cap = {.kind = WM_KP_TEXT, .text = name};

        t.key = (struct wm_key){.part = &cap, .npart = 1};
        return wm_inst_key(b, &l->x, &t, key);
    }
    return wm_inst_read(b, &l->x, &l->f->as, name, range) && wm_inst_key(b, &l->x, &t, key);
}

static bool
is_place(const struct wm_file_line *f, uint32_t var)
{
    const struct wm_var *v = &f->scope->var.item[var];
    bool all = v->ncomponent > 0;

    for (uint32_t k = 0; k < f->nplace; k++)
        if (f->place[k] == var)
            return true;
    for (uint32_t c = 0; c < v->ncomponent && all; c++)
        all = is_place(f, v->component[c]);
    return all;
}

/* Is the file's name made of its file indices alone?  Then all of its files can be listed. */
static bool
is_listable(const struct wm_file_line *f)
{
    for (uint32_t i = 0; i < f->name.npart; i++) {
        const struct wm_kpart *p = &f->name.part[i];

        if (p->kind != WM_KP_TEXT && !is_place(f, p->var))
            return false;
    }
    return f->nplace > 0;
}

/* The names of all files of a line, for every tuple of its file indices. */
static bool
each_file(struct wm_bind *b, struct wm_line *l, void (*fn)(struct wm_bind *b, struct wm_line *l, struct wm_str name))
{
    const struct wm_file_line *f = l->f;
    int64_t count[WM_MAX_RANK], at[WM_MAX_RANK] = {0};
    struct wm_rterm t = {.key = f->name};
    uint32_t i;

    if (!is_listable(f))
        return true;
    for (uint32_t k = 0; k < f->nplace; k++)
        if (!wm_index_count(&b->be, l->x.me, f->scope->var.item[f->place[k]].index, &count[k]))
            return false;
        else if (count[k] == 0)
            return true;
    do {
        struct wm_str name;

        wm_inst_forget(&l->x);
        for (uint32_t k = 0; k < f->nplace; k++) {
            const struct wm_var *v = &f->scope->var.item[f->place[k]];

            wm_inst_set(b, &l->x, f->place[k],
                        v->kind == WM_VAR_INDEX
                            ? wm_index_value(wm_index_get(&b->be, l->x.me, v->index), at[k])
                            : at[k]);
        }
        wm_inst_compose(b, &l->x);
        if (!wm_inst_key(b, &l->x, &t, &name))
            return false;
        fn(b, l, name);
        for (i = f->nplace; i > 0 && ++at[i - 1] == count[i - 1]; i--)
            at[i - 1] = 0;
    } while (i > 0);
    return true;
}

/* Reading: all files of the file indices must be there. */
static void
want_file(struct wm_bind *b, struct wm_line *l, struct wm_str name)
{
    if (wm_parts_lack(b->parts, name) || wm_map_get(&l->files, name) != WM_NONE || l->missing++ >= 4)
        return;
    if (!l->diag)
        l->diag = wm_report_at(&b->cc->diags, WM_E_FILES, b->g->manifest->path, "the file %.*s is missing",
                               WM_STR_ARG(name));
    else
        wm_note(&b->cc->diags, l->diag, "%.*s is missing, too", WM_STR_ARG(name));
}

/* Writing: a rank that holds nothing is an empty file. */
static void
make_file(struct wm_bind *b, struct wm_line *l, struct wm_str name)
{
    (void)l;
    *WM_PUSH(b->cc->a, &b->g->out_files) = wm_arena_str(b->cc->a, name);
}

static void
note_files(struct wm_bind *b, struct wm_line *l, uint32_t n)
{
    /* files without tensors count as there, too */
    for (uint32_t i = 0; i < b->in_files.n; i++)
        for (uint32_t k = 0; k < n; k++) {
            bool range = false;

            wm_inst_forget(&l[k].x);
            if (wm_inst_read(b, &l[k].x, &l[k].f->name, b->in_files.item[i], &range)) {
                wm_map_put(&l[k].files, b->in_files.item[i], 0);
                break;
            }
            if (range) {
                wm_report_at(&b->cc->diags, WM_E_FILES, b->g->manifest->path,
                             "the file %.*s is stray: its number is out of range", WM_STR_ARG(b->in_files.item[i]));
                break;
            }
        }
}

/* The name of a side's only file, where no file that is read has it: then all that is read stands for that file, since
 * another writer, or --format, gave it another name.  Empty: names count. */
static struct wm_str
only_file(const struct wm_bind *b)
{
    const struct wm_side *s = &b->m->side[b->rs];
    const struct wm_key *name = s->file.n == 1 ? &s->file.item[0].name : NULL;

    if (!name || name->npart != 1 || name->part[0].kind != WM_KP_TEXT)
        return WM_STR("");
    for (uint32_t i = 0; i < b->in_files.n; i++)
        if (wm_str_eq(b->in_files.item[i], name->part[0].text))
            return WM_STR("");
    return name->part[0].text;
}

struct wm_stage *
wm_bind_read_side(struct wm_bind *b, struct wm_tset *placed)
{
    struct wm_stage *s;
    struct wm_line *l = lines_of(b, b->rs);
    uint32_t n = b->m->side[b->rs].file.n, before = b->cc->diags.nerror;
    struct wm_str only = only_file(b);

    s = wm_stage_new(b->g, placed);
    wm_map_init(&s->out->by_key, b->cc->a, placed->t.n);
    note_files(b, l, n);
    for (uint32_t i = 0; i < placed->t.n; i++) {
        struct wm_gt t = placed->t.item[i];
        bool found = n == 0, range = false;
        struct wm_str key = t.key;
        uint32_t id;

        for (uint32_t k = 0; k < n && !found; k++)
            found = key_by_line(b, &l[k], only.n ? only : t.file, t.key, &key, &range);
        if (!found) {
            if (!range)
                wm_report_at(&b->cc->diags, WM_E_UNEXPECTED, t.file, "%.*s: no file line of the map holds it",
                             WM_STR_ARG(t.key));
            continue;
        }
        t.key = n ? wm_arena_str(b->cc->a, key) : key;
        t.file = WM_STR("");
        id = wm_map_put(&s->out->by_key, t.key, s->out->t.n);
        if (id != s->out->t.n) {
            wm_report_at(&b->cc->diags, WM_E_KEY_CLASH, placed->t.item[i].file,
                         "`%s` is in two files, also in %.*s", wm_place_show(b->cc->a, t.key).p,
                         WM_STR_ARG(placed->t.item[s->slot.item[s->make.item[id].slot]].file));
            continue;
        }
        wm_stage_pass(b->g, s, i, &t);
    }
    for (uint32_t k = 0; k < n; k++)
        each_file(b, &l[k], want_file);
    if (b->cc->diags.nerror != before)
        return NULL;
    return wm_shard_read(b, s);
}

/* The file and the name inside it of a logical tensor, by the first line that holds its key. */
static bool
place_by_line(struct wm_bind *b, struct wm_line *l, struct wm_str joined, struct wm_gt *out)
{
    struct wm_str key = wm_place_key(joined), name;
    struct wm_rterm t = {0};
    bool range = false;

    wm_inst_forget(&l->x);
    for (uint32_t k = 0; k < l->f->nplace; k++) {
        uint32_t v = l->f->place[k];

        if (!wm_place_get(joined, l->f->scope->var.item[v].name, &l->x.value[v]))
            return false;
        l->x.known[v] = true;
    }
    if (l->f->has_holds && !wm_inst_read(b, &l->x, &l->f->holds, key, &range))
        return false;
    wm_inst_compose(b, &l->x);
    t.key = l->f->name;
    if (!wm_inst_key(b, &l->x, &t, &name))
        return false;
    out->file = wm_arena_str(b->cc->a, name);
    if (!wm_path_is_inside(out->file)) {
        wm_report(&b->cc->diags, WM_E_OUTPUT_NAME, l->f->item->span, "the key %.*s would make the file \"%.*s\"",
                  WM_STR_ARG(key), WM_STR_ARG(out->file));
        return false;
    }
    out->key = key;
    if (l->f->has_holds) {
        t.key = l->f->as;
        if (!wm_inst_key(b, &l->x, &t, &name))
            return false;
        out->key = wm_arena_str(b->cc->a, name);
    }
    return true;
}

/* A key without a file line of its own is nowhere, and so not left out. */
bool
wm_is_left_out(struct wm_bind *b, struct wm_str joined)
{
    uint32_t n = b->m->side[b->rs].file.n, before = b->cc->diags.nerror;
    struct wm_gt t;

    if (!b->parts)
        return false;
    if (!b->first)
        return true; /* the link before this one did not make it */
    if (!b->lines)
        b->lines = lines_of(b, b->rs);
    for (uint32_t k = 0; k < n && b->cc->diags.nerror == before; k++)
        if (place_by_line(b, &b->lines[k], joined, &t))
            return wm_parts_lack(b->parts, t.file);
    return false;
}

struct wm_stage *
wm_bind_write_side(struct wm_bind *b, struct wm_stage *rules)
{
    uint32_t n = b->m->side[b->ws].file.n, before = b->cc->diags.nerror;
    struct wm_line *l = lines_of(b, b->ws);
    struct wm_stage *s, *in = wm_drop_aliases(b, rules);

    if (in && !wm_bind_adapter(b, b->ws, in->out, in, b->in->t.n, &in))
        return NULL;
    if (in)
        in = wm_shard_write(b, in);
    if (in && !wm_check_scales_kept(b, in))
        return NULL;
    b->g->out_files.n = 0; /* of the last link only */
    if (!in || n == 0)
        return in;
    s = wm_stage_new(b->g, in->out);
    for (uint32_t i = 0; i < in->out->t.n; i++) {
        struct wm_gt t = in->out->t.item[i];
        bool found = false;

        for (uint32_t k = 0; k < n && !found && b->cc->diags.nerror == before; k++)
            found = place_by_line(b, &l[k], in->out->t.item[i].key, &t);
        if (!found && b->cc->diags.nerror == before)
            wm_report(&b->cc->diags, WM_E_FILE_LINE, b->m->side[b->ws].span, "no file line holds the key `%s`",
                      wm_place_show(b->cc->a, t.key).p);
        wm_stage_pass(b->g, s, i, &t);
    }
    for (uint32_t k = 0; k < n; k++)
        each_file(b, &l[k], make_file);
    return b->cc->diags.nerror == before ? wm_stage_fuse(b->g, in, s) : NULL;
}
