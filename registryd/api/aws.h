#ifndef API_AWS_H
#define API_AWS_H

#include <jansson.h>

#include "registryd/call.h"

/*
 * POST /: the AWS protocols.  ECR speaks JSON 1.1 (X-Amz-Target names the
 * operation), STS the query protocol (a form, answers in XML).
 */

/** aws_begin(c): before the body: finds the operation, so that its limit on
 * the body is known.  RC_FAILED: there is none of that name. */
RC_MUST_USE enum rc aws_begin(struct call *);

/** aws_body_max(c): of the operation found. */
uint64_t aws_body_max(const struct call *);

/** aws_handle(c): signature, parameters, authorization, operation, answer; on
 * a worker, with the body in c->body. */
RC_MUST_USE enum rc aws_handle(struct call *);

/** aws_error(c): describe c->error in c->shape, which is one of AWS's. */
void aws_error(struct call *);

/** aws_operation_name(i): names of all operations in order; NULL behind the
 * last.  For the test that finds each in the table of permissions. */
const char *aws_operation_name(size_t i);

#endif
