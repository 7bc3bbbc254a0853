#ifndef REGISTRYCTL_AWS_IDENTITY_H
#define REGISTRYCTL_AWS_IDENTITY_H

#include "base/rc.h"

/*
 * With what and for what region to sign, found where the AWS CLI finds it:
 *
 *	AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials), profile AWS_PROFILE
 *	AWS_CONFIG_FILE (~/.aws/config), likewise
 *	DIR/admin-credentials, which the first start of a registry writes
 *
 * and for the region AWS_REGION, AWS_DEFAULT_REGION, the profile in
 * DIR/admin-credentials if the keys are from there, in ~/.aws/credentials, in
 * ~/.aws/config, us-east-1.  A profile that is named must exist: nobody is to
 * become administrator by a misspelt name.
 */
#define AWS_ACCESS_KEY_MAX_BYTES 128
#define AWS_SECRET_MAX_BYTES 128
#define AWS_TOKEN_MAX_BYTES 8192
#define AWS_REGION_MAX_BYTES 64
#define AWS_IDENTITY_SOURCE_BYTES 640
#define AWS_IDENTITY_WHY_BYTES 1024

struct aws_identity {
	char access_key[AWS_ACCESS_KEY_MAX_BYTES + 1];
	char secret[AWS_SECRET_MAX_BYTES + 1];
	char session_token[AWS_TOKEN_MAX_BYTES + 1]; /* "": none */
	char region[AWS_REGION_MAX_BYTES + 1];
	/* For people: where the keys are from ("the environment", a path). */
	char source[AWS_IDENTITY_SOURCE_BYTES];
};

struct aws_identity_options {
	const char *profile; /* NULL: of the environment, "default" */
	const char *region;  /* NULL: as above */
	const char *data;    /* DIR */
};

/**
 * aws_identity_find(options, id_r, why):
 * The caller wipes it.  RC_NOTFOUND: there are no credentials, ${why} tells
 * where one looks; RC_INVALID: half of them, none of a profile that was named,
 * or a file that cannot be understood; RC_DENIED, RC_IO: a file that was named
 * cannot be read.
 */
RC_MUST_USE enum rc aws_identity_find(const struct aws_identity_options *,
    struct aws_identity *id_r, char why[AWS_IDENTITY_WHY_BYTES]);

void aws_identity_wipe(struct aws_identity *);

#endif
