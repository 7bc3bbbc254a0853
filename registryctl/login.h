#ifndef REGISTRYCTL_LOGIN_H
#define REGISTRYCTL_LOGIN_H

#include <getopt.h>
#include <jansson.h>
#include <stddef.h>

#include "base/rc.h"
#include "registryctl/command.h"
#include "registryctl/ecr.h"

/*
 * What the commands share that get a token from a registry: by its ECR
 * endpoint, with AWS credentials, as the AWS CLI would.
 */
#define LOGIN_WHY_BYTES ECR_WHY_BYTES
#define LOGIN_IDS_MAX 10 /* registryIds of one call */

enum login_code {
	LOGIN_CA_FILE = 256,
	LOGIN_PROFILE,
	LOGIN_REGION,
	LOGIN_OWN, /* codes of a command's own options from here on */
};

#define LOGIN_OPTIONS \
	{ "ca-file", required_argument, NULL, LOGIN_CA_FILE }, \
	    { "profile", required_argument, NULL, LOGIN_PROFILE }, \
	{ \
		"region", required_argument, NULL, LOGIN_REGION \
	}

#define LOGIN_OPTIONS_HELP \
	"  --endpoint URL     of the registry (REGISTRYD_ENDPOINT,\n" \
	"                     AWS_ENDPOINT_URL_ECR, AWS_ENDPOINT_URL)\n" \
	"  --ca-file FILE     the authority that signed its certificate, " \
	"PEM\n" \
	"                     (AWS_CA_BUNDLE, SSL_CERT_FILE, " \
	"CURL_CA_BUNDLE)\n" \
	"  --profile NAME     of ~/.aws/credentials (AWS_PROFILE)\n" \
	"  --region NAME      AWS_REGION, AWS_DEFAULT_REGION, what the " \
	"profile\n" \
	"                     says, us-east-1\n" \
	"Credentials are those of the AWS CLI: AWS_ACCESS_KEY_ID and\n" \
	"AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), else\n" \
	"AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials, else\n" \
	"DIR/admin-credentials. Without any the request is not signed, for\n" \
	"a registry that needs none (auth: none).\n"

struct login_options {
	const char *ca_file, *profile, *region;
	const char *ids[LOGIN_IDS_MAX];
	size_t n_ids;
};

/** login_option(o, code): take one of LOGIN_OPTIONS. */
void login_option(struct login_options *, int code);

/** login_endpoint(ctl): as the command line or the environment names it, or
 * NULL. */
const char *login_endpoint(const struct ctl *);

/** login_identity(ctl, o, id_r, why): as aws_identity_find(), but where there
 * are no credentials at all it is RC_OK and an identity without keys: a registry
 * may need none. */
RC_MUST_USE enum rc
login_identity(const struct ctl *, const struct login_options *,
    struct aws_identity *id_r, char why[LOGIN_WHY_BYTES]);

/**
 * login_operation(ctl, o, operation, input, answer_r, why):
 * Any operation of the registry that the command line, the environment or
 * the server of the folder names; as ecr_call() and aws_identity_find(), and
 * RC_NOTFOUND where no registry is named.
 */
RC_MUST_USE enum rc login_operation(const struct ctl *,
    const struct login_options *, const char *operation, const json_t *input,
    json_t **answer_r, char why[LOGIN_WHY_BYTES]);

/**
 * login_call(endpoint, o, id, answer_r, why):
 * GetAuthorizationToken; as ecr_call(), and RC_INVALID where the answer has no
 * list of tokens.
 */
RC_MUST_USE enum rc
login_call(const char *endpoint, const struct login_options *,
    const struct aws_identity *, json_t **answer_r, char why[LOGIN_WHY_BYTES]);

#endif
