#ifndef API_AWS_FORM_H
#define API_AWS_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "registryd/http/request.h"

/*
 * Bodies of type application/x-www-form-urlencoded (WHATWG URL, section 5.1):
 * NAME=VALUE, separated by '&', each percent-encoded, with '+' for a space.
 */
#define FORM_PAIRS_MAX 200

struct aws_form {
	struct http_param *pairs; /* decoded, in order */
	size_t n;
};

/** aws_form_is(rq): is that the type of the request's body? */
bool aws_form_is(const struct http_request *);

/**
 * aws_form_parse(text, arena, form_r):
 * What is decoded lives in ${arena}, the rest borrows from ${text}.
 * RC_INVALID: a malformed escape, or one for a control character other than
 * tab and the ends of lines; RC_LIMIT: more than FORM_PAIRS_MAX pairs;
 * RC_TOOBIG: the arena's cap.  Any thread.
 */
RC_MUST_USE enum rc
aws_form_parse(struct span text, struct arena *, struct aws_form *form_r);

/** aws_form_get(form, name, value_r): the first of that name. */
bool
aws_form_get(const struct aws_form *, const char *name, struct span *value_r);

#endif
