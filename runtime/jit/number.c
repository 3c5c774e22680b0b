/* runtime/jit/number.c -- steps on one element, as straight code that the vectoriser widens.
 *
 * The same formulas as runtime/kernels/cast_loops.h and cast.c, bit for bit, counts too: narrow
 * floats go through the bits of a float32, wide ones get there by rounding to odd.  Values of steps
 * are read from memory, not constants: an optimiser that knew them would drop `x * 1`, which makes
 * signalling NaNs quiet. */
#include "runtime/jit/emit.h"

/* As struct codec of cast_loops.h. */
struct codec {
    uint32_t bits, mantissa, bias, max, beyond, limit, nan;
    bool payload, one_zero;
};

enum { INFINITE = 0x7f800000 };

static const struct codec *
codec_of(uint32_t t)
{
    static const struct codec f16 = {16, 10, 15, 0x7bff, 0x7c00, INFINITE, 0x7e00, true, false};
    static const struct codec e4m3 = {8, 3, 7, 0x7e, 0x7e, 0x43e80000, 0x7f, false, false};
    static const struct codec e5m2 = {8, 2, 15, 0x7b, 0x7c, INFINITE, 0x7f, false, false};
    static const struct codec e4m3z = {8, 3, 8, 0x7f, 0x80, INFINITE, 0x80, false, true};
    static const struct codec e5m2z = {8, 2, 16, 0x7f, 0x80, INFINITE, 0x80, false, true};

    switch (t) {
    case WM_DT_F16:
        return &f16;
    case WM_DT_F8_E4M3:
        return &e4m3;
    case WM_DT_F8_E5M2:
        return &e5m2;
    case WM_DT_F8_E4M3FNUZ:
        return &e4m3z;
    case WM_DT_F8_E5M2FNUZ:
        return &e5m2z;
    default:
        return NULL;
    }
}

/* ---- short names: all on 32 bits ---- */

typedef LLVMValueRef V;

static V
k32(struct emit *e, uint32_t v)
{
    return LLVMConstInt(e->i32, v, 0);
}

static V
add(struct emit *e, V a, V b)
{
    return LLVMBuildAdd(e->b, a, b, "");
}

static V
sub(struct emit *e, V a, V b)
{
    return LLVMBuildSub(e->b, a, b, "");
}

static V
and(struct emit *e, V a, uint32_t b)
{
    return LLVMBuildAnd(e->b, a, k32(e, b), "");
}

static V
or(struct emit *e, V a, V b)
{
    return LLVMBuildOr(e->b, a, b, "");
}

static V
shl(struct emit *e, V a, uint32_t n)
{
    return LLVMBuildShl(e->b, a, k32(e, n), "");
}

static V
shr(struct emit *e, V a, uint32_t n)
{
    return LLVMBuildLShr(e->b, a, k32(e, n), "");
}

static V
less(struct emit *e, V a, uint32_t b)
{
    return LLVMBuildICmp(e->b, LLVMIntSLT, a, k32(e, b), "");
}

static V
equal(struct emit *e, V a, uint32_t b)
{
    return LLVMBuildICmp(e->b, LLVMIntEQ, a, k32(e, b), "");
}

static V
pick(struct emit *e, V c, V a, V b)
{
    return LLVMBuildSelect(e->b, c, a, b, "");
}

static V
float_of(struct emit *e, V bits)
{
    return LLVMBuildBitCast(e->b, bits, e->f32, "");
}

static V
bits_of(struct emit *e, V f)
{
    return LLVMBuildBitCast(e->b, f, e->i32, "");
}

/* ---- narrow floats ---- */

static V
encode_codec(struct emit *e, const struct codec *c, V bits)
{
    const uint32_t shift = 23 - c->mantissa, magic = (127 + shift + 1 - c->bias) << 23;
    V abs = and(e, bits, 0x7fffffff), sign = shl(e, shr(e, bits, 31), c->bits - 1), r, tiny, nan;

    r = add(e, sub(e, abs, k32(e, (127 - c->bias) << 23)), k32(e, (UINT32_C(1) << (shift - 1)) - 1));
    r = shr(e, add(e, r, and(e, shr(e, abs, shift), 1)), shift);
    tiny = LLVMBuildFAdd(e->b, float_of(e, abs), float_of(e, k32(e, magic)), "");
    tiny = sub(e, bits_of(e, tiny), k32(e, magic));
    r = pick(e, less(e, abs, (128 - c->bias) << 23), tiny, r);
    r = pick(e, less(e, r, c->max + 1), r, k32(e, c->beyond));
    nan = k32(e, c->nan);
    if (c->payload)
        nan = or(e, nan, and(e, shr(e, abs, shift), (UINT32_C(1) << c->mantissa) - 1));
    r = pick(e, less(e, abs, 0x7f800001), r, nan);
    if (c->one_zero) {
        sign = pick(e, equal(e, r, 0), k32(e, 0), sign);
        sign = pick(e, equal(e, r, c->nan), k32(e, 0), sign);
    }
    return or(e, r, sign);
}

static V
decode_codec(struct emit *e, const struct codec *c, V code)
{
    const uint32_t shift = 23 - c->mantissa, half = UINT32_C(1) << (c->bits - 1);
    V abs = and(e, code, half - 1), sign = shl(e, and(e, code, half), 32 - c->bits), r, tiny, nan;
    V least = float_of(e, k32(e, (127 + 1 - c->bias - c->mantissa) << 23));

    r = add(e, shl(e, abs, shift), k32(e, (127 - c->bias) << 23));
    tiny = LLVMBuildFMul(e->b, LLVMBuildSIToFP(e->b, abs, e->f32, ""), least, "");
    r = pick(e, less(e, abs, UINT32_C(1) << c->mantissa), bits_of(e, tiny), r);
    nan = k32(e, 0x7fc00000);
    if (c->one_zero)
        return pick(e, equal(e, code, c->nan), nan, or(e, r, sign));
    if (c->nan == c->max + 1) /* no infinity */
        return or(e, pick(e, equal(e, abs, c->nan), nan, r), sign);
    r = pick(e, equal(e, abs, c->beyond), k32(e, INFINITE), r);
    nan = or(e, nan, and(e, shl(e, abs, shift), 0x7fffff));
    return or(e, pick(e, less(e, abs, c->beyond + 1), r, nan), sign);
}

static V
encode_e8m0(struct emit *e, V bits)
{
    V exponent = and(e, shr(e, bits, 23), 0xff), rest = and(e, bits, 0x7fffff), up, tie;

    tie = pick(e, equal(e, exponent, 0), k32(e, 0), k32(e, 1));
    up = pick(e, less(e, rest, 0x400001), k32(e, 0), k32(e, 1));
    up = pick(e, equal(e, rest, 0x400000), tie, up);
    return pick(e, equal(e, exponent, 0xff), exponent, add(e, exponent, up));
}

/* Bits of a float32 to the code of a narrower float (F32: themselves). */
static V
encode(struct emit *e, uint32_t to, V bits)
{
    V r;

    if (to == WM_DT_F32)
        return bits;
    if (to == WM_DT_F8_E8M0)
        return encode_e8m0(e, bits);
    if (to != WM_DT_BF16)
        return encode_codec(e, codec_of(to), bits);
    r = shr(e, add(e, add(e, bits, k32(e, 0x7fff)), and(e, shr(e, bits, 16), 1)), 16);
    return pick(e, less(e, and(e, bits, 0x7fffffff), 0x7f800001), r,
                or(e, shr(e, bits, 16), k32(e, 0x40)));
}

/* A code (zero-extended) of what fits a float32 to its bits. */
static V
decode(struct emit *e, uint32_t from, V code)
{
    switch (from) {
    case WM_DT_F32:
        return code;
    case WM_DT_BOOL:
        code = LLVMBuildZExt(
            e->b, LLVMBuildICmp(e->b, LLVMIntNE, code, k32(e, 0), ""), e->i32, "");
        return bits_of(e, LLVMBuildUIToFP(e->b, code, e->f32, ""));
    case WM_DT_U8:
    case WM_DT_U16:
        return bits_of(e, LLVMBuildUIToFP(e->b, code, e->f32, ""));
    case WM_DT_I8:
    case WM_DT_I16: {
        V n = k32(e, from == WM_DT_I8 ? 24 : 16);

        code = LLVMBuildAShr(e->b, LLVMBuildShl(e->b, code, n, ""), n, "");
        return bits_of(e, LLVMBuildSIToFP(e->b, code, e->f32, ""));
    }
    case WM_DT_BF16:
        return shl(e, code, 16);
    case WM_DT_F8_E8M0: {
        V r = pick(e, equal(e, code, 0), k32(e, 0x00400000), shl(e, code, 23));

        return pick(e, equal(e, code, 0xff), k32(e, 0x7fc00000), r);
    }
    default:
        return decode_codec(e, codec_of(from), code);
    }
}

/* ---- counts ---- */

enum { OVERFLOW, NAN_, INEXACT };

static void
tally(struct emit *e, int which, V condition)
{
    V old = LLVMBuildLoad2(e->b, e->i32, e->count[which], "");

    LLVMBuildStore(e->b, add(e, old, LLVMBuildZExt(e->b, condition, e->i32, "")), e->count[which]);
}

static V
is_nan(struct emit *e, V bits)
{
    return LLVMBuildICmp(e->b, LLVMIntSGT, and(e, bits, 0x7fffffff), k32(e, INFINITE), "");
}

/* What became of x: y. */
static void
count_change(struct emit *e, V x, V y, uint32_t limit)
{
    V xa = and(e, x, 0x7fffffff), ya = and(e, y, 0x7fffffff), nan = is_nan(e, x);
    V differs = LLVMBuildICmp(e->b, LLVMIntNE, x, y, ""), far;

    differs = LLVMBuildAnd(
        e->b, differs, LLVMBuildICmp(e->b, LLVMIntNE, or(e, xa, ya), k32(e, 0), ""), "");
    differs = LLVMBuildAnd(e->b, differs, LLVMBuildNot(e->b, nan, ""), "");
    far = LLVMBuildICmp(e->b, LLVMIntSGE, ya, k32(e, INFINITE), "");
    if (limit != INFINITE) /* else x is no NaN, and not beyond */
        far = LLVMBuildOr(e->b, far, LLVMBuildICmp(e->b, LLVMIntSGT, xa, k32(e, limit), ""), "");
    tally(e, NAN_, nan);
    tally(e, OVERFLOW, LLVMBuildAnd(e->b, differs, far, ""));
    tally(e, INEXACT, LLVMBuildAnd(e->b, differs, LLVMBuildNot(e->b, far, ""), ""));
}

/* ---- wide floats ---- */

static V
f64_to_f32(struct emit *e, V x)
{
    V f = LLVMBuildFPTrunc(e->b, x, e->f32, ""), back = LLVMBuildFPExt(e->b, f, e->f64, "");
    V abs = and(e, bits_of(e, f), 0x7fffffff);
    V differs = LLVMBuildFCmp(e->b, LLVMRealUNE, back, x, "");

    tally(e, NAN_, LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, ""));
    tally(e, OVERFLOW, LLVMBuildAnd(e->b, differs, equal(e, abs, INFINITE), ""));
    tally(e, INEXACT, LLVMBuildAnd(e->b, differs, less(e, abs, INFINITE), ""));
    return bits_of(e, f);
}

/* Bits of a float32 rounded to odd. */
static V
odd_of_f64(struct emit *e, V x)
{
    V f = LLVMBuildFPTrunc(e->b, x, e->f32, ""), back = LLVMBuildFPExt(e->b, f, e->f64, "");
    V bits = bits_of(e, f), zero = LLVMConstReal(e->f64, 0), up, odd;
    V same = LLVMBuildFCmp(e->b, LLVMRealUEQ, back, x, ""); /* or NaN */
    V out = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, x, zero, ""),
                            LLVMBuildFCmp(e->b, LLVMRealOLT, back, x, ""),
                            LLVMBuildFCmp(e->b, LLVMRealOGT, back, x, ""), "");

    up = sub(e, bits, LLVMBuildZExt(e->b, out, e->i32, ""));
    odd = or(e, up, k32(e, 1));
    return pick(e, same, bits, odd);
}

static V
f64_of(struct emit *e, V code)
{
    return LLVMBuildBitCast(e->b, code, e->f64, "");
}

/* ---- steps ---- */

static V
cast(struct emit *e, uint32_t from, uint32_t to, V code)
{
    V bits, r;

    if (from == WM_DT_F64) {
        if (to == WM_DT_F32)
            return f64_to_f32(e, f64_of(e, code));
        bits = odd_of_f64(e, f64_of(e, code));
    } else {
        bits = decode(e, from, code);
    }
    if (to == WM_DT_F64) {
        V nan = is_nan(e, bits);

        tally(e, NAN_, nan);
        bits = pick(e, nan, or(e, bits, k32(e, 0x400000)), bits); /* lest the way back drops it */
        r = LLVMBuildFPExt(e->b, float_of(e, bits), e->f64, "");
        return LLVMBuildBitCast(e->b, r, e->i64, "");
    }
    if (to == WM_DT_F32) { /* exact */
        if (wm_dtype_info[from].kind == 'F')
            tally(e, NAN_, is_nan(e, bits));
        return bits;
    }
    r = encode(e, to, bits);
    count_change(e, bits, decode(e, to, r), codec_of(to) ? codec_of(to)->limit : INFINITE);
    return r;
}

static V
arithmetic(struct emit *e, uint32_t kind, V x, V value)
{
    switch (kind) {
    case WM_SP_ADD:
        return LLVMBuildFAdd(e->b, x, value, "");
    case WM_SP_MUL:
        return LLVMBuildFMul(e->b, x, value, "");
    default:
        return LLVMBuildFNeg(e->b, x, "");
    }
}

static V
compute(struct emit *e, const struct wm_jit_step *s, V value, V code)
{
    bool is_plain = s->from != WM_DT_F8_E4M3FNUZ && s->from != WM_DT_F8_E5M2FNUZ &&
                    s->from != WM_DT_F8_E8M0;
    V r;

    if (s->kind == WM_SP_NEG && is_plain) {
        uint32_t bits = wm_dtype_info[s->from].bits;
        LLVMTypeRef t = LLVMTypeOf(code);

        return LLVMBuildXor(e->b, code, LLVMConstInt(t, UINT64_C(1) << (bits - 1), 0), "");
    }
    if (s->from == WM_DT_F64) {
        r = arithmetic(e, s->kind, f64_of(e, code), value);
        return LLVMBuildBitCast(e->b, r, e->i64, "");
    }
    r = arithmetic(e, s->kind, float_of(e, decode(e, s->from, code)),
                   LLVMBuildFPTrunc(e->b, value, e->f32, ""));
    return encode(e, s->from, bits_of(e, r));
}

LLVMValueRef
wm_emit_steps(struct emit *e, const struct wm_jit_nest *nest, LLVMValueRef code)
{
    if (nest->step[0].from != WM_DT_F64)
        code = LLVMBuildZExt(e->b, code, e->i32, "");
    for (uint32_t i = 0; i < nest->nstep; i++) {
        const struct wm_jit_step *s = &nest->step[i];

        if (s->kind != WM_SP_CAST)
            code = compute(e, s, e->value[i], code);
        else if (s->from != s->to)
            code = cast(e, s->from, s->to, code);
    }
    return LLVMBuildTruncOrBitCast(e->b, code, LLVMIntTypeInContext(e->ctx, 8 * nest->out), "");
}
