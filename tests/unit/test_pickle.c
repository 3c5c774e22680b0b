/* tests/unit/test_pickle.c -- the pickle machine: what small pickles become, as text; and random ones. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "runtime/formats/pickle.h"

static const struct wm_pk_class classes[] = {
    {"collections.OrderedDict", WM_PK_AS_ORDERED_DICT, 0}, {"collections.Counter", WM_PK_AS_COUNTER, 0},
    {"builtins.set", WM_PK_AS_SET, 0},                     {"torch.Size", WM_PK_AS_TUPLE, 0},
    {"m.made", WM_PK_AS_OBJECT, 0},                        {"m.built", WM_PK_AS_BUILT, 0},
    {"m.name", WM_PK_AS_NAME, 0},
};

/* The tree as text, at most `deep` levels of it. */
static void
print(struct wm_buf *b, const struct wm_pk *v, int deep)
{
    static const char open[] = {[WM_PK_TUPLE] = '(', [WM_PK_LIST] = '[', [WM_PK_DICT] = '{', [WM_PK_SET] = '<',
                                [WM_PK_REF] = '@', [WM_PK_OBJECT] = '!'};

    if (!v || deep == 0) {
        wm_buf_putz(b, v ? ".." : "-");
        return;
    }
    switch ((enum wm_pk_kind)v->kind) {
    case WM_PK_NONE:
        wm_buf_putz(b, "None");
        break;
    case WM_PK_BOOL:
        wm_buf_putz(b, v->i ? "True" : "False");
        break;
    case WM_PK_INT:
        wm_buf_printf(b, "%lld", (long long)v->i);
        break;
    case WM_PK_BIG:
        wm_buf_printf(b, "big%u", v->n);
        break;
    case WM_PK_FLOAT:
        wm_buf_printf(b, "%g", v->f);
        break;
    case WM_PK_STR:
        wm_buf_json(b, wm_pk_str(v));
        break;
    case WM_PK_CLASS:
        wm_buf_putz(b, wm_pk_type_name(v, classes));
        break;
    default:
        if (v->kind == WM_PK_DICT && v->ordered)
            wm_buf_putc(b, 'O');
        if (v->kind == WM_PK_OBJECT)
            wm_buf_putz(b, wm_pk_type_name(v, classes));
        wm_buf_putc(b, open[v->kind]);
        for (uint32_t k = 0; k < v->n; k++) {
            if (k)
                wm_buf_putc(b, ' ');
            print(b, v->item[k], deep - 1);
        }
    }
}

/* The pickle as text, or the last part of its message. */
static const char *
read(struct wm_arena *a, const char *p, size_t n, bool protocol4)
{
    const struct wm_pk_opts o = {"f", "p", classes, WM_COUNTOF(classes), protocol4};
    struct wm_pk_result r;
    struct wm_err err = {0};
    struct wm_buf b;
    enum wm_status st = wm_pk_read(a, &o, (struct wm_str){p, n}, &r, &err);

    if (st != WM_OK) {
        assert_memory_equal(err.msg, "f: p: byte ", 11);
        return wm_arena_cstr(a, wm_str_c(strchr(err.msg + 11, ':') + 2));
    }
    assert_int_equal(r.used, n);
    wm_buf_init(&b, a);
    print(&b, r.value, 6);
    return b.p;
}

#define ROW(bytes, text) {bytes, sizeof(bytes) - 1, text}

static const struct {
    const char *p;
    size_t n;
    const char *text;
} rows[] = {
    ROW("\x80\x02N.", "None"),
    ROW("\x88.", "True"),
    ROW("\x89.", "False"),
    ROW("K\xff.", "255"),
    ROW("M\x01\x02.", "513"),
    ROW("J\xff\xff\xff\xff.", "-1"),
    ROW("J\x00\x00\x00\x80.", "-2147483648"),
    ROW("\x8a\x00.", "0"),
    ROW("\x8a\x01\xff.", "-1"),
    ROW("\x8a\x02\xff\x00.", "255"),
    ROW("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", "9223372036854775807"),
    ROW("\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", "big9"),
    ROW("G\x3f\xf8\x00\x00\x00\x00\x00\x00.", "1.5"),
    ROW("X\x02\x00\x00\x00" "ab.", "\"ab\""),
    ROW("U\x02" "ab.", "\"ab\""),
    ROW(").", "("),
    ROW("(NK\x01t.", "(None 1"),
    ROW("NK\x01\x86.", "(None 1"),
    ROW("]K\x01" "a.", "[1"),
    ROW("](K\x01K\x02K\x03K\x04K\x05K\x06" "e.", "[1 2 3 4 5 6"),
    ROW("}(K\x01NK\x02Nu.", "{1 None 2 None"),
    ROW("}K\x01Ns.", "{1 None"),
    ROW("\x8f.", "<"),
    ROW("]q\x00h\x00" "a.", "[[[[[[.."),
    ROW("]r\x00\x00\x00\x00j\x00\x00\x00\x00\x86.", "([ ["),
    ROW("ccollections\nOrderedDict\n)R.", "O{"),
    ROW("ccollections\nOrderedDict\n](K\x01K\x02\x86K\x03K\x04\x86" "e\x85R.", "O{1 2 3 4"),
    ROW("ccollections\nOrderedDict\n)R}K\x01Nsb.", "O{"),
    ROW("ccollections\nCounter\n}K\x01Ns\x85R.", "{1 None"),
    ROW("c__builtin__\nset\n]K\x01" "a\x85R.", "<1"),
    ROW("ctorch\nSize\n(K\x01K\x02t\x85R.", "(1 2"),
    ROW("cm\nmade\n(Nt\x81.", "m.made!(None -"),
    ROW("cm\nbuilt\n)RK\x05" "b.", "m.built!( 5"),
    ROW("cm\nname\n.", "m.name"),
    ROW("K\x07\x85Q.", "@(7"),
    /* what is refused */
    ROW("cm\nname\n)R.", "calls m.name, which is no function"),
    ROW("cm\nmade\n)RNb.", "gives a state to a value of type m.made"),
    ROW("cos\nsystem\n.", "refers to \"os.system\", which is none of what a checkpoint is made of; nothing was run"),
    ROW("}Nb.", "gives a state to a value of type dict"),
    ROW("N)R.", "calls a value of type None"),
    ROW("(N.", "does not end with exactly one value"),
    ROW("N(0", "the instruction POP, which restricted readers of checkpoints don't have"),
    ROW("Nq\x05.", "a memo index greater than the number of instructions"),
    ROW("h\x00.", "nothing was put at 0 of the memo"),
    ROW("(N\x86.", "takes more values than there are"),
    ROW("X\x05\x00\x00\x00" "ab.", "the pickle ends in the middle"),
    ROW("\x80\x04\x95", "the instruction FRAME, which restricted readers of checkpoints don't have"),
};

static void
test_rows(void **state)
{
    struct wm_arena a;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    for (size_t k = 0; k < WM_COUNTOF(rows); k++)
        assert_string_equal(read(&a, rows[k].p, rows[k].n, false), rows[k].text);
    wm_arena_fini(&a);
}

static void
test_protocol4(void **state)
{
    static const char p[] = "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x01m\x8c\x04made\x93\x94)\x81\x94h\x00\x8f(K\x01\x90\x87.";
    struct wm_arena a;

    (void)state;
    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    assert_string_equal(read(&a, p, sizeof(p) - 1, true), "(m.made!( - m.made <1");
    wm_arena_fini(&a);
}

/* Random instructions, most of them sound: a verdict each, within the stated memory, and a tree that can be read. */
static void
test_random(void **state)
{
    static const char ops[] = "N\x88\x89)]}\x8f(teasu\x85\x86\x87RbQ\x81..";
    static const char *const classes_named[] = {"ccollections\nOrderedDict\n", "cm\nmade\n", "cm\nbuilt\n", "ctorch\nSize\n"};
    uint64_t x = 88172645463325252u;
    unsigned accepted = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct wm_arena a;
        char p[256];
        size_t n = 0, want = 4 + (size_t)(x >> 40) % 60;
        const char *text;

        while (n < want) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            switch (x % 8) {
            case 0:
                n += (size_t)sprintf(p + n, "%s", classes_named[x / 8 % 4]);
                break;
            case 1:
                p[n++] = "qh"[x / 8 % 2];
                p[n++] = (char)(x / 16 % 4);
                break;
            case 2:
                p[n++] = 'K';
                p[n++] = (char)(x / 8);
                break;
            case 3:
                p[n++] = (char)(x / 8); /* anything */
                break;
            default:
                p[n++] = ops[x / 8 % (sizeof(ops) - 3)];
            }
        }
        p[n++] = '.';
        wm_arena_init(&a, &wm_sys_real, NULL, NULL);
        {
            const struct wm_pk_opts o = {"f", "p", classes, WM_COUNTOF(classes), false};
            struct wm_pk_result r;
            struct wm_err err = {0};
            struct wm_buf b;
            enum wm_status st = wm_pk_read(&a, &o, (struct wm_str){p, n}, &r, &err);

            if (st == WM_OK) {
                wm_buf_init(&b, &a);
                print(&b, r.value, 6);
                accepted++;
            } else {
                assert_true(st == WM_EFORMAT || st == WM_EIO);
                text = err.msg;
                assert_memory_equal(text, "f: p: byte ", 11);
            }
            assert_true(a.total < 1 << 20);
        }
        wm_arena_fini(&a);
    }
    assert_true(accepted > 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_protocol4),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
