#ifndef REGISTRYCTL_AWS_CONFIG_H
#define REGISTRYCTL_AWS_CONFIG_H

#include "base/rc.h"
#include "base/span.h"

/*
 * The two files that the AWS CLI and SDKs share, in their INI form:
 *
 *	[default]		a profile
 *	[profile build]		the same in ~/.aws/config; [build] in credentials
 *	key = value
 *	# and ; begin comments, also behind a value and white space
 *	s3 =
 *	    key = value		deeper than the line above: not for us
 *
 * Later values win over earlier ones, sections of one name are one.
 */
#define AWS_CONFIG_MAX_BYTES ((size_t)1 << 20)
#define AWS_CONFIG_LINE_MAX_BYTES ((size_t)8192)
#define AWS_CONFIG_WHY_BYTES 256

enum aws_config_kind { AWS_CREDENTIALS_FILE, AWS_CONFIG_FILE };

struct aws_config {
	struct span text;
	enum aws_config_kind kind;
};

/**
 * aws_config_get(config, profile, key, value_r, why):
 * The span borrows from the text.  RC_NOTFOUND: no such profile, or no such
 * key in it; RC_INVALID: a line that is none of the above, or too long;
 * RC_TOOBIG: the text is.  ${why} names the line and never shows it: it may
 * hold a secret.
 */
RC_MUST_USE enum rc
aws_config_get(const struct aws_config *, struct span profile, const char *key,
    struct span *value_r, char why[AWS_CONFIG_WHY_BYTES]);

#endif
