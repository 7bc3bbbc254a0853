#ifndef REGISTRYCTL_ECR_CLIENT_H
#define REGISTRYCTL_ECR_CLIENT_H

#include <jansson.h>

#include "base/rc.h"
#include "registryctl/command.h"
#include "registryctl/ecr.h"
#include "registryctl/login.h"

/*
 * The ECR API for commands that ask many things of it: over one connection,
 * through DIR/control.sock as the operator, or of the address of a registry
 * with AWS credentials.
 */
struct ecr_client {
	/* Of the last call: */
	char code[ECR_CODE_BYTES]; /* "RepositoryNotFoundException", or "" */
	char why[ECR_WHY_BYTES];
	/* For people: where it goes. */
	char *where;
	/* its own */
	char *endpoint, *socket;
	const char *ca_file;
	struct aws_identity identity;
	void *curl;
};

/**
 * ecr_client_open(ctl, o, why, client_r):
 * To --endpoint if that is given; else to the server of the folder; else, where
 * none serves it, to what the environment names.  The caller closes it; it
 * borrows from ${o}.  RC_NOTFOUND: there is none of them; as aws_identity_find()
 * and client_open() otherwise.
 */
RC_MUST_USE enum rc
ecr_client_open(const struct ctl *, const struct login_options *,
    char why[ECR_WHY_BYTES], struct ecr_client **client_r);

/** ecr_client_close(c): takes NULL; sets it to NULL. */
void ecr_client_close(struct ecr_client **);

/**
 * ecr_client_call(c, operation, input, answer_r):
 * As ecr_call(), with .code and .why of ${c}; takes ${input} over, NULL is {}.
 * The caller owns the answer, which is always an object; ${answer_r} may be
 * NULL.
 */
RC_MUST_USE enum rc ecr_client_call(struct ecr_client *, const char *operation,
    json_t *input, json_t **answer_r);

/** ecr_client_missing(c): does .code say that what was asked for is not
 * there? */
bool ecr_client_missing(const struct ecr_client *);

/**
 * ecr_client_list(c, operation, input, member, list_r):
 * Of all pages the rows of the array ${member}, one array, the caller's; takes
 * ${input} over.  As ecr_client_call().
 */
RC_MUST_USE enum rc ecr_client_list(struct ecr_client *, const char *operation,
    json_t *input, const char *member, json_t **list_r);

#endif
