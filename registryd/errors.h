#ifndef REGISTRYD_ERRORS_H
#define REGISTRYD_ERRORS_H

#include "base/arena.h"

/*
 * The errors of the distribution-spec ("Error Codes"), one row each: what the
 * handlers call it, the code a client sees, the HTTP status, and the sentence
 * for when a handler has nothing more exact to say.  Rows behind the comment
 * give a code of the specification another status, or are codes of our own:
 * docker and its peers understand the shape all the same.
 */
#define OCI_ERRORS(X) \
	X(BLOB_UNKNOWN, "BLOB_UNKNOWN", 404, "blob unknown to registry") \
	X(BLOB_UPLOAD_INVALID, "BLOB_UPLOAD_INVALID", 400, \
	    "blob upload invalid") \
	X(BLOB_UPLOAD_UNKNOWN, "BLOB_UPLOAD_UNKNOWN", 404, \
	    "blob upload unknown to registry") \
	X(DIGEST_INVALID, "DIGEST_INVALID", 400, \
	    "provided digest did not match content") \
	X(MANIFEST_BLOB_UNKNOWN, "MANIFEST_BLOB_UNKNOWN", 404, \
	    "manifest references content that is not in the repository") \
	X(MANIFEST_INVALID, "MANIFEST_INVALID", 400, "manifest invalid") \
	X(MANIFEST_UNKNOWN, "MANIFEST_UNKNOWN", 404, \
	    "manifest unknown to registry") \
	X(NAME_INVALID, "NAME_INVALID", 400, "invalid repository name") \
	X(NAME_UNKNOWN, "NAME_UNKNOWN", 404, \
	    "repository name not known to registry") \
	X(SIZE_INVALID, "SIZE_INVALID", 400, \
	    "provided length did not match content length") \
	X(TAG_INVALID, "TAG_INVALID", 400, "invalid tag") \
	X(UNAUTHORIZED, "UNAUTHORIZED", 401, "authentication required") \
	X(DENIED, "DENIED", 403, "requested access to the resource is denied") \
	X(UNSUPPORTED, "UNSUPPORTED", 405, "the operation is unsupported") \
	X(TOOMANYREQUESTS, "TOOMANYREQUESTS", 429, "too many requests") \
	/* ours */ \
	X(UPLOAD_BUSY, "BLOB_UPLOAD_INVALID", 409, \
	    "another request is using this upload") \
	X(TOO_LARGE, "SIZE_INVALID", 413, "larger than the configured limit") \
	X(TOO_MANY_TAGS, "TAG_INVALID", 414, "too many tags in one request") \
	X(RANGE_INVALID, "RANGE_INVALID", 416, \
	    "range out of order or not satisfiable") \
	X(PAGINATION_NUMBER_INVALID, "PAGINATION_NUMBER_INVALID", 400, \
	    "invalid number of results") \
	X(NOT_FOUND, "NOT_FOUND", 404, "no such resource") \
	X(CONFLICT, "CONFLICT", 409, "it conflicts with what is going on") \
	X(REQUEST_INVALID, "REQUEST_INVALID", 400, "the request is malformed") \
	X(REQUEST_TIMEOUT, "REQUEST_TIMEOUT", 408, \
	    "the request arrived too slowly") \
	X(INSUFFICIENT_STORAGE, "INSUFFICIENT_STORAGE", 507, \
	    "no space left on the server") \
	X(UNAVAILABLE, "UNAVAILABLE", 503, "the server cannot do this now") \
	X(INTERNAL, "INTERNAL", 500, "internal error")

enum api_error {
	API_OK = 0,
#define X(name, code, status, text) OCI_##name,
	OCI_ERRORS(X)
#undef X
};

/** api_error_code(e): "BLOB_UNKNOWN"; a static string. */
const char *api_error_code(enum api_error);

/** api_error_status(e): the HTTP status. */
int api_error_status(enum api_error);

/** api_error_text(e): the standing sentence; a static string. */
const char *api_error_text(enum api_error);

/**
 * api_error_body(a, e, message, detail):
 * {"errors":[{"code","message","detail"}]} in ${a}.  ${message} NULL: the
 * standing sentence; ${detail}: JSON text or NULL.  Past the arena's cap a
 * static body without details.
 */
struct span api_error_body(
    struct arena *, enum api_error, const char *message, const char *detail);

/** api_error_of_status(status): the row that speaks best of a refusal that
 * has only an HTTP status; its own status may be another. */
enum api_error api_error_of_status(int status);

#endif
