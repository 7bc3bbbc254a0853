#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/** hex_encode(p, n, out): 2 * ${n} lower-case digits and a NUL. */
void hex_encode(const uint8_t *p, size_t n, char *out);

/** hex_decode(s, out, n): exactly ${n} bytes, lower case only; RC_INVALID. */
RC_MUST_USE enum rc hex_decode(struct span, uint8_t *out, size_t n);

/** base64_encode(p, n, out): RFC 4648 section 4 and a NUL.
 * ${out} has room for BASE64_LEN(n) + 1 bytes. */
#define BASE64_LEN(n) ((((n) + 2) / 3) * 4)
void base64_encode(const uint8_t *p, size_t n, char *out);

/** base64_decode(s, out, n_r): strict, padded; ${out} has room for
 * 3 * (${s}.n / 4) bytes.  RC_INVALID. */
RC_MUST_USE enum rc base64_decode(struct span, uint8_t *out, size_t *n_r);

/** base64url_encode(p, n, out): RFC 4648 section 5 without padding, and a NUL.
 * ${out} has room for BASE64URL_LEN(n) + 1 bytes. */
#define BASE64URL_LEN(n) (((n)*4 + 2) / 3)
void base64url_encode(const uint8_t *p, size_t n, char *out);

/** base64url_decode(s, out, n_r): strict, without padding; ${out} has room for
 * 3 * ${s}.n / 4 bytes.  RC_INVALID. */
RC_MUST_USE enum rc base64url_decode(struct span, uint8_t *out, size_t *n_r);

#endif
