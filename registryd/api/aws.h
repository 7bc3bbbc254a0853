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

/** aws_streams(c): does the operation found take its body as it arrives? */
bool aws_streams(const struct call *);

/** aws_stream_begin(c): sets c->write, which aws_handle() follows in any case;
 * on a worker.  A code of the operation's: nothing is to be released. */
RC_MUST_USE enum rc aws_stream_begin(struct call *);

/** aws_handle(c): signature, parameters, authorization, operation, answer; on
 * a worker, with the body in c->body or written to c->write.  With a
 * c->body_rc other than RC_OK it gives back what aws_stream_begin() acquired,
 * does nothing else, and returns that. */
RC_MUST_USE enum rc aws_handle(struct call *);

/** aws_error(c): describe c->error in c->shape, which is one of AWS's. */
void aws_error(struct call *);

/** aws_operation_of(c): the name of the operation that was asked for; NULL:
 * none, or none that there is. */
const char *aws_operation_of(const struct call *);

/** aws_operation_name(i): names of all operations in order; NULL behind the
 * last.  For the test that finds each in the table of permissions. */
const char *aws_operation_name(size_t i);

#endif
