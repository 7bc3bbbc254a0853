#include "registryd/api/aws_int.h"

#include <string.h>

#include "base/hex.h"
#include "base/json.h"
#include "base/obj.h"
#include "registryd/api/stacks.h"
#include "registryd/authorize.h"
#include "registryd/identify.h"
#include "registryd/permissions.h"
#include "registryd/rates.h"
#include "registryd/route.h"
#include "registryd/service.h"

/* From the head of a POST / to its answer: see aws_int.h. */

/* --- which operation ----------------------------------------------------- */

const char *
aws_operation_name(size_t i)
{
	if (i < n_aws_operations)
		return (aws_operations[i].name);
	i -= n_aws_operations;
	return (i < n_stack_operations ? stack_operations[i].name : NULL);
}

const char *
aws_operation_of(const struct call *c)
{
	return (c->operation != NULL ? c->operation->name : NULL);
}

static bool
operation_is(const struct aws_operation *op, struct span name, bool target)
{
	struct span prefix = span_of(op->service->target);

	if (target != (prefix.p != NULL))
		return (false);
	if (!target)
		return (span_is(name, op->name));
	return (span_has_prefix(name, prefix) &&
		span_is((struct span){ name.p + prefix.n, name.n - prefix.n },
		    op->name));
}

const struct aws_operation *
aws_operation_find(struct span name, bool target)
{
	size_t i;

	for (i = 0; i < n_aws_operations; i++)
		if (operation_is(&aws_operations[i], name, target))
			return (&aws_operations[i]);
	for (i = 0; i < n_stack_operations; i++)
		if (operation_is(&stack_operations[i], name, target))
			return (&stack_operations[i]);
	return (NULL);
}

static enum rc
operation_set(struct call *c, struct span name, bool target)
{
	c->operation = aws_operation_find(name, target);
	if (c->operation != NULL)
		return (RC_OK);
	if (!target)
		return (call_fail(c, AWS_UNKNOWN_OPERATION, NULL,
		    "Could not find operation %.*s for version 2011-06-15",
		    CALL_SHOW(name)));
	return (call_fail(c, AWS_UNKNOWN_OPERATION, NULL,
	    "there is no operation \"%.*s\" here", CALL_SHOW(name)));
}

static enum rc
operation_of_head(struct call *c)
{
	struct span name;

	c->shape = SHAPE_AWS_JSON;
	name = http_request_header(c->request, "X-Amz-Target");
	if (name.p != NULL && c->request->method == HTTP_POST)
		return (operation_set(c, name, true));
	if (http_request_param(c->request, "Action", &name)) {
		c->shape = SHAPE_AWS_QUERY;
		return (operation_set(c, name, false));
	}
	if (aws_form_is(c->request)) {
		c->shape = SHAPE_AWS_QUERY;
		return (RC_OK); /* its Action is in the body */
	}
	return (call_fail(c, AWS_UNKNOWN_OPERATION, NULL,
	    "the request names no operation: expected a header X-Amz-Target "
	    "or a parameter Action"));
}

enum rc
aws_begin(struct call *c)
{
	enum rc rc;

	rc = operation_of_head(c);
	return (rc == RC_OK ? identify_claim(c) : rc);
}

uint64_t
aws_body_max(const struct call *c)
{
	if (c->operation == NULL || c->operation->body_max_bytes == 0)
		return (AWS_BODY_MAX_BYTES);
	return (c->operation->body_max_bytes);
}

/* --- a body that is not gathered ----------------------------------------- */

bool
aws_streams(const struct call *c)
{
	return (c->operation != NULL && c->operation->begin != NULL);
}

static void
hasher_release(void *hasher)
{
	struct hasher *h = hasher;

	hasher_free(&h);
}

static enum rc
stream_write(struct call *c, const void *p, size_t n)
{
	hasher_update(c->hasher, p, n);
	return (c->operation->write(c, p, n));
}

enum rc
aws_stream_begin(struct call *c)
{
	enum rc rc;

	if ((rc = c->operation->begin(c)) != RC_OK)
		return (rc);
	c->hasher = hasher_new(DIGEST_SHA256);
	arena_defer(c->arena, hasher_release, c->hasher);
	c->write = stream_write;
	return (RC_OK);
}

static enum rc
stream_hash(struct call *c)
{
	struct digest d;
	char *text;

	hasher_final(c->hasher, &d);
	text = arena_alloc(c->arena, 2 * digest_len(d.alg) + 1);
	if (text == NULL)
		return (RC_TOOBIG);
	hex_encode(d.bytes, digest_len(d.alg), text);
	c->body_hash = text;
	return (RC_OK);
}

/* --- its input ----------------------------------------------------------- */

/* Parameters of the query and of the body are one list, the query's first. */
static enum rc
form_read(struct call *c, struct aws_form *form_r)
{
	const struct http_request *rq = c->request;
	struct aws_form body = { .n = 0 };
	size_t i;
	enum rc rc = RC_OK;

	if (aws_form_is(rq))
		rc = aws_form_parse(c->body, c->arena, &body);
	if (rc == RC_INVALID || rc == RC_LIMIT)
		return (call_fail(c, AWS_SERIALIZATION, NULL,
		    "the form is malformed, or has more than %d parameters",
		    FORM_PAIRS_MAX));
	if (rc != RC_OK)
		return (rc);
	*form_r = (struct aws_form){ .n = 0 };
	form_r->pairs = arena_calloc(
	    c->arena, rq->n_params + body.n + 1, sizeof(*form_r->pairs));
	if (form_r->pairs == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < rq->n_params; i++)
		form_r->pairs[form_r->n++] = rq->params[i];
	for (i = 0; i < body.n; i++)
		form_r->pairs[form_r->n++] = body.pairs[i];
	return (RC_OK);
}

static enum rc
form_operation(struct call *c, const struct aws_form *form)
{
	struct span action, version;
	enum rc rc;

	if (!aws_form_get(form, "Action", &action))
		return (call_fail(c, AWS_UNKNOWN_OPERATION, NULL,
		    "the request names no operation: Action is missing"));
	if ((rc = operation_set(c, action, false)) != RC_OK)
		return (rc);
	if (!aws_form_get(form, "Version", &version) ||
	    span_is(version, c->operation->service->version))
		return (RC_OK);
	return (call_fail(c, AWS_UNKNOWN_OPERATION, NULL,
	    "Could not find operation %s for version %.*s", c->operation->name,
	    CALL_SHOW(version)));
}

static enum rc
json_input(struct call *c, json_t **in_r)
{
	char why[JSON_ERROR_BYTES];

	if (c->body.n == 0) {
		*in_r = json_object();
		return (RC_OK);
	}
	if (json_read(c->body, why, in_r) == RC_OK)
		return (RC_OK);
	return (call_fail(
	    c, AWS_SERIALIZATION, NULL, "the body is not JSON: %s", why));
}

static void
input_free(void *arg)
{
	json_decref(arg);
}

/* The input lives as long as the call, for spans of it travel with that. */
static enum rc
input_read(struct call *c, const struct aws_form *form, json_t **in_r)
{
	const struct aws_operation *op = c->operation;
	enum rc rc;

	if (c->shape == SHAPE_AWS_QUERY)
		rc = aws_form_input(c, form, &op->input, in_r);
	else if (op->input_read != NULL)
		rc = op->input_read(c, in_r);
	else
		rc = json_input(c, in_r);
	if (rc != RC_OK)
		return (rc);
	arena_defer(c->arena, input_free, *in_r);
	if ((rc = aws_validate(c, &op->input, *in_r)) != RC_OK)
		return (rc);
	return (op->check != NULL ? op->check(c, *in_r) : RC_OK);
}

/* --- may they ------------------------------------------------------------ */

/* Tokens and URLs are made for a user, whom the control socket does not
 * know. */
static enum rc
operator_check(struct call *c)
{
	static const char *const personal[] = {
		"GetAuthorizationToken",
		"GetDownloadUrlForLayer",
		"GetSessionToken",
	};
	size_t i;

	if (c->x->role != ROLE_CONTROL || c->service->auth == NULL)
		return (RC_OK);
	for (i = 0; i < ARRAY_LEN(personal); i++)
		if (strcmp(c->operation->name, personal[i]) == 0)
			return (call_fail(c, AWS_ACCESS_DENIED, NULL,
			    "%s is of a user, with an access key: ask at the "
			    "registry's address",
			    c->operation->name));
	return (RC_OK);
}

static enum rc
permit(struct call *c, const json_t *in)
{
	enum rc rc;

	c->permission = permission_find(c->operation->name);
	if (c->permission == NULL)
		return (call_fail(c, AWS_ACCESS_DENIED, NULL,
		    "%s is denied to everybody", c->operation->name));
	if (c->permission->access == ACCESS_REPOSITORY) {
		if (c->repository.n == 0) /* its check may have set it */
			c->repository = aws_string(in, "repositoryName");
		must(c->repository.n > 0); /* its shape requires it */
	}
	if ((rc = authorize_call(c)) != RC_OK ||
	    (rc = operator_check(c)) != RC_OK)
		return (rc);
	/* One that waited for an upstream was counted when it came. */
	return (c->pull == NULL ? rates_take(c) : RC_OK);
}

/* --- all of it ----------------------------------------------------------- */

static enum rc
operate(struct call *c, const json_t *in)
{
	const struct aws_operation *op = c->operation;
	json_t *out;
	enum rc rc = RC_OK;

	if (op->service->before != NULL)
		rc = op->service->before(c, in);
	if (rc != RC_OK)
		return (rc);
	out = json_object();
	rc = op->handler(c, in, out);
	if (rc == RC_OK)
		rc = aws_answer(c, out);
	json_decref(out);
	return (rc);
}

static enum rc
handle(struct call *c)
{
	struct aws_form form = { .n = 0 };
	json_t *in;
	enum rc rc;

	if (c->shape == SHAPE_AWS_QUERY &&
	    ((rc = form_read(c, &form)) != RC_OK ||
		(rc = form_operation(c, &form)) != RC_OK))
		return (rc);
	rc = identify_signature(c, c->operation->service->name);
	if (rc != RC_OK || (rc = input_read(c, &form, &in)) != RC_OK ||
	    (rc = permit(c, in)) != RC_OK)
		return (rc);
	return (operate(c, in));
}

/* A body that was gathered all the same goes the same way. */
static enum rc
handle_streamed(struct call *c)
{
	bool gathered = c->write == NULL;
	enum rc rc;

	if (gathered && (rc = aws_stream_begin(c)) != RC_OK)
		return (rc);
	rc = gathered ? c->write(c, c->body.p, c->body.n) : c->body_rc;
	if (rc == RC_OK)
		rc = stream_hash(c);
	if (rc == RC_OK)
		rc = handle(c);
	c->operation->end(c);
	return (rc);
}

enum rc
aws_handle(struct call *c)
{
	must(c->may_block);
	return (aws_streams(c) ? handle_streamed(c) : handle(c));
}
