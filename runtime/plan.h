/* runtime/plan.h -- the copy plan: what the compiler hands to the runtime, and all that they share.
 *
 * A plan is one relocatable block: a header, then sections of fixed-size records that refer to each
 * other by index and to texts by (offset, length) in the string section.  No pointers: it can be
 * written, hashed, mapped.
 *
 * It answers, for any byte range of an output file, which reads produce it: binary search for the
 * output tensor, then for the boxes of its geometry.  Bytes around the tensors (headers) are
 * constants of the plan (`head`). Checks (replicas, aliases, padding) are output tensors without a
 * file, numbered after those that have one.
 *
 * Strides and bases are in units of the geometry's operand types (one unit of a sub-byte dtype is a
 * byte: such runs are whole bytes).  Tensors with the same geometry share it; `slot` maps its
 * operand slots to inputs. */
#ifndef WM_RUNTIME_PLAN_H
#define WM_RUNTIME_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/dtype.h"
#include "base/map.h"
#include "base/source.h"
#include "base/status.h"

enum { WM_PLAN_VERSION = 2, WM_PLAN_OPERANDS = 3, WM_PLAN_RANK = 64 };

enum wm_plan_section {
    WM_PS_STRINGS, /* bytes */
    WM_PS_INFILE,  /* wm_plan_infile */
    WM_PS_OUTFILE, /* wm_plan_outfile */
    WM_PS_IN,      /* wm_plan_in: input tensors that are read */
    WM_PS_OUT,     /* wm_plan_out: by (file, offset), then the checks */
    WM_PS_GEOM,    /* wm_plan_geom */
    WM_PS_BOX,     /* wm_plan_box: each geometry's boxes by dst_base */
    WM_PS_DIM,     /* wm_plan_dim */
    WM_PS_SLOT,    /* uint32_t: indices of IN; each OUT has a run of them */
    WM_PS_ELEM,    /* wm_plan_elem; 0 is the plain copy */
    WM_PS_STEP,    /* wm_plan_step */
    WM_PS_SHAPE,   /* int64_t: shapes of tensors */
    WM_PS_BLOB,    /* bytes: headers of output files, index files, fill patterns */
    WM_PS_SIDECAR, /* wm_plan_sidecar: small files that go along */
    WM_PS_SHARED,  /* wm_plan_shared: further names of an output's bytes */
    WM_PS_SUM,     /* wm_plan_sum: check sums that are written */
    WM_PS_INSUM,   /* wm_plan_insum: check sums of inputs that must hold */
    WM_PS_N
};

struct wm_plan_text {
    uint32_t off, len;
}; /* in STRINGS */
struct wm_plan_bytes {
    uint64_t off, len;
}; /* in BLOB */

struct wm_plan_header {
    char magic[8]; /* "wmplan\0\2" */
    uint32_t version;
    uint32_t flags;
    uint64_t size;      /* of the block */
    uint64_t out_bytes; /* tensor bytes written */
    uint64_t in_bytes;  /* tensor bytes of the inputs that are read */
    struct {
        uint64_t off, count;
    } section[WM_PS_N];
};

/* How bytes in a file and the elements of a tensor differ. */
enum wm_codec {
    WM_CODEC_RAW,
    WM_CODEC_BLOB,          /* input only: no file; bytes of the plan's BLOB */
    WM_CODEC_SWAP2,         /* other byte order, elements (or parts of complex ones) of so many bytes */
    WM_CODEC_SWAP4,
    WM_CODEC_SWAP8,
    WM_CODEC_MSGPACK_F32,   /* 5 bytes: 0xca, big-endian float32; an element is F32 */
    WM_CODEC_MSGPACK_F64,   /* 9 bytes: 0xcb, big-endian float64; an element is F32 (written: exact) */
    WM_CODEC_MSGPACK_MIXED, /* input only: any number each; an element is F32; with an index */
    WM_CODEC_MSGPACK_F64_ROUND,   /* input only: as F64 and MIXED, but what no float32 equals is rounded to the */
    WM_CODEC_MSGPACK_MIXED_ROUND, /* nearest one */
    WM_CODEC_MSGPACK_U32,         /* 5 bytes: 0xce, big-endian; an element is U32 */
    WM_CODEC_MSGPACK_U32_MIXED,   /* input only: any integer of 0 to 2^32 - 1; an element is U32; with an index */
    WM_CODEC_N
};
enum { WM_CODEC_INDEX_STEP = 1 << 14 }; /* elements between two entries of an index */

enum { WM_INFILE_STREAM = 1 }; /* comes in pieces (runtime/push.h); `path` is for messages */

/* A file that is read; or with a codec, what one stretch of a file decodes to: to the executor a file of its own, of
 * `nbytes` decoded bytes, that is read like any other. */
struct wm_plan_infile {
    struct wm_plan_text path; /* of RAW only */
    uint64_t size; /* of RAW: as seen at bind; a change is an error at run */
    int64_t mtime_sec, mtime_nsec;
    uint32_t codec;
    uint32_t flags;   /* WM_INFILE_* */
    uint32_t of;      /* of all codecs but RAW and BLOB: the INFILE (RAW) that the stretch is in */
    uint32_t pad;
    uint64_t lo, len; /* the stretch, of all codecs but RAW: in that file, or in BLOB */
    uint64_t nbytes;  /* of all codecs: RAW size; else of the decoded stretch */
    struct wm_plan_bytes index; /* where elements differ in length: uint64_t offsets from `lo` of 0, STEP, 2 STEP, .. */
};

struct wm_plan_outfile {
    struct wm_plan_text name; /* relative to the output; one plain path inside it */
    uint64_t size;
    struct wm_plan_bytes head; /* constant bytes at offset 0 (a header), or the whole of a small
                                  file such as an index (ntensor 0) */
    struct wm_plan_bytes tail; /* constant bytes behind the last tensor */
    uint64_t first, ntensor;   /* its run in OUT, ascending offsets */
    uint32_t order;            /* files are committed in this order; an index last */
    uint32_t format;           /* id of the format table */
};

struct wm_plan_in {
    struct wm_plan_text name;
    uint32_t file;
    uint32_t dtype;
    uint64_t off, nbytes; /* in the file */
    uint32_t shape, rank; /* first index in SHAPE */
    uint32_t stride;      /* of a view: first index in SHAPE of its strides in elements, for messages; the boxes have
                             them already, and `nbytes` is what it spans.  WM_NONE: row-major */
    uint32_t origin;      /* of a part of a tensor: first index in SHAPE of where it begins in the whole, for messages.
                             WM_NONE: it is the whole */
};

/* Outputs tile the part of a file between head and tail.  One without a name is no tensor but what a container has
 * between them (local headers, padding, what a template keeps): a copy like any other. */
struct wm_plan_out {
    struct wm_plan_text name;
    uint32_t file; /* WM_NONE for a check */
    uint32_t dtype;
    uint64_t off, nbytes; /* in the file, encoded; for a check: number of units compared, off = 0 */
    uint32_t shape, rank;
    uint32_t geom;
    uint32_t slot;             /* first index in SLOT */
    uint32_t codec;            /* RAW, SWAPn, MSGPACK_F32 or _F64: how its units are written */
    uint32_t pad;
    struct wm_plan_text where; /* "llama.wmap:14:3" of its rule */
};

struct wm_plan_geom {
    uint64_t box, nbox; /* ascending dst_base */
    uint32_t nslot;
    uint32_t unit; /* bytes of one dst unit: 1, 2, 4, 8 or 16 */
    int64_t nunit; /* size of the output in units */
};

struct wm_plan_box {
    int64_t dst_base;
    int64_t src_base[WM_PLAN_OPERANDS];
    uint32_t slot[WM_PLAN_OPERANDS];
    uint32_t elem;
    uint32_t nsrc, rank;
    uint64_t dim;
};

/* Extents are at least 1.  The dims of a box are ordered by dst: each dst stride is greater than
 * what the dims behind it reach over (src strides are free). */
struct wm_plan_dim {
    int64_t extent, dst, src[WM_PLAN_OPERANDS];
};

/* Element operations: how a dst unit is made of its operands' units. */
enum wm_elem_kind {
    WM_EL_COPY,   /* dst = src[0] */
    WM_EL_FILL,   /* dst = pattern (no operand) */
    WM_EL_CHAIN,  /* dst = steps applied to src[0] in order */
    WM_EL_EQUAL,  /* check: src[0] == src[1] to the bit */
    WM_EL_IS_FILL, /* check: src[0] == pattern */
    WM_EL_LOWRANK, /* dst = steps applied to src[0] + scale * sum over k of src[1](k) * src[2](k), where k steps through
                      operands 1 and 2 by `stride` */
    WM_EL_SCALED   /* dst = steps applied to src[0] * src[1], a product of float32: a quantised value by the scale of its
                      block */
    /* A FILL in the geometry of a check is nothing to do. */
};
enum wm_lowrank_mode {
    WM_LR_ONCE,    /* summed in float32 or wider, the result rounded once to src_dtype */
    WM_LR_STEPWISE /* the product, the scaled product and the sum are each rounded to src_dtype */
};
struct wm_plan_elem {
    uint32_t kind;
    uint32_t src_unit;             /* of CHAIN, LOWRANK, SCALED: bytes of operand 0's unit; all others work */
    uint32_t dst_unit;             /* on the geometry's unit and ignore both */
    uint32_t src_dtype, dst_dtype; /* of CHAIN, LOWRANK, SCALED */
    uint32_t step, nstep;          /* of CHAIN, LOWRANK, SCALED (from float32 on) */
    uint8_t pattern[16];           /* of FILL, IS_FILL: one unit */
    struct wm_plan_text note;      /* for messages: "replica", "alias lm_head.weight" */
    /* of LOWRANK, else 0: */
    uint32_t mode;                 /* enum wm_lowrank_mode */
    uint32_t rank;                 /* values of k */
    uint32_t factor[2];            /* dtypes of operands 1 and 2; of SCALED: of operand 1, and 0 */
    uint32_t pad;
    int64_t stride[2];             /* a step of k in operands 1 and 2, in units */
    double scale;
};
enum { WM_LOWRANK_MAX = 1 << 16 }; /* rank */

enum wm_step_kind {
    WM_SP_CAST,   /* from -> to, one rounding to nearest even */
    WM_SP_UNCAST, /* the way back of a cast: from -> to; an element that would not survive fails the
                     run */
    WM_SP_ADD,
    WM_SP_MUL,
    WM_SP_NEG,
    WM_SP_EXP,
    WM_SP_LOG
};
struct wm_plan_step {
    uint32_t kind;
    uint32_t from, to; /* dtypes (equal except for casts) */
    uint32_t lossy;
    double value;
};

struct wm_plan_sidecar {
    struct wm_plan_text from; /* path of the input file; empty: `bytes` instead */
    struct wm_plan_text name; /* relative to the output's directory */
    struct wm_plan_bytes bytes;
};

/* One more tensor of a container that lets tensors share their storage: the bytes are those of OUT `of`. */
struct wm_plan_shared {
    struct wm_plan_text name;
    uint64_t of;
    uint32_t shape, rank; /* first index in SHAPE */
    struct wm_plan_text where;
};

/* The CRC-32 (of zip) of bytes [lo, hi) of an output file goes to `field`s of the same file, little-endian, when
 * the bytes are known.  No field lies inside of a summed range; ranges of one file ascend and are disjoint. */
struct wm_plan_sum {
    uint32_t file, nfield;
    uint64_t lo, hi;
    uint64_t field[2];
};

/* The CRC-32 of bytes [lo, hi) of an input file (RAW) as its container states it.  Checked like the other checks,
 * after the outputs. */
struct wm_plan_insum {
    uint32_t file, crc;
    uint64_t lo, hi;
    struct wm_plan_text name; /* of the entry, for messages */
};

/* ---- reading a plan ---- */

/* A view of a plan block; borrowed memory, 8-byte aligned. */
struct wm_plan {
    const struct wm_plan_header *head;
};

/* Checks everything (magic, sections, every index, every box in bounds of its operands and outputs,
 * each output unit written exactly once, names unique and inside, files covered) so that the
 * executor need not: a saved plan is hostile input.  `scratch` lends memory; nothing of *out refers
 * to it. */
enum wm_status wm_plan_open(struct wm_arena *scratch, const void *block, uint64_t size,
                            struct wm_plan *out, struct wm_err *err);

/* The sections under their types, with their counts. */
#define WM_PLAN_SECTIONS                                                                                             \
    const struct wm_plan_infile *infile;                                                                             \
    const struct wm_plan_outfile *outfile;                                                                           \
    const struct wm_plan_in *in;                                                                                     \
    const struct wm_plan_out *out;                                                                                   \
    const struct wm_plan_geom *geom;                                                                                 \
    const struct wm_plan_box *box;                                                                                   \
    const struct wm_plan_dim *dim;                                                                                   \
    const uint32_t *slot;                                                                                            \
    const struct wm_plan_elem *elem;                                                                                 \
    const struct wm_plan_step *step;                                                                                 \
    const int64_t *shape;                                                                                            \
    const char *blob;                                                                                                \
    const struct wm_plan_sidecar *sidecar;                                                                           \
    const struct wm_plan_shared *shared;                                                                             \
    const struct wm_plan_sum *sum;                                                                                   \
    const struct wm_plan_insum *insum;                                                                               \
    uint64_t ninfile, noutfile, nin, nout, ngeom, nbox, nelem, nsidecar, nshared, nsum, ninsum;
struct wm_plan_view {
    WM_PLAN_SECTIONS
};
/* As members of another struct, and there together as `sections`. */
#define WM_PLAN_VIEW_MEMBERS                                                                                         \
    union {                                                                                                          \
        struct wm_plan_view sections;                                                                                \
        struct {                                                                                                     \
            WM_PLAN_SECTIONS                                                                                         \
        };                                                                                                           \
    }
struct wm_plan_view wm_plan_view(const struct wm_plan *p);

/* Bytes of one record of each section (1: bytes). */
extern const uint32_t wm_plan_record[WM_PS_N];
/* The records of a section; count may be NULL. */
const void *wm_plan_section(const struct wm_plan *p, enum wm_plan_section s, uint64_t *count);
struct wm_str wm_plan_str(const struct wm_plan *p, struct wm_plan_text t);
const uint8_t *wm_plan_blob(const struct wm_plan *p, struct wm_plan_bytes b);
/* Bytes of a unit of operand `s` of a box with this element operation, in a geometry with this unit. */
uint32_t wm_plan_src_unit(const struct wm_plan_elem *e, uint32_t unit, uint32_t s);

/* The index [rank] of the element of an input whose place is `at` (elements from its first; of several at one place,
 * the first); of a part, in the whole tensor. */
void wm_plan_index(const struct wm_plan *p, const struct wm_plan_in *in, int64_t at, int64_t *index);

/* Stable text of the whole plan, for `dump --stage=plan`. */
void wm_plan_print(const struct wm_plan *p, struct wm_buf *out);

/* ---- making one (used by the compiler and by tests) ---- */

/* Growing sections; wm_plan_finish() lays them into one block.  That grows out of the section that is the largest where
 * plans are large, BLOB: in front of its bytes there is room for the header. */
struct wm_plan_builder {
    struct wm_arena *a;
    struct {
        char *p;
        uint64_t n, cap;
    } section[WM_PS_N]; /* n in bytes */
    struct wm_map shapes; /* shape -> first index in SHAPE */
    uint64_t out_bytes, in_bytes;
};
void wm_plan_builder_init(struct wm_plan_builder *b, struct wm_arena *a);
/* Append bytes (a record, or several); returns the index of the first in records of `size`. */
uint64_t wm_plan_add(struct wm_plan_builder *b, enum wm_plan_section s, const void *rec,
                     uint64_t size, uint64_t count);
/* Equal shapes are one. */
uint32_t wm_plan_add_shape(struct wm_plan_builder *b, const int64_t *shape, uint32_t rank);
struct wm_plan_text wm_plan_add_text(struct wm_plan_builder *b, struct wm_str s);
struct wm_plan_bytes wm_plan_add_bytes(struct wm_plan_builder *b, const void *p, uint64_t n);
/* The block lives in the arena; the sections are gone. */
void *wm_plan_finish(struct wm_plan_builder *b, uint64_t *size);

#endif
