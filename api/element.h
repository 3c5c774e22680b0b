/* api/element.h -- elements of tensors as numbers, for messages and for comparing with a tolerance.
 */
#ifndef WM_API_ELEMENT_H
#define WM_API_ELEMENT_H

#include "base/buf.h"
#include "base/dtype.h"

/* Bytes in which elements can be told apart: the element, or 1 where several share bytes. */
unsigned wm_element_unit(enum wm_dtype t);
/* Can wm_element_get() give its elements as numbers?  (Not complex and sub-byte ones.) */
bool wm_element_is_real(enum wm_dtype t);
/* The element at p (little-endian, not aligned).  Integers beyond 2^53 are rounded. */
double wm_element_get(enum wm_dtype t, const unsigned char *p);
/* As a person reads it: "0.5", "-3", "nan", "0x7fc1" where it is no number that can be shown. */
void wm_element_print(enum wm_dtype t, const unsigned char *p, struct wm_buf *out);

#endif
