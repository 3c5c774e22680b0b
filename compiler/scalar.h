/* compiler/scalar.h -- constants of maps as elements: one value, to and from the bytes of a data
 * type.
 *
 * Used for fills, padding and what elementwise steps make of them; never for data. */
#ifndef WM_COMPILER_SCALAR_H
#define WM_COMPILER_SCALAR_H

#include "base/dtype.h"
#include "compiler/value.h"
#include "runtime/plan.h"

/* Can single elements of that type be computed with?  (Not packed and complex ones.) */
bool wm_scalar_has(enum wm_dtype t);

/* The bytes of a value, rounded once to nearest even, in pattern[0 .. size of t), the rest 0. False
 * where it does not fit: an overflow, a fraction in an integer type, a type that has no such
 * elements. */
bool wm_scalar_encode(enum wm_dtype t, struct wm_value v, uint8_t pattern[16]);

/* The same for a fill: zero is zero in every type, also in those that no other constant can be written of. */
bool wm_scalar_fill(enum wm_dtype t, struct wm_value v, uint8_t pattern[16]);

/* What a step makes of an element.  False where it can't be said: a value that does not survive
 * UNCAST, or does not fit. */
bool wm_scalar_step(const struct wm_plan_step *step, uint8_t pattern[16]);

/* Is every value of `from` one of `to`, too? */
bool wm_dtype_widens(enum wm_dtype from, enum wm_dtype to);

#endif
