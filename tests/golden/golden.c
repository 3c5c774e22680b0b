/* tests/golden/golden.c -- prints what the golden tests compare, without the command line of wmap.
 *
 *     golden ast|fmt|err|json FILE       the tree, the canonical text, the diagnostics of the
 * parser golden mapx EXPRESSION             a map expression of the command line, or its
 * diagnostics golden same FILE                   status 0 if the printed text parses to the same
 * tree and prints as itself
 *
 * A FILE is named in diagnostics by its last part, so that the outputs do not depend on where they
 * are made. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compiler/ast_print.h"

struct tool {
    struct wm_arena a;
    struct wm_sources sources;
    struct wm_diags diags;
};

static struct wm_str
read_all(struct wm_arena *a, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    struct wm_buf b;
    char part[4096];
    size_t n;

    if (!f) {
        fprintf(stderr, "golden: cannot open %s\n", path);
        exit(2);
    }
    wm_buf_init(&b, a);
    while ((n = fread(part, 1, sizeof(part), f)) > 0)
        wm_buf_puts(&b, (struct wm_str){part, n});
    if (f != stdin)
        fclose(f);
    return wm_buf_str(&b);
}

static void
put(const struct wm_buf *b)
{
    if (b->n > 0)
        fwrite(b->p, 1, b->n, stdout);
}

static struct wm_file_ast *
parse(struct tool *t, const char *name, struct wm_str text)
{
    return wm_parse_file(&t->a, &t->sources, wm_source_add(&t->sources, wm_str_c(name), text),
                         &t->diags);
}

static int
diagnostics(struct tool *t, bool json)
{
    struct wm_render how = {.max = 100};
    struct wm_buf b;

    wm_buf_init(&b, &t->a);
    wm_diags_finish(&t->diags);
    if (json)
        wm_diags_json(&t->diags, &b);
    else
        wm_diags_text(&t->diags, &how, &b);
    put(&b);
    return t->diags.nerror > 0;
}

/* parse(print(x)) is x, and print(parse(print(x))) is print(x). */
static int
same(struct tool *t, const struct wm_file_ast *f)
{
    struct wm_buf text[2], dump[2];
    const struct wm_file_ast *g;

    for (int k = 0; k < 2; k++) {
        wm_buf_init(&text[k], &t->a);
        wm_buf_init(&dump[k], &t->a);
    }
    wm_print_file(f, &text[0]);
    wm_dump_ast(f, &dump[0]);
    g = parse(t, "printed", wm_buf_str(&text[0]));
    wm_dump_ast(g, &dump[1]);
    wm_print_file(g, &text[1]);
    if (!wm_str_eq(wm_buf_str(&dump[0]), wm_buf_str(&dump[1]))) {
        printf("the printed text means something else:\n");
        put(&text[0]);
        return 1;
    }
    if (!wm_str_eq(wm_buf_str(&text[0]), wm_buf_str(&text[1]))) {
        printf("printed twice:\n");
        put(&text[1]);
        return 1;
    }
    return 0;
}

static int
mapx(struct tool *t, const char *text)
{
    uint32_t file = wm_source_add(&t->sources, WM_STR("command line"), wm_str_c(text));
    const struct wm_mapx *m = wm_parse_mapx(&t->a, &t->sources, file, &t->diags);
    struct wm_buf b;

    if (!m)
        return diagnostics(t, false);
    wm_buf_init(&b, &t->a);
    wm_print_mapx(m, &b);
    wm_buf_putc(&b, '\n');
    put(&b);
    return 0;
}

static int
run(struct tool *t, const char *what, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct wm_file_ast *f;
    struct wm_buf b;

    if (strcmp(what, "mapx") == 0)
        return mapx(t, path);
    f = parse(t, slash ? slash + 1 : path, read_all(&t->a, path));
    wm_buf_init(&b, &t->a);
    if (strcmp(what, "err") == 0 || strcmp(what, "json") == 0)
        return diagnostics(t, what[0] == 'j');
    if (strcmp(what, "ast") != 0 && !f->ok)
        return diagnostics(t, false) ? 1 : 2;
    if (strcmp(what, "same") == 0)
        return same(t, f);
    if (strcmp(what, "ast") == 0)
        wm_dump_ast(f, &b);
    else
        wm_print_file(f, &b);
    put(&b);
    return 0;
}

int
main(int argc, char **argv)
{
    struct tool *t = calloc(1, sizeof(*t));
    int status;

    if (argc != 3 || !t) {
        fprintf(stderr, "usage: golden ast|fmt|err|json|same FILE, golden mapx EXPRESSION\n");
        free(t);
        return 2;
    }
    wm_arena_init(&t->a, &wm_sys_real, NULL, NULL);
    t->sources.a = &t->a;
    wm_diags_init(&t->diags, &t->a, &t->sources);
    status = run(t, argv[1], argv[2]);
    wm_arena_fini(&t->a);
    free(t);
    return status;
}
