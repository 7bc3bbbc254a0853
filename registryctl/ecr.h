#ifndef REGISTRYCTL_ECR_H
#define REGISTRYCTL_ECR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/rc.h"
#include "registryctl/aws_identity.h"

/*
 * A client of the registry's ECR endpoint: AWS JSON 1.1 over HTTP, signed with
 * Signature Version 4.
 */
#define ECR_WHY_BYTES AWS_IDENTITY_WHY_BYTES

struct ecr_call {
	const char *endpoint; /* "https://host[:port]" */
	const char *ca_file;  /* NULL: of the environment, the system's */
	/* Without keys the request is not signed, and .source says where they
	 * were looked for. */
	const struct aws_identity *identity;
	/* "GetAuthorizationToken"; with a '.' in it a whole X-Amz-Target of
	 * another service that is signed for "ecr" */
	const char *operation;
	const json_t *input;
	const char *socket; /* of UNIX, to go through instead; or NULL */
	void *curl;	    /* a handle of curl to go on with; or NULL */
	char *code; /* ECR_CODE_BYTES: the name of the error of RC_FAILED; or
		       NULL */
};

#define ECR_CODE_BYTES 128

/**
 * ecr_call(call, answer_r, why):
 * The caller owns the answer.  RC_FAILED: the service refused, ${why} is what
 * the AWS CLI would say; RC_INVALID: no URL, or what answered is no ECR
 * endpoint; RC_DENIED: its certificate is not trusted, or the file with the
 * authority cannot be read; RC_UNSUPPORTED: it does not speak TLS; RC_TIMEOUT,
 * RC_IO.
 */
RC_MUST_USE enum rc
ecr_call(const struct ecr_call *, json_t **answer_r, char why[ECR_WHY_BYTES]);

/**
 * ecr_host(url, host_r, why):
 * "host" or "host:port", as docker names a registry, of a URL or of such a
 * name, lower case and without the port that its scheme has by itself; the
 * caller's.  RC_INVALID.
 */
RC_MUST_USE enum rc
ecr_host(const char *url, char **host_r, char why[ECR_WHY_BYTES]);

/** ecr_host_is_loopback(host): localhost, 127.0.0.0/8, ::1. */
bool ecr_host_is_loopback(const char *host);

/* One of authorizationData. */
struct ecr_login {
	char *password; /* of the user AWS */
	char *endpoint; /* "https://host" */
};

/**
 * ecr_login_read(entry, login_r, why):
 * The caller ends it with ecr_login_free().  RC_INVALID: not the answer of a
 * registry, or not fit for a command line.
 */
RC_MUST_USE enum rc ecr_login_read(
    const json_t *entry, struct ecr_login *login_r, char why[ECR_WHY_BYTES]);
void ecr_login_free(struct ecr_login *);

#endif
