/* compiler/chain.c -- map expressions: names to modules, inverses and compositions to a chain of links.
 *
 * `~(a >> b)` is `~b >> ~a`; arguments go to the maps that they stand behind.  Names of the command line are files or
 * names of the library; names in a file are its imports, its own `map n = ...` and its rules map. */
#include "compiler/check.h"
#include "compiler/invert.h"
#include "compiler/select.h"
#include "runtime/format.h"
#include "runtime/manifest.h"

enum { WM_CHAIN_MAX = 64, WM_CHAIN_DEPTH = 32 };

struct build {
    struct wm_cc *cc;
    struct wm_chain *chain;
    struct wm_err *err;
    uint32_t depth;
};

static bool add(struct build *x, struct wm_module *m, const struct wm_mapx *e, bool inverse,
                const struct wm_chain_link *outer);

void
wm_cc_init(struct wm_cc *cc, struct wm_arena *a, const struct wm_sys *sys)
{
    *cc = (struct wm_cc){.a = a, .sys = sys};
    cc->sources.a = a;
    wm_diags_init(&cc->diags, a, &cc->sources);
}

/* ---- the library ---- */

static bool
is_file(struct wm_cc *cc, struct wm_str path)
{
    struct stat st;

    return cc->sys->stat(wm_arena_cstr(cc->a, path), &st) == 0 && S_ISREG(st.st_mode);
}

static bool
is_path(struct wm_str name)
{
    return wm_str_ends(name, WM_STR(".wmap")) || wm_str_starts(name, WM_STR("./")) ||
           wm_str_starts(name, WM_STR("../")) || wm_str_starts(name, WM_STR("/"));
}

/* Not a fault of a map, but of the command: status 2, with the nearest name of the library. */
static void
unknown_map(struct build *x, struct wm_str name)
{
    struct wm_arena *a = x->cc->a;
    WM_VEC(struct wm_str) names = {0};
    struct wm_str near;

    for (uint32_t i = 0; i < x->cc->path.n; i++) {
        struct wm_str *file;
        struct wm_err ignored = {0};
        uint32_t n;

        if (wm_list_tree(a, x->cc->sys, x->cc->path.item[i], 2, &file, &n, &ignored) != WM_OK)
            continue;
        for (uint32_t k = 0; k < n; k++)
            if (wm_str_ends(file[k], WM_STR(".wmap")))
                *WM_PUSH(a, &names) = (struct wm_str){file[k].p, file[k].n - 5};
    }
    near = wm_suggest(a, name, names.item, names.n);
    if (near.n)
        wm_fail(x->err, WM_EUSAGE, NULL, "there is no map \"%.*s\"; did you mean %.*s?", WM_STR_ARG(name),
                WM_STR_ARG(near));
    else
        wm_fail(x->err, WM_EUSAGE, NULL, "there is no map \"%.*s\" in the library (`wmap maps` lists it; a file is named "
                "./%.*s.wmap)", WM_STR_ARG(name), WM_STR_ARG(name));
}

static struct wm_module *
find_module(struct build *x, const struct wm_mapx *e)
{
    struct wm_cc *cc = x->cc;
    struct wm_err err = {0};
    struct wm_module *m = NULL;

    if (is_path(e->name)) {
        m = wm_module_load(cc, e->name, &err);
        if (!m && err.status)
            *x->err = err;
        return m;
    }
    for (uint32_t i = 0; i < cc->path.n; i++) {
        struct wm_str path = wm_arena_printf(cc->a, "%.*s/%.*s.wmap", WM_STR_ARG(cc->path.item[i]),
                                             WM_STR_ARG(e->name));

        if (wm_path_is_inside(e->name) && is_file(cc, path)) {
            m = wm_module_load(cc, path, &err);
            if (!m && err.status)
                *x->err = err;
            return m;
        }
    }
    unknown_map(x, e->name);
    return NULL;
}

/* ---- links ---- */

static bool
add_link(struct build *x, struct wm_module *m, bool inverse, const struct wm_chain_link *outer)
{
    struct wm_chain_link *l;

    if (!m->ok)
        return false;
    if (x->chain->link.n >= WM_CHAIN_MAX) {
        wm_fail(x->err, WM_ELIMIT, NULL, "more than %d maps in one composition", WM_CHAIN_MAX);
        return false;
    }
    l = WM_PUSH(x->cc->a, &x->chain->link);
    *l = (struct wm_chain_link){.module = m, .inverse = inverse};
    if (outer) {
        l->arg = outer->arg;
        l->arg_mod = outer->arg_mod;
        wm_check_args(m, l);
    }
    return true;
}

/* What a module stands for on its own: its rules, or its only `map n = ...`. */
static bool
add_module(struct build *x, struct wm_module *m, const struct wm_mapx *e, bool inverse,
           const struct wm_chain_link *outer)
{
    if (m->has_rules || m->name.n > 0)
        return add_link(x, m, inverse, outer);
    if (m->ok && m->mapdef.n > 0)
        return add(x, m, m->mapdef.item[m->mapdef.n - 1]->mapx, inverse, outer);
    if (m->ok)
        wm_report(&x->cc->diags, WM_E_NO_RULES, e->span, "%.*s has no rules", WM_STR_ARG(m->path));
    return false;
}

/* Under which name a file is asked for: that of its rules, else of what its last `map n = ...` says. */
static struct wm_str
own_name(const struct wm_module *m)
{
    if (m->name.n)
        return m->name;
    return !m->has_rules && m->mapdef.n ? m->mapdef.item[m->mapdef.n - 1]->name : m->path;
}

/* A name inside of a file. */
static bool
add_local(struct build *x, struct wm_module *m, const struct wm_mapx *e, bool inverse,
          const struct wm_chain_link *outer)
{
    struct wm_name *nm = (struct wm_name *)wm_module_find(m, e->name);

    if (nm && nm->kind == WM_NM_IMPORT) {
        nm->used = true;
        return add_module(x, m->import.item[nm->id].module, e, inverse, outer);
    }
    for (uint32_t i = 0; i < m->mapdef.n; i++)
        if (wm_str_eq(m->mapdef.item[i]->name, e->name))
            return add(x, m, m->mapdef.item[i]->mapx, inverse, outer);
    if (wm_str_eq(m->name, e->name))
        return add_link(x, m, inverse, outer);
    wm_report(&x->cc->diags, WM_E_MAP_UNKNOWN, e->span, "there is no map `%.*s` in this file",
              WM_STR_ARG(e->name));
    return false;
}

/* The named maps of a file are right, used or not: names, arguments, no cycle. */
static bool
check_named(const struct build *x, struct wm_module *m)
{
    struct build y = {.cc = x->cc, .chain = WM_NEW(x->cc->a, struct wm_chain), .err = x->err};

    for (uint32_t i = 0; i < m->mapdef.n; i++) {
        y.depth = y.chain->link.n = 0;
        if (!add(&y, m, m->mapdef.item[i]->mapx, false, NULL))
            return false;
    }
    return true;
}

/* `file.wmap:name`: a named map of a file. */
static bool
add_global(struct build *x, const struct wm_mapx *e, bool inverse, const struct wm_chain_link *outer)
{
    const char *colon = memchr(e->name.p, ':', e->name.n);
    struct wm_mapx file = *e, local = *e;
    struct wm_module *m;

    if (colon) {
        file.name.n = (size_t)(colon - e->name.p);
        local.name = (struct wm_str){colon + 1, e->name.n - file.name.n - 1};
    }
    m = find_module(x, &file);
    if (!m || (m->ok && !check_named(x, m)))
        return false;
    if (x->depth == 1) /* not inside of an expression */
        x->chain->name = colon ? local.name : own_name(m);
    return colon ? m->ok && add_local(x, m, &local, inverse, outer) : add_module(x, m, e, inverse, outer);
}

static bool
add(struct build *x, struct wm_module *m, const struct wm_mapx *e, bool inverse,
    const struct wm_chain_link *outer)
{
    struct wm_chain_link with = {0};
    bool ok = false;

    if (++x->depth > WM_CHAIN_DEPTH) {
        wm_report(&x->cc->diags, WM_E_CYCLE, e->span, "maps are defined by each other, or nest too deep");
        return false;
    }
    switch (e->kind) {
    case WM_MX_NAME:
        ok = m ? add_local(x, m, e, inverse, outer) : add_global(x, e, inverse, outer);
        break;
    case WM_MX_INVERSE:
        ok = add(x, m, e->arg[0], !inverse, outer);
        break;
    case WM_MX_COMPOSE:
        ok = add(x, m, e->arg[inverse], inverse, outer) && add(x, m, e->arg[!inverse], inverse, outer);
        break;
    case WM_MX_CALL:
        if (outer)
            with = *outer;
        with.arg_mod = m;
        for (uint32_t i = 0; i < e->nbind; i++)
            *WM_PUSH(x->cc->a, &with.arg) = e->bind[i];
        ok = add(x, m, e->arg[0], inverse, &with);
        break;
    }
    x->depth--;
    return ok;
}

/* Arguments must be parameters; their values are expressions of the file, or literals of the command line. */
void
wm_check_args(struct wm_module *m, const struct wm_chain_link *l)
{
    for (uint32_t i = 0; i < l->arg.n; i++) {
        if (!wm_module_of_param(m, l->arg.item[i].name))
            wm_report(&m->cc->diags, WM_E_PARAM_UNKNOWN, l->arg.item[i].span,
                      "map `%.*s` has no parameter `%.*s`", WM_STR_ARG(m->name),
                      WM_STR_ARG(l->arg.item[i].name));
        if (l->arg_mod)
            wm_check_expr(l->arg_mod, l->arg.item[i].expr, NULL);
    }
}

enum wm_status
wm_load_map(struct wm_cc *cc, struct wm_str spec, struct wm_chain **out, struct wm_err *err)
{
    struct build x = {.cc = cc, .err = err, .chain = WM_NEW(cc->a, struct wm_chain)};
    uint32_t before = cc->diags.nerror;
    const struct wm_mapx *e = wm_parse_mapx(cc->a, &cc->sources, wm_source_add(&cc->sources,
                                                                              WM_STR("command line"), spec),
                                            &cc->diags);

    x.chain->spec = x.chain->name = spec;
    if (!e || !add(&x, NULL, e, false, NULL) || cc->diags.nerror != before)
        return err->status ? err->status : WM_NO;
    *out = x.chain;
    return WM_OK;
}

enum wm_status
wm_load_text(struct wm_cc *cc, struct wm_str name, struct wm_str text, struct wm_chain **out,
             struct wm_err *err)
{
    struct build x = {.cc = cc, .err = err, .chain = WM_NEW(cc->a, struct wm_chain)};
    struct wm_module *m = wm_module_of_text(cc, name, text, err);
    struct wm_mapx whole = {.kind = WM_MX_NAME, .span = m->ast->version_span};

    x.chain->spec = name;
    x.chain->name = own_name(m);
    if (!add_module(&x, m, &whole, false, NULL))
        return err->status ? err->status : WM_NO;
    *out = x.chain;
    return WM_OK;
}

struct wm_str
wm_chain_name(const struct wm_chain *c)
{
    return c->name;
}

struct wm_str
wm_chain_doc(const struct wm_chain *c)
{
    return c->link.n == 1 ? c->link.item[0].module->doc : WM_STR(""); /* a composition has none of its own */
}

/* ---- texts ---- */

enum wm_status
wm_chain_format(struct wm_cc *cc, struct wm_chain *c, struct wm_buf *out, struct wm_err *err)
{
    return wm_print_chain(cc, c, false, out, err);
}

enum wm_status
wm_chain_invert(struct wm_cc *cc, struct wm_chain *c, struct wm_buf *out, struct wm_err *err)
{
    return wm_print_chain(cc, c, true, out, err);
}

enum wm_status
wm_chain_dump(struct wm_cc *cc, struct wm_chain *c, struct wm_str stage, struct wm_buf *out,
              struct wm_err *err)
{
    (void)cc;
    for (uint32_t i = 0; i < c->link.n; i++) {
        if (wm_str_eq(stage, WM_STR("ast")))
            wm_dump_ast(c->link.item[i].module->ast, out);
        else if (wm_str_eq(stage, WM_STR("checked")))
            wm_module_dump(c->link.item[i].module, out);
        else
            return wm_fail(err, WM_EUSAGE, NULL, "no stage \"%.*s\" (ast, checked, graph, plan)",
                           WM_STR_ARG(stage));
    }
    return WM_OK;
}

/* ---- the input ---- */

/* How many directories down the files of a side lie. */
static uint32_t
file_depth(const struct wm_side *s)
{
    uint32_t depth = 0;

    for (uint32_t f = 0; f < s->file.n; f++) {
        const struct wm_key *k = &s->file.item[f].name;
        uint32_t n = 0;

        /* only literal text has slashes: a capture is one plain component */
        for (uint32_t p = 0; p < k->npart; p++)
            for (size_t i = 0; k->part[p].kind == WM_KP_TEXT && i < k->part[p].text.n; i++)
                n += k->part[p].text.p[i] == '/';
        depth = n > depth ? n : depth;
    }
    return depth;
}

/* Does a file line name it? */
static bool
is_named(const struct wm_side *s, struct wm_str file)
{
    int64_t value[256];
    struct wm_str cap[256];

    for (uint32_t f = 0; f < s->file.n; f++)
        if (s->file.item[f].name.npart <= 256 && wm_key_match(&s->file.item[f].name, file, value, cap))
            return true;
    return false;
}

/* Open, and see that files which have a root can have one. */
static enum wm_status
open_rooted(struct wm_cc *cc, struct wm_str path, const struct wm_open_opts *o, struct wm_manifest **out,
            struct wm_err *err)
{
    enum wm_status st = wm_manifest_open(cc->a, cc->sys, path, o, out, err);

    for (uint32_t i = 0; st == WM_OK && o->root.n && i < (*out)->file.n; i++) {
        const struct wm_mfile *f = &(*out)->file.item[i];

        if (!wm_formats[f->format]->nests)
            st = wm_fail(err, WM_EFORMAT, f->path.p, "the map looks for tensors under \"%.*s\", and a file of the format %s "
                         "does not nest", WM_STR_ARG(o->root), wm_formats[f->format]->name);
    }
    return st;
}

/* The first reading side decides which files belong to the input. */
enum wm_status
wm_open_input(struct wm_cc *cc, struct wm_chain *c, struct wm_str path, const struct wm_bind_opts *o,
              const struct wm_open_opts *opts, struct wm_manifest **out, struct wm_err *err)
{
    const struct wm_chain_link *l = &c->link.item[o->reverse ? c->link.n - 1 : 0];
    const struct wm_side *s = &l->module->side[l->inverse != o->reverse];
    const struct wm_parts *parts = o->parts && !o->parts->full && wm_side_has_parts(s) ? o->parts : NULL;
    struct wm_open_opts with = *opts;
    struct wm_str *name, *only;
    struct stat st;
    uint32_t n, nfile = 0;
    bool is_dir = cc->sys->stat(wm_arena_cstr(cc->a, path), &st) == 0 && S_ISDIR(st.st_mode);

    if (parts && !is_dir)
        return wm_fail(err, WM_EUSAGE, wm_arena_cstr(cc->a, path), "--part-spec chooses among the files of a directory");
    if (!is_dir && is_named(s, wm_path_base(path)))
        with.root = s->root;
    if (s->file.n == 0 || !is_dir)
        return open_rooted(cc, path, &with, out, err);
    if (wm_list_tree(cc->a, cc->sys, path, file_depth(s), &name, &n, err) != WM_OK)
        return err->status;
    only = WM_NEW_N(cc->a, struct wm_str, n);
    for (uint32_t i = 0; i < n; i++)
        if (is_named(s, name[i]) && !wm_parts_lack(parts, name[i]))
            only[nfile++] = name[i];
    if (parts && wm_parts_found(cc->a, parts, only, nfile, wm_arena_cstr(cc->a, path), err) != WM_OK)
        return err->status;
    if (nfile > 0) { /* else as another writer left it */
        with.only = only;
        with.nonly = nfile;
        with.root = s->root;
    }
    return open_rooted(cc, path, &with, out, err);
}
