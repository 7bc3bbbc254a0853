#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/challenge.h"
#include "mirror/upstream_int.h"

/*
 * Who we are.  Nothing is shown until it is asked for; what was asked for once
 * is shown from then on: Basic with every request, a token with every request
 * of the kind that it was asked for with.  That kind is named by a text
 * ("pull library/alpine"), because what scope a registry wants for it is the
 * registry's affair.
 */
#define WANTS_MAX 1024
#define CHALLENGES_MAX 16

void
auth_wipe(char **text)
{
	if (*text != NULL)
		mem_wipe(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

char *
auth_basic(const struct credential *c)
{
	char *pair = xasprintf("%s:%s", c->username, c->password);
	size_t n = strlen(pair);
	char *value = xmalloc(sizeof("Basic ") + BASE64_LEN(n));

	memcpy(value, "Basic ", sizeof("Basic ") - 1);
	base64_encode((const uint8_t *)pair, n, value + sizeof("Basic ") - 1);
	auth_wipe(&pair);
	return (value);
}

/* --- what requests were told to show ------------------------------------- */

static struct want *
want_find(struct upstream *u, const char *text)
{
	struct want *w;

	for (w = u->wants; w != NULL; w = w->next)
		if (strcmp(w->text, text) == 0)
			return (w);
	return (NULL);
}

static void
want_free(struct want *w)
{
	free(w->text);
	free(w->key);
	free(w);
}

/* The oldest; whoever needs it is asked again. */
static void
want_evict(struct upstream *u)
{
	struct want **at;

	must(u->wants != NULL);
	for (at = &u->wants; (*at)->next != NULL;)
		at = &(*at)->next;
	want_free(*at);
	*at = NULL;
	u->n_wants--;
}

/* With the lock; takes ${key}. */
static void
want_set(struct upstream *u, const char *text, char *key)
{
	struct want *w = want_find(u, text);

	if (w == NULL) {
		if (u->n_wants >= WANTS_MAX)
			want_evict(u);
		w = xcalloc(1, sizeof(*w));
		w->text = xstrdup(text);
		w->next = u->wants;
		u->wants = w;
		u->n_wants++;
	}
	free(w->key);
	w->key = key;
}

enum rc
auth_header(struct upstream *u, const char *want, const struct pace *p,
    char **header_r, struct upstream_error *error)
{
	const struct want *w;
	char *key = NULL;
	enum rc rc = RC_OK;

	*header_r = NULL;
	mutex_lock(&u->lock);
	w = want_find(u, want);
	if (w != NULL)
		key = xstrdup(w->key);
	else if (u->basic != NULL)
		*header_r = xstrdup(u->basic);
	mutex_unlock(&u->lock);
	if (key != NULL)
		rc = upstream_token_get(u, key, p, header_r, error);
	free(key);
	return (rc);
}

/* --- credentials --------------------------------------------------------- */

enum rc
auth_credential(struct upstream *u, const struct pace *p, struct credential *c,
    struct upstream_error *error)
{
	const struct upstreams_options *o = &u->set->options;
	enum rc rc = RC_NOTFOUND;

	*c = (struct credential){ .kind = CREDENTIAL_NONE };
	if (o->credential != NULL)
		rc = o->credential(
		    o->arg, u->options.url, span_of(u->credential), c);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (error_say(u, error, p->what, RC_DENIED,
		    "our credentials for it cannot be read"));
	if (c->kind == CREDENTIAL_AWS)
		rc = aws_credential(u, p, c, error);
	if (rc != RC_OK)
		credential_wipe(c);
	return (rc);
}

/* --- challenges ---------------------------------------------------------- */

/* Of all that was offered, the token before the password. */
struct offers {
	struct challenge bearer, basic;
	bool has_bearer, has_basic;
};

static void
offer_take(struct offers *o, const struct challenge *c)
{
	if (!o->has_bearer && span_eq_nocase(c->scheme, SPAN("Bearer"))) {
		o->bearer = *c;
		o->has_bearer = true;
	}
	if (!o->has_basic && span_eq_nocase(c->scheme, SPAN("Basic"))) {
		o->basic = *c;
		o->has_basic = true;
	}
}

static void
offers_read(const struct fetch *f, struct offers *o)
{
	struct challenge c;
	struct span value;
	size_t i = 0, n;

	*o = (struct offers){ .has_bearer = false };
	for (n = 0; n < CHALLENGES_MAX; n++) {
		value = fetch_next_header(f, "WWW-Authenticate", &i);
		if (value.p == NULL)
			return;
		while (challenge_next(&value, &c) == RC_OK)
			offer_take(o, &c);
	}
}

/* "realm\nservice\nscope"; none of them has a line break in it. */
static enum rc
bearer_key(const struct challenge *c, char **key_r)
{
	char realm[CHALLENGE_TEXT_MAX_BYTES], scope[CHALLENGE_TEXT_MAX_BYTES];
	char service[CHALLENGE_TEXT_MAX_BYTES];
	size_t n;
	enum rc rc;

	if (challenge_param(c, "realm", realm, &n) != RC_OK || n == 0)
		return (RC_INVALID);
	service[0] = scope[0] = '\0';
	rc = challenge_param(c, "service", service, &n);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	rc = challenge_param(c, "scope", scope, &n);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	*key_r = xasprintf("%s\n%s\n%s", realm, service, scope);
	return (RC_OK);
}

static enum rc
bearer_take(struct upstream *u, const struct challenge *c, const char *want,
    const struct pace *p, const char *shown, struct upstream_error *error)
{
	char *key = NULL;

	if (bearer_key(c, &key) != RC_OK)
		return (error_say(u, error, p->what, RC_INVALID,
		    "its challenge does not name a token service that can be "
		    "asked"));
	if (shown != NULL)
		token_drop(u, key, shown);
	mutex_lock(&u->lock);
	want_set(u, want, key);
	mutex_unlock(&u->lock);
	return (RC_OK);
}

/* Did somebody else find out meanwhile what is to be shown? */
static bool
basic_changed(struct upstream *u, const char *shown)
{
	bool changed;

	mutex_lock(&u->lock);
	changed =
	    u->basic != NULL && (shown == NULL || strcmp(u->basic, shown) != 0);
	mutex_unlock(&u->lock);
	return (changed);
}

static enum rc
basic_take(struct upstream *u, const struct pace *p, const char *shown,
    struct upstream_error *error)
{
	struct credential c;
	char *value;
	enum rc rc;

	if (basic_changed(u, shown))
		return (RC_OK);
	if (shown != NULL)
		aws_forget(u);
	if ((rc = auth_credential(u, p, &c, error)) != RC_OK)
		return (rc);
	if (c.kind == CREDENTIAL_NONE)
		return (error_say(u, error, p->what, RC_DENIED,
		    "it wants a user name and a password, and there are none "
		    "for it here"));
	value = auth_basic(&c);
	credential_wipe(&c);
	/* The same again would be refused again. */
	if (shown != NULL && strcmp(shown, value) == 0)
		rc = error_say(u, error, p->what, RC_DENIED,
		    "it refuses our user name and password");
	mutex_lock(&u->lock);
	auth_wipe(&u->basic);
	u->basic = value;
	mutex_unlock(&u->lock);
	return (rc);
}

enum rc
auth_challenged(struct upstream *u, const struct ask *ask, const struct pace *p,
    const struct fetch *f, const char *shown, struct upstream_error *error)
{
	struct offers offers;
	enum rc rc;

	offers_read(f, &offers);
	error->status = 401;
	if (offers.has_bearer)
		rc = bearer_take(u, &offers.bearer, ask->want, p, shown, error);
	else if (offers.has_basic)
		rc = basic_take(u, p, shown, error);
	else
		rc = error_say(u, error, p->what, RC_DENIED,
		    "it refuses us, and does not ask for anything that we can "
		    "show");
	return (rc);
}

/* Of several that are refused with the same password one has it replaced. */
bool
auth_expired(struct upstream *u, const char *shown)
{
	bool same, aws;

	if (shown == NULL)
		return (false);
	mutex_lock(&u->lock);
	aws = u->aws;
	same = aws && u->basic != NULL && strcmp(u->basic, shown) == 0;
	if (same)
		auth_wipe(&u->basic);
	mutex_unlock(&u->lock);
	if (same)
		aws_forget(u);
	return (aws);
}

void
auth_free(struct upstream *u)
{
	struct want *w;

	while ((w = u->wants) != NULL) {
		u->wants = w->next;
		want_free(w);
	}
	auth_wipe(&u->basic);
	auth_wipe(&u->aws_password);
}
