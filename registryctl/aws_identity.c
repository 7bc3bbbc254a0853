#include "registryctl/aws_identity.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/span.h"
#include "registryctl/aws_config.h"
#include "registryctl/input.h"

#define REGION_DEFAULT "us-east-1"

static enum rc __attribute__((format(printf, 3, 4)))
fail(char *why, enum rc rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, AWS_IDENTITY_WHY_BYTES, fmt, ap);
	va_end(ap);
	return (rc);
}

/* An empty variable is none. */
static const char *
variable(const char *name)
{
	const char *text = getenv(name);

	return (text != NULL && text[0] != '\0' ? text : NULL);
}

void
aws_identity_wipe(struct aws_identity *id)
{
	mem_wipe(id, sizeof(*id));
}

/* --- its parts ----------------------------------------------------------- */

/* They travel in headers: printable, and without white space. */
static enum rc
part_set(
    char *out, size_t max_bytes, struct span text, const char *what, char *why)
{
	size_t i;

	for (i = 0; i < text.n && text.p[i] > ' ' && text.p[i] < 0x7f; i++)
		continue;
	if (text.n == 0 || i < text.n || text.n > max_bytes)
		return (fail(why, RC_INVALID,
		    "%s must be of 1 to %zu printable characters", what,
		    max_bytes));
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
	return (RC_OK);
}

static enum rc
keys_set(struct aws_identity *id, struct span access_key, struct span secret,
    struct span token, char *why)
{
	enum rc rc;

	if ((rc = part_set(id->access_key, AWS_ACCESS_KEY_MAX_BYTES, access_key,
		 "the access key id", why)) != RC_OK ||
	    (rc = part_set(id->secret, AWS_SECRET_MAX_BYTES, secret,
		 "the secret access key", why)) != RC_OK)
		return (rc);
	if (token.n == 0)
		return (RC_OK);
	return (part_set(id->session_token, AWS_TOKEN_MAX_BYTES, token,
	    "the session token", why));
}

/* --- the environment ----------------------------------------------------- */

static enum rc
keys_of_environment(struct aws_identity *id, char *why)
{
	const char *access_key = variable("AWS_ACCESS_KEY_ID");
	const char *secret = variable("AWS_SECRET_ACCESS_KEY");
	const char *token = variable("AWS_SESSION_TOKEN");

	if (access_key == NULL && secret == NULL)
		return (RC_NOTFOUND);
	if (access_key == NULL || secret == NULL)
		return (fail(why, RC_INVALID,
		    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: only %s is "
		    "set",
		    secret == NULL ? "the first" : "the second"));
	(void)snprintf(id->source, sizeof(id->source), "the environment");
	return (keys_set(
	    id, span_of(access_key), span_of(secret), span_of(token), why));
}

/* --- files --------------------------------------------------------------- */

struct source {
	const char *path; /* NULL: there is no such file */
	bool named;	  /* by somebody, so that it must be there */
	enum aws_config_kind kind;
};

/* RC_NOTFOUND: no file, and nobody asked for it. */
static enum rc
file_read(const struct source *s, struct buf *text_r, char *why)
{
	char wrong[INPUT_WHY_BYTES];
	enum rc rc;

	if (s->path == NULL)
		return (RC_NOTFOUND);
	rc = input_file(s->path, AWS_CONFIG_MAX_BYTES, text_r, wrong);
	if (rc == RC_OK)
		return (RC_OK);
	if (!s->named && (rc == RC_NOTFOUND || rc == RC_DENIED))
		return (RC_NOTFOUND);
	return (fail(why, rc == RC_NOTFOUND ? RC_INVALID : rc, "%s", wrong));
}

static enum rc
value_get(const struct source *s, const struct aws_config *c,
    struct span profile, const char *key, struct span *value_r, char *why)
{
	char wrong[AWS_CONFIG_WHY_BYTES];
	enum rc rc;

	*value_r = SPAN_NONE;
	rc = aws_config_get(c, profile, key, value_r, wrong);
	if (rc == RC_OK || rc == RC_NOTFOUND)
		return (rc);
	return (fail(why, rc, "%.500s: %s", s->path, wrong));
}

/* RC_NOTFOUND: the profile, or its keys, are not in this file. */
static enum rc
keys_of_text(const struct source *s, const struct aws_config *c,
    struct span profile, struct aws_identity *id, char *why)
{
	struct span access_key, secret, token;
	enum rc rc, rc_secret;

	rc = value_get(s, c, profile, "aws_access_key_id", &access_key, why);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	rc_secret =
	    value_get(s, c, profile, "aws_secret_access_key", &secret, why);
	if (rc == RC_NOTFOUND && rc_secret == RC_NOTFOUND)
		return (RC_NOTFOUND);
	if (rc != RC_OK || rc_secret != RC_OK)
		return (fail(why, RC_INVALID,
		    "%.500s: the profile %.*s has only one of "
		    "aws_access_key_id and aws_secret_access_key",
		    s->path, (int)(profile.n < 64 ? profile.n : 64),
		    profile.p));
	rc = value_get(s, c, profile, "aws_session_token", &token, why);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	(void)snprintf(id->source, sizeof(id->source), "%s", s->path);
	return (keys_set(id, access_key, secret, token, why));
}

static enum rc
keys_of_file(const struct source *s, struct span profile,
    struct aws_identity *id, char *why)
{
	struct aws_config c = { .kind = s->kind };
	struct buf text;
	enum rc rc;

	if ((rc = file_read(s, &text, why)) != RC_OK)
		return (rc);
	c.text = buf_as_span(&text);
	rc = keys_of_text(s, &c, profile, id, why);
	input_wipe(&text);
	return (rc);
}

static enum rc
region_of_file(const struct source *s, struct span profile,
    struct aws_identity *id, char *why)
{
	struct aws_config c = { .kind = s->kind };
	struct span region;
	struct buf text;
	enum rc rc;

	if ((rc = file_read(s, &text, why)) != RC_OK)
		return (rc);
	c.text = buf_as_span(&text);
	rc = value_get(s, &c, profile, "region", &region, why);
	if (rc == RC_OK)
		rc = part_set(id->region, AWS_REGION_MAX_BYTES, region,
		    "the region", why);
	input_wipe(&text);
	return (rc);
}

/* --- all ----------------------------------------------------------------- */

struct places {
	char *credentials, *config, *admin; /* NULL: no home to look in */
	bool credentials_named, config_named;
	bool admin_used; /* the keys are from there */
};

/* A variable, else a file below the home. */
static char *
place_of(const char *name, const char *below_home, bool *named_r)
{
	const char *path = variable(name), *home = variable("HOME");

	*named_r = path != NULL;
	if (path != NULL)
		return (xstrdup(path));
	return (home != NULL ? xasprintf("%s/%s", home, below_home) : NULL);
}

static enum rc
keys_find(struct places *p, struct span profile, bool profile_named,
    struct aws_identity *id, char *why)
{
	const struct source sources[] = {
		{ p->credentials, p->credentials_named, AWS_CREDENTIALS_FILE },
		{ p->config, p->config_named, AWS_CONFIG_FILE },
		{ p->admin, false, AWS_CREDENTIALS_FILE },
	};
	size_t n = ARRAY_LEN(sources) - (profile_named ? 1 : 0), i;
	enum rc rc = RC_NOTFOUND;

	for (i = 0; rc == RC_NOTFOUND && i < n; i++)
		rc = keys_of_file(&sources[i], profile, id, why);
	p->admin_used = rc == RC_OK && i == ARRAY_LEN(sources);
	if (rc != RC_NOTFOUND)
		return (rc);
	if (profile_named)
		return (fail(why, RC_INVALID,
		    "there are no keys of the profile %.*s in %.300s",
		    (int)(profile.n < 64 ? profile.n : 64), profile.p,
		    p->credentials != NULL ? p->credentials
					   : "~/.aws/credentials"));
	return (fail(why, rc,
	    "there are no AWS credentials: set AWS_ACCESS_KEY_ID and "
	    "AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE to a file "
	    "with them, or write them to ~/.aws/credentials (also looked for: "
	    "%.300s)",
	    p->admin != NULL ? p->admin : "DIR/admin-credentials"));
}

/* As botocore has it, the credentials file comes before the config file.  With
 * keys of the environment the former may be missing. */
static enum rc
region_of_files(const struct places *p, struct span profile,
    struct aws_identity *id, char *why)
{
	const struct source sources[] = {
		{ p->admin_used ? p->admin : NULL, false,
		    AWS_CREDENTIALS_FILE },
		{ p->credentials, false, AWS_CREDENTIALS_FILE },
		{ p->config, p->config_named, AWS_CONFIG_FILE },
	};
	enum rc rc = RC_NOTFOUND;
	size_t i;

	for (i = 0; rc == RC_NOTFOUND && i < ARRAY_LEN(sources); i++)
		rc = region_of_file(&sources[i], profile, id, why);
	return (rc);
}

static enum rc
region_find(const struct places *p, const char *given, struct span profile,
    struct aws_identity *id, char *why)
{
	const char *region = given;
	enum rc rc;

	if (region == NULL)
		region = variable("AWS_REGION");
	if (region == NULL)
		region = variable("AWS_DEFAULT_REGION");
	if (region == NULL) {
		rc = region_of_files(p, profile, id, why);
		if (rc != RC_NOTFOUND)
			return (rc);
		region = REGION_DEFAULT;
	}
	return (part_set(id->region, AWS_REGION_MAX_BYTES, span_of(region),
	    "the region", why));
}

enum rc
aws_identity_find(const struct aws_identity_options *o,
    struct aws_identity *id_r, char why[AWS_IDENTITY_WHY_BYTES])
{
	const char *name =
	    o->profile != NULL ? o->profile : variable("AWS_PROFILE");
	struct span profile = span_of(name != NULL ? name : "default");
	struct places p = { 0 };
	enum rc rc = RC_NOTFOUND;

	*id_r = (struct aws_identity){ 0 };
	p.credentials = place_of("AWS_SHARED_CREDENTIALS_FILE",
	    ".aws/credentials", &p.credentials_named);
	p.config = place_of("AWS_CONFIG_FILE", ".aws/config", &p.config_named);
	if (o->data != NULL)
		p.admin = xasprintf("%s/admin-credentials", o->data);
	/* Who names a profile on the command line means it. */
	if (o->profile == NULL)
		rc = keys_of_environment(id_r, why);
	if (rc == RC_NOTFOUND)
		rc = keys_find(&p, profile, name != NULL, id_r, why);
	if (rc == RC_OK)
		rc = region_find(&p, o->region, profile, id_r, why);
	if (rc != RC_OK)
		aws_identity_wipe(id_r);
	free(p.credentials);
	free(p.config);
	free(p.admin);
	return (rc);
}
