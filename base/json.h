#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "base/span.h"

/*
 * JSON of others, read strictly: duplicate keys are refused, so is anything
 * behind the document.  A document is an object or an array.  The library
 * recurses, and spends up to 80 bytes on one byte of text, so nesting and the
 * number of values are bounded before it sees the text.
 */
#define JSON_ERROR_BYTES 256
#define JSON_DEPTH_MAX 128
#define JSON_VALUES_MAX 200000

/**
 * json_read(text, why, doc_r):
 * Parse one document; the caller owns it (json_decref).  RC_INVALID: ${why}
 * says what and where in words for a client.
 */
RC_MUST_USE enum rc
json_read(struct span text, char why[JSON_ERROR_BYTES], json_t **doc_r);

/*
 * Getters: RC_OK; RC_NOTFOUND no such member (or null); RC_INVALID another
 * type.  Spans borrow from the document.
 */
RC_MUST_USE enum rc
json_get_str(const json_t *, const char *key, struct span *s_r);
RC_MUST_USE enum rc json_get_int(const json_t *, const char *key, int64_t *n_r);
RC_MUST_USE enum rc
json_get_array(const json_t *, const char *key, json_t **a_r);
RC_MUST_USE enum rc
json_get_object(const json_t *, const char *key, json_t **o_r);

#endif
