/* tests/unit/test_key_random.c -- random keys against all texts up to five bytes over a small
 * alphabet.
 *
 * Whatever the automata say is compared with counting decodings by brute force: a "no" must not be
 * contradicted by any of the texts, a "yes" is checked by its proof, and the proof must not be
 * longer than the shortest. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "tests/unit/key_kit.h"

enum { NKEY = 90, ROUNDS = 4, LENGTH = 5, MAX_PARTS = 5 };

static const char alphabet[] = "xa01.";

struct texts {
    struct wm_str *text; /* by length */
    uint32_t n;
};

struct subject {
    struct wm_key key;
    const char *form;
    bool *has;      /* [text] repeated parts agree */
    bool ambiguous; /* as wm_key_ambiguous() says */
    bool repeats;
};

static uint32_t
roll(uint64_t *seed, uint32_t n)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

/* A few letters of the alphabet. */
static void
put_text(struct wm_buf *b, uint64_t *seed)
{
    for (uint32_t n = 1 + roll(seed, 2); n > 0; n--)
        wm_buf_putc(b, alphabet[1 + roll(seed, 4)]);
}

static void
put_words(struct wm_buf *b, uint64_t *seed, char var)
{
    wm_buf_printf(b, "{%c in ", var);
    for (uint32_t n = 1 + roll(seed, 3), i = 0; i < n; i++) {
        if (i)
            wm_buf_putc(b, '|');
        put_text(b, seed);
    }
    wm_buf_putc(b, '}');
}

/* At most one capture mostly, and variables that repeat now and then. */
static const char *
random_form(struct wm_arena *a, uint64_t *seed)
{
    struct wm_buf b;
    uint32_t n = 1 + roll(seed, MAX_PARTS);
    bool text = false;

    wm_buf_init(&b, a);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t kind = roll(seed, 10);
        bool repeat = roll(seed, 8) == 0;

        if (kind < 4 && !text)
            put_text(&b, seed);
        else if (kind < 6)
            wm_buf_printf(&b, "{%c}", repeat ? 'i' : (char)('j' + i));
        else if (kind < 7)
            wm_buf_printf(&b, "{%c:02}", repeat ? 'i' : (char)('j' + i));
        else if (kind < 9)
            put_words(&b, seed, repeat ? 'p' : (char)('q' + i));
        else
            wm_buf_printf(&b, "{%c*}", repeat ? 'c' : (char)('d' + i));
        text = kind < 4 && !text;
    }
    return b.p;
}

static struct texts
all_texts(struct wm_arena *a)
{
    struct texts t = {NULL, 0};
    uint32_t level = 1, from = 0;

    t.text = WM_NEW_N(a, struct wm_str, 4000);
    for (uint32_t len = 1; len <= LENGTH; len++) {
        uint32_t begin = t.n;

        level *= 5;
        for (uint32_t i = 0; i < level; i++) {
            char *p = wm_arena_alloc(a, len + 1);

            if (len > 1)
                memcpy(p, t.text[from + i / 5].p, len - 1);
            p[len - 1] = alphabet[i % 5];
            t.text[t.n++] = (struct wm_str){p, len};
        }
        from = begin;
    }
    return t;
}

static bool
has_repeats(const struct wm_key *k)
{
    for (uint32_t i = 0; i < k->npart; i++)
        for (uint32_t j = i + 1; j < k->npart; j++)
            if (k->part[i].kind != WM_KP_TEXT && k->part[i].kind == k->part[j].kind &&
                k->part[i].var == k->part[j].var)
                return true;
    return false;
}

static bool
has_duplicate(const struct wm_key *k)
{
    for (uint32_t i = 0; i < k->npart; i++)
        for (uint32_t v = 0; v < k->part[i].nword; v++)
            for (uint32_t w = 0; w < v; w++)
                if (wm_str_eq(k->part[i].word[v], k->part[i].word[w]))
                    return true;
    return false;
}

static uint32_t
ordinal(const struct wm_kpart *p, struct wm_str s)
{
    uint32_t w = 0;

    while (w < p->nword && !wm_str_eq(p->word[w], s))
        w++;
    return w;
}

/* Ambiguity, and matching where there is none. */
static void
check_alone(struct wm_arena *a, struct subject *s, const struct texts *t)
{
    struct wm_str proof = {0};
    int64_t value[64];
    struct wm_str cap[64];
    uint32_t first = t->n;

    s->ambiguous = wm_key_ambiguous(a, &s->key, &proof);
    for (uint32_t i = 0; i < t->n; i++) {
        struct kit_decode d = {.k = &s->key, .text = t->text[i], .agree = true};
        bool match;

        kit_walk(&d, 0, 0);
        s->has[i] = d.count > 0;
        if (d.count > 1 && first == t->n)
            first = i;
        match = wm_key_match(&s->key, t->text[i], value, cap);
        if (s->ambiguous ? match && d.count == 0 : match != (d.count == 1))
            fail_msg("%s at %s: match says %d, %u decodings", s->form, t->text[i].p, match,
                     d.count);
        for (uint32_t p = 0; p < s->key.npart && match && !s->ambiguous; p++) {
            const struct wm_kpart *part = &s->key.part[p];

            assert_true(wm_str_eq(cap[p], d.cap[p]));
            if (part->kind == WM_KP_INDEX)
                assert_int_equal(value[p], strtoll(wm_arena_cstr(a, cap[p]), NULL, 10));
            if (part->kind == WM_KP_WORDS)
                assert_int_equal(value[p], ordinal(part, cap[p]));
        }
    }
    if (first < t->n &&
        (!s->ambiguous || (!s->repeats && !has_duplicate(&s->key) && proof.n != t->text[first].n)))
        fail_msg("%s: %s decodes twice, but the answer is %d \"%.*s\"", s->form, t->text[first].p,
                 s->ambiguous, WM_STR_ARG(proof));
    if (s->ambiguous && !has_duplicate(&s->key) && (proof.n || !s->repeats) &&
        kit_count(&s->key, proof, true) < 2)
        fail_msg("%s: \"%.*s\" does not decode twice", s->form, WM_STR_ARG(proof));
}

static bool
check_overlap(struct wm_arena *a, const struct subject *x, const struct subject *y,
              const struct texts *t)
{
    struct wm_str proof = {0};
    bool yes = wm_key_overlap(a, &x->key, &y->key, &proof), repeats = x->repeats || y->repeats;
    uint32_t first = 0;

    while (first < t->n && !(x->has[first] && y->has[first]))
        first++;
    if (first < t->n && (!yes || (!repeats && proof.n != t->text[first].n)))
        fail_msg("%s and %s share %s, but the answer is %d \"%.*s\"", x->form, y->form,
                 t->text[first].p, yes, WM_STR_ARG(proof));
    if (yes && (proof.n || !repeats) &&
        (kit_count(&x->key, proof, true) == 0 || kit_count(&y->key, proof, true) == 0))
        fail_msg("%s and %s do not share \"%.*s\"", x->form, y->form, WM_STR_ARG(proof));
    return yes;
}

static void
check_inside(struct wm_arena *a, const struct subject *x, const struct subject *y,
             const struct texts *t)
{
    struct wm_str proof = {0};
    bool yes = wm_key_inside(a, &x->key, &y->key, &proof), repeats = x->repeats || y->repeats;
    uint32_t first = 0;

    while (first < t->n && (!x->has[first] || y->has[first]))
        first++;
    if (first < t->n && (yes || (!repeats && proof.n > t->text[first].n)))
        fail_msg("%s is not in %s: %s, but the answer is %d \"%.*s\"", x->form, y->form,
                 t->text[first].p, yes, WM_STR_ARG(proof));
    if (!yes && (proof.n || !repeats) &&
        (kit_count(&x->key, proof, true) == 0 || kit_count(&y->key, proof, true) > 0))
        fail_msg("%s in %s: wrong proof \"%.*s\"", x->form, y->form, WM_STR_ARG(proof));
}

struct seen {
    bool pair[NKEY][NKEY];
    uint32_t i, j;
};

static bool
see(void *user, uint32_t i, uint32_t j, struct wm_str proof)
{
    struct seen *s = user;

    (void)proof;
    assert_true(i < j && (i > s->i || (i == s->i && j > s->j)));
    s->i = i;
    s->j = j;
    return s->pair[i][j] = true;
}

static void
one_round(uint64_t *seed)
{
    struct wm_arena a;
    struct texts t;
    struct subject s[NKEY];
    const struct wm_key *key[NKEY];
    struct seen seen = {.i = 0};

    wm_arena_init(&a, &wm_sys_real, NULL, NULL);
    t = all_texts(&a);
    for (uint32_t i = 0; i < NKEY; i++) {
        s[i].form = random_form(&a, seed);
        s[i].key = kit_key(&a, s[i].form);
        s[i].has = WM_NEW_N(&a, bool, t.n);
        s[i].repeats = has_repeats(&s[i].key);
        key[i] = &s[i].key;
        check_alone(&a, &s[i], &t);
    }
    wm_keys_overlaps(&a, key, NKEY, see, &seen);
    for (uint32_t i = 0; i < NKEY; i++) {
        for (uint32_t j = 0; j < NKEY; j++) {
            check_inside(&a, &s[i], &s[j], &t);
            if (i < j && check_overlap(&a, &s[i], &s[j], &t) != seen.pair[i][j])
                fail_msg("%s and %s: pair %s", s[i].form, s[j].form,
                         seen.pair[i][j] ? "does not overlap" : "was not found");
        }
    }
    wm_arena_fini(&a);
}

static void
random_keys(void **state)
{
    const char *env = getenv("WMAP_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 0) : 1;

    (void)state;
    for (uint32_t r = 0; r < ROUNDS; r++) {
        print_message("  WMAP_SEED=%llu\n", (unsigned long long)seed);
        one_round(&seed);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_keys)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
