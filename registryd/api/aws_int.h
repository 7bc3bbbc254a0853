#ifndef API_AWS_INT_H
#define API_AWS_INT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "registryd/api/aws.h"
#include "registryd/api/aws_form.h"
#include "registryd/call.h"

/*
 * DESIGN.  An operation is a row in one table (aws_table.c): its name, the
 * shape of its input, and a function.  What can be said of an input by
 * declaration is said there and checked in one place (aws_shape.c), so that a
 * handler sees only what fits its shape.  The way of a request:
 *
 *	aws_begin	the operation, by X-Amz-Target or Action
 *	aws_handle	(a large body went by piece by piece)
 *			who signed it (registryd/identify.h)
 *			the input: JSON, or a form made JSON by its shape
 *			the shape; then the row's check, if it has one
 *			may they (registryd/authorize.h)
 *			the service's before(): is it about this registry
 *			the row's handler, which fills an object
 *			the object as JSON, or as XML
 */
enum aws_type {
	AWS_STRING,
	AWS_INTEGER,
	AWS_BOOLEAN,
	AWS_LIST,
	AWS_MAP,
	AWS_STRUCTURE,
	AWS_BLOB, /* base64 in a string; min and max are of what it holds, and
		     the handler's to check */
};

struct aws_member;

/*
 * A shape, as the service's model has it.  Lengths are characters of a string,
 * entries of a list or map; for integers min and max are the value's.
 */
struct aws_shape {
	enum aws_type type;
	int64_t min, max;	      /* max 0: none */
	const char *expression;	      /* what messages call the pattern */
	bool (*matches)(struct span); /* whether a string satisfies it, or: */
	const char *pattern;	      /* the same as an extended regular
					 expression of POSIX */
	const char *const *values;    /* of an enumeration; NULL at the end */
	const struct aws_shape *element;  /* of a list; values of a map */
	const struct aws_shape *key;	  /* of a map; NULL: any string */
	const struct aws_member *members; /* of a structure */
	size_t n_members;
};

struct aws_member {
	const char *name;
	const struct aws_shape *shape;
	bool required;
};

/* A service is what a signature is scoped to. */
struct aws_service {
	const char *name;    /* "ecr", in the credential scope */
	const char *target;  /* what X-Amz-Target begins with; NULL: it speaks
				the query protocol */
	const char *version; /* query protocol: Version= */
	const char *xmlns;   /* query protocol: of its answers */
	/* After authorization and before the handler; or NULL. */
	enum rc (*before)(struct call *, const json_t *in);
};

struct aws_operation {
	const char *name; /* also of its row in the table of permissions */
	const struct aws_service *service;
	struct aws_shape input;	 /* a structure */
	uint64_t body_max_bytes; /* 0: AWS_BODY_MAX_BYTES */
	/* Of an operation whose body is never in memory as a whole: what is
	 * called before it, with each piece of it, and for the input that
	 * c->body would have been.  NULL: the body is gathered.  Workers. */
	enum rc (*begin)(struct call *);
	enum rc (*write)(struct call *, const void *p, size_t n);
	enum rc (*input_read)(struct call *, json_t **in_r);
	/* What follows a begin that gave RC_OK at the end of all, with or
	 * without the others: releases what that acquired. */
	void (*end)(struct call *);
	/* What a shape cannot say of the parameters, or NULL.  Runs before it
	 * is known whether the caller may, so it tells nothing about what is
	 * there; what it worked out it leaves in c->state. */
	enum rc (*check)(struct call *, const json_t *in);
	/* RC_OK with the members of the answer in ${out}. */
	enum rc (*handler)(struct call *, const json_t *in, json_t *out);
};

#define AWS_JSON_TYPE "application/x-amz-json-1.1"
#define AWS_XML_TYPE "text/xml"
#define AWS_STS_XMLNS "https://sts.amazonaws.com/doc/2011-06-15/"

#define AWS_BODY_MAX_BYTES ((uint64_t)1 << 20)

extern const struct aws_operation aws_operations[];
extern const size_t n_aws_operations;

/** aws_operation_find(name, target): by what X-Amz-Target says when ${target},
 * else by Action.  NULL: none. */
const struct aws_operation *aws_operation_find(struct span name, bool target);

/* --- input --------------------------------------------------------------- */

/**
 * aws_validate(c, shape, in):
 * Does ${in} fit?  Unknown members are passed over and null is absent, as AWS
 * does.  RC_FAILED: AWS_SERIALIZATION for a value of a wrong type, else
 * AWS_INVALID_PARAMETER, with the place and the constraint in AWS's words.
 */
RC_MUST_USE enum rc
aws_validate(struct call *, const struct aws_shape *, const json_t *in);

/** aws_invalid(c, place, fmt, ...): RC_FAILED with AWS_INVALID_PARAMETER:
 * "Invalid parameter at 'PLACE' failed to satisfy constraint: 'REASON'". */
RC_MUST_USE enum rc aws_invalid(struct call *, const char *place,
    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * aws_form_input(c, form, shape, in_r):
 * The members of ${shape} that ${form} has, typed by it; the caller owns
 * *${in_r}.  The structure may have scalar members only.  RC_FAILED with
 * AWS_SERIALIZATION.
 */
RC_MUST_USE enum rc aws_form_input(struct call *, const struct aws_form *,
    const struct aws_shape *, json_t **in_r);

/** aws_string(in, name): of an input that was validated; .p NULL: absent. */
struct span aws_string(const json_t *in, const char *name);

/** aws_true(in, name): a boolean that is there and true. */
bool aws_true(const json_t *in, const char *name);

/** aws_member(in, name): NULL: absent, or null. */
json_t *aws_member(const json_t *in, const char *name);

/** aws_pattern_ok(pattern, s): does all of ${s} satisfy it?  ${pattern} is a
 * literal; what it compiles to is kept.  Any thread. */
bool aws_pattern_ok(const char *pattern, struct span);

/* --- output -------------------------------------------------------------- */

/** aws_put(out, name, value): takes ${value} over. */
void aws_put(json_t *out, const char *name, json_t *value);

/** aws_append(list, value): takes ${value} over. */
void aws_append(json_t *list, json_t *value);

/** aws_put_text(out, name, text). */
void aws_put_text(json_t *out, const char *name, struct span text);

/** aws_put_time(out, name, ms): as AWS JSON has it: seconds since 1970, a
 * number with milliseconds behind the point. */
void aws_put_time(json_t *out, const char *name, int64_t ms);

/** aws_answer(c, out): the answer of c->operation.  RC_TOOBIG. */
RC_MUST_USE enum rc aws_answer(struct call *, const json_t *out);

/** aws_request_id(c): the request's id in the form of a UUID. */
const char *aws_request_id(struct call *);

/** aws_xml(out, name, value): <NAME>value</NAME>: objects by their members in
 * order, arrays as <member>, all text escaped. */
void aws_xml(struct buf *out, const char *name, const json_t *value);

/* --- pages --------------------------------------------------------------- */

#define AWS_PAGE_DEFAULT 100
#define AWS_PAGE_MAX 1000
#define AWS_PAGE_AFTER_MAX_BYTES 1024
/* A list that was left standing for longer begins again. */
#define AWS_PAGE_LIFETIME_MS ((int64_t)24 * 60 * 60 * 1000)

/* Where a list goes on. */
struct aws_page {
	size_t n;	   /* how many are wanted */
	struct span after; /* behind this key; empty: from the first */
	bool seen;	   /* pages before have shown something */
};

/**
 * aws_page_read(c, in, page_r):
 * maxResults and nextToken of a request.  RC_FAILED with AWS_INVALID_PARAMETER
 * for a token that was not made for this operation on this repository, or is
 * older than AWS_PAGE_LIFETIME_MS.
 */
RC_MUST_USE enum rc
aws_page_read(struct call *, const json_t *in, struct aws_page *page_r);

/**
 * aws_page_next(c, out, page):
 * Put the nextToken by which the list goes on behind page->after.  It tells
 * its holder nothing (the key may be of something they may not see) and is
 * never the same twice.
 */
void aws_page_next(struct call *, json_t *out, const struct aws_page *);

#endif
