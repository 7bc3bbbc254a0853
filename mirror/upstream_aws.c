#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/upstream_int.h"

/*
 * Registries that speak the ECR API: an access key signs a request, and the
 * answer has a user name and a password for the distribution API, good for half
 * a day.
 */
#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
#define MARGIN_S 600
#define LIFE_MAX_S ((int64_t)24 * 3600)
#define LIFE_MIN_S ((int64_t)60)
#define LOOK_MS 100
#define REGION_DEFAULT "us-east-1"
#define PUBLIC_HOST "public.ecr.aws"

struct api {
	char *url;
	char *sigv4; /* "aws:amz:REGION:ecr" */
	bool is_public;
};

/* "ACCOUNT.dkr.ecr.REGION.amazonaws.com[.cn]" */
static bool
host_region(const char *host, char **region_r, struct span *domain_r)
{
	static const struct span marks[] = { SPAN_INIT(".dkr.ecr."),
		SPAN_INIT(".dkr.ecr-fips.") };
	const char *at = NULL, *dot;
	size_t i;

	for (i = 0; i < ARRAY_LEN(marks) && at == NULL; i++) {
		at = strstr(host, marks[i].p);
		if (at != NULL)
			at += marks[i].n;
	}
	dot = at != NULL ? strchr(at, '.') : NULL;
	if (dot == NULL || strncmp(dot, ".amazonaws.com", 14) != 0)
		return (false);
	*region_r = xstrndup(at, (size_t)(dot - at));
	*domain_r = span_of(dot + 1);
	return (true);
}

static char *
api_url(const struct upstream *u, const struct credential *c,
    const char *region, struct span domain, bool is_public)
{
	if (c->api_url != NULL && c->api_url[0] != '\0')
		return (xstrdup(c->api_url));
	if (is_public)
		return (xstrdup("https://api.ecr-public." REGION_DEFAULT
				".amazonaws.com/"));
	if (domain.n > 0)
		return (xasprintf("https://api.ecr.%s." SPAN_FMT "/", region,
		    SPAN_ARG(domain)));
	return (xasprintf("%s/", u->options.url));
}

static void
api_make(
    const struct upstream *u, const struct credential *c, struct api *api_r)
{
	struct span domain = SPAN_NONE;
	char *region = NULL;

	api_r->is_public = strcmp(u->url.host, PUBLIC_HOST) == 0;
	(void)host_region(u->url.host, &region, &domain);
	if (c->region != NULL && c->region[0] != '\0') {
		free(region);
		region = xstrdup(c->region);
	}
	if (region == NULL)
		region = xstrdup(REGION_DEFAULT);
	api_r->url = api_url(u, c, region, domain, api_r->is_public);
	api_r->sigv4 = xasprintf("aws:amz:%s:%s",
	    api_r->is_public ? REGION_DEFAULT : region,
	    api_r->is_public ? "ecr-public" : "ecr");
	free(region);
}

static void
api_free(struct api *api)
{
	free(api->url);
	free(api->sigv4);
}

/* One operation; ${text} is the caller's to wipe and free. */
static enum rc
api_call(struct upstream *u, const struct credential *c, const char *operation,
    struct span body, struct pace *p, struct answer *a, struct buf *text,
    struct upstream_error *error)
{
	struct ask ask = {
		.method = "POST",
		.body = body,
		.apart = true,
		.access_key_id = c->username,
		.secret_access_key = c->password,
	};
	struct api api;
	char *target;
	enum rc rc;

	api_make(u, c, &api);
	target = xasprintf("X-Amz-Target: %s.%s",
	    api.is_public ? "SpencerFrontendService"
			  : "AmazonEC2ContainerRegistry_V20150921",
	    operation);
	ask.url = api.url;
	ask.sigv4 = api.sigv4;
	ask_header(&ask, target);
	ask_header(&ask, "Content-Type: application/x-amz-json-1.1");
	rc = ask_text(u, &ask, ANSWER_MAX_BYTES, p, a, text, error);
	free(target);
	api_free(&api);
	return (rc);
}

/* --- passwords ----------------------------------------------------------- */

/* base64("AWS:password") */
static char *
password_of(struct span token)
{
	uint8_t *plain = xmalloc(token.n + 1);
	char *password = NULL;
	const char *colon;
	size_t n = 0;

	if (base64_decode(token, plain, &n) == RC_OK && n > 0) {
		plain[n] = '\0';
		colon = memchr(plain, ':', n);
		if (colon != NULL && strlen((char *)plain) == n)
			password = xstrdup(colon + 1);
	}
	mem_wipe(plain, token.n + 1);
	free(plain);
	return (password);
}

static int64_t
life_s(const json_t *data)
{
	const json_t *at = json_object_get(data, "expiresAt");
	double left_s;

	if (!json_is_number(at))
		return (LIFE_MIN_S);
	left_s =
	    json_number_value(at) - (double)clock_real_ms() / 1000 - MARGIN_S;
	if (left_s > LIFE_MAX_S)
		return (LIFE_MAX_S);
	return (left_s > LIFE_MIN_S ? (int64_t)left_s : LIFE_MIN_S);
}

/* An array in the private service, an object in the public one. */
static enum rc
password_read(struct span text, char **password_r, int64_t *life_s_r)
{
	char why[JSON_ERROR_BYTES];
	const json_t *data;
	struct span token;
	json_t *doc;
	enum rc rc;

	*password_r = NULL;
	if ((rc = json_read(text, why, &doc)) != RC_OK)
		return (rc);
	data = json_object_get(doc, "authorizationData");
	if (json_is_array(data))
		data = json_array_get(data, 0);
	rc = json_get_str(data, "authorizationToken", &token);
	if (rc == RC_OK)
		*password_r = password_of(token);
	if (*password_r == NULL)
		rc = RC_INVALID;
	*life_s_r = life_s(data);
	json_decref(doc);
	return (rc);
}

static enum rc
password_ask(struct upstream *u, const struct credential *c,
    const struct pace *p, char **password_r, int64_t *until_ns_r,
    struct upstream_error *error)
{
	struct pace own = *p;
	struct answer a;
	struct buf text;
	int64_t s = 0;
	enum rc rc;

	own.what = "GetAuthorizationToken";
	rc = api_call(
	    u, c, "GetAuthorizationToken", SPAN("{}"), &own, &a, &text, error);
	if (rc == RC_FAILED)
		rc = RC_DENIED; /* 400 is what a wrong signature gets */
	if (rc != RC_OK)
		return (rc);
	if (password_read(buf_as_span(&text), password_r, &s) != RC_OK)
		rc = error_say(u, error, own.what, RC_INVALID,
		    "it answered without a token");
	*until_ns_r = clock_mono_ns() + s * 1000 * UPSTREAM_NS_PER_MS;
	answer_close(&a);
	mem_wipe(text.p, text.n);
	buf_free(&text);
	return (rc);
}

/* With the lock: until nobody asks; RC_CANCELLED, RC_TIMEOUT. */
static enum rc
asking_wait(struct upstream *u, const struct pace *p)
{
	while (u->aws_asking) {
		(void)cond_wait_ms(&u->changed, &u->lock, LOOK_MS);
		if (pace_cancelled(p))
			return (RC_CANCELLED);
		if (p->wait.patience_ms > 0 && pace_left_ms(p) == 0)
			return (RC_TIMEOUT);
	}
	return (RC_OK);
}

/* With the lock, which is given up meanwhile. */
static enum rc
password_renew(struct upstream *u, const struct credential *c,
    const struct pace *p, struct upstream_error *error)
{
	char *password = NULL;
	int64_t until_ns = 0;
	enum rc rc;

	u->aws_asking = true;
	mutex_unlock(&u->lock);
	rc = password_ask(u, c, p, &password, &until_ns, error);
	mutex_lock(&u->lock);
	u->aws_asking = false;
	auth_wipe(&u->aws_password);
	u->aws_password = password;
	u->aws_until_ns = until_ns;
	must(pthread_cond_broadcast(&u->changed) == 0);
	return (rc);
}

enum rc
aws_credential(struct upstream *u, const struct pace *p, struct credential *c,
    struct upstream_error *error)
{
	enum rc rc;

	mutex_lock(&u->lock);
	rc = asking_wait(u, p);
	if (rc == RC_CANCELLED)
		rc = error_cancelled(u, error, p->what);
	else if (rc == RC_TIMEOUT)
		rc = error_say(
		    u, error, p->what, rc, "its API has not answered in time");
	else if (u->aws_password == NULL || clock_mono_ns() >= u->aws_until_ns)
		rc = password_renew(u, c, p, error);
	if (rc == RC_OK) {
		u->aws = true;
		mem_wipe(c->password, strlen(c->password));
		free(c->password);
		free(c->username);
		c->username = xstrdup("AWS");
		c->password = xstrdup(u->aws_password);
		c->kind = CREDENTIAL_PASSWORD;
	}
	mutex_unlock(&u->lock);
	return (rc);
}

void
aws_forget(struct upstream *u)
{
	mutex_lock(&u->lock);
	if (!u->aws_asking)
		auth_wipe(&u->aws_password);
	mutex_unlock(&u->lock);
}

/* --- repositories -------------------------------------------------------- */

static enum rc
repository_create(struct upstream *u, const struct credential *c,
    struct span repository, struct pace *p, struct upstream_error *error)
{
	struct answer a;
	struct buf body, text;
	enum rc rc;

	buf_init(&body, 4096);
	buf_str(&body, "{\"repositoryName\":");
	buf_json(&body, repository);
	buf_char(&body, '}');
	rc = api_call(
	    u, c, "CreateRepository", buf_as_span(&body), p, &a, &text, error);
	buf_free(&body);
	if (rc == RC_OK) {
		answer_close(&a);
		buf_free(&text);
	} else if (strcmp(a.code, "RepositoryAlreadyExistsException") == 0) {
		rc = RC_OK;
	}
	return (rc);
}

enum rc
upstream_repository_create(struct upstream *u, struct span repository,
    const struct upstream_wait *wait, struct upstream_error *error)
{
	const struct upstreams_options *o = &u->set->options;
	struct credential c = { .kind = CREDENTIAL_NONE };
	struct pace p;
	char *what;
	enum rc rc = RC_NOTFOUND;

	OBJ_CHECK(u, UPSTREAM_MAGIC);
	error_clear(error);
	what = xasprintf("creating " SPAN_FMT, SPAN_ARG(repository));
	pace_begin(&p, wait, what);
	if (o->credential != NULL)
		rc = o->credential(
		    o->arg, u->options.url, span_of(u->credential), &c);
	if (rc == RC_OK && c.kind == CREDENTIAL_AWS)
		rc = repository_create(u, &c, repository, &p, error);
	else if (rc == RC_OK || rc == RC_NOTFOUND)
		rc = error_say(
		    u, error, what, RC_UNSUPPORTED, "that needs an access key");
	else
		rc = error_say(u, error, what, RC_DENIED,
		    "our credentials for it cannot be read");
	credential_wipe(&c);
	free(what);
	return (ask_failed(u, rc, error));
}
