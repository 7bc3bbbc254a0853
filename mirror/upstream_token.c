#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "mirror/upstream_int.h"

/*
 * Tokens, by realm, service and scope.  Of those who need the same one, one
 * asks and the others wait for what he gets, also when that is a refusal.  If
 * he was cancelled or had less patience than they have, the next one asks.
 *
 * A password goes with GET, as everybody takes it; an identity token (the user
 * "<token>", as docker stores it) by POST, which alone knows it (OAuth 2).
 */
#define LOOK_MS 100
#define TOKENS_MAX 256
#define ANSWER_MAX_BYTES ((size_t)64 * 1024)
/* As the protocol has it, where nothing is said. */
#define EXPIRES_DEFAULT_S ((int64_t)60)
#define EXPIRES_MAX_S ((int64_t)7 * 86400)
#define MARGIN_MAX_S ((int64_t)30)
#define IDENTITY_USER "<token>"

/* The parts of a key; they borrow from it. */
struct token_key {
	struct span realm, service, scope;
};

struct token_made {
	char *text; /* "Bearer ..." */
	int64_t until_ns;
};

static void
key_read(const char *key, struct token_key *k_r)
{
	struct span rest = span_of(key);

	*k_r = (struct token_key){ .realm = SPAN_NONE };
	(void)span_split(&rest, '\n', &k_r->realm);
	(void)span_split(&rest, '\n', &k_r->service);
	k_r->scope = rest;
}

/* --- the request --------------------------------------------------------- */

static void
query_add(struct buf *b, const char *name, struct span value)
{
	char *text = curl_easy_escape(NULL, value.p, (int)value.n);

	must(text != NULL);
	if (b->n > 0 && b->p[b->n - 1] != '?')
		buf_char(b, '&');
	buf_printf(b, "%s=", name);
	buf_str(b, text);
	mem_wipe(text, strlen(text));
	curl_free(text);
}

/* One parameter for each of the scopes. */
static void
scopes_add(struct buf *b, struct span scope)
{
	struct span one;

	while (span_split(&scope, ' ', &one))
		if (one.n > 0)
			query_add(b, "scope", one);
}

static char *
get_url(const struct token_key *k, const struct credential *c)
{
	struct buf b;

	buf_init(&b, 32768);
	buf_span(&b, k->realm);
	if (memchr(k->realm.p, '?', k->realm.n) == NULL)
		buf_char(&b, '?');
	if (k->service.n > 0)
		query_add(&b, "service", k->service);
	scopes_add(&b, k->scope);
	if (c->kind != CREDENTIAL_NONE)
		query_add(&b, "account", span_of(c->username));
	return (buf_take(&b, NULL));
}

static char *
post_body(const struct token_key *k, const struct credential *c)
{
	struct buf b;

	buf_init(&b, 65536);
	query_add(&b, "grant_type", SPAN("refresh_token"));
	query_add(&b, "client_id", SPAN("registryd"));
	if (k->service.n > 0)
		query_add(&b, "service", k->service);
	if (k->scope.n > 0)
		query_add(&b, "scope", k->scope);
	query_add(&b, "refresh_token", span_of(c->password));
	return (buf_take(&b, NULL));
}

/* --- the answer ---------------------------------------------------------- */

static bool
text_ok(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 ||
		    (unsigned char)s.p[i] >= 0x7f)
			return (false);
	return (s.n > 0);
}

static int64_t
lifetime_ns(const json_t *doc)
{
	int64_t s, margin_s;

	if (json_get_int(doc, "expires_in", &s) != RC_OK || s <= 0)
		s = EXPIRES_DEFAULT_S;
	if (s > EXPIRES_MAX_S)
		s = EXPIRES_MAX_S;
	margin_s = s / 4 < MARGIN_MAX_S ? s / 4 : MARGIN_MAX_S;
	return ((s - margin_s) * 1000 * UPSTREAM_NS_PER_MS);
}

static enum rc
answer_read(struct upstream *u, const struct pace *p, struct span text,
    int64_t asked_ns, struct token_made *made_r, struct upstream_error *error)
{
	char why[JSON_ERROR_BYTES];
	struct span token;
	json_t *doc;
	enum rc rc;

	if (json_read(text, why, &doc) != RC_OK)
		return (error_say(u, error, p->what, RC_INVALID,
		    "its token service answered what is no JSON: %s", why));
	rc = json_get_str(doc, "token", &token);
	if (rc != RC_OK)
		rc = json_get_str(doc, "access_token", &token);
	if (rc == RC_OK && text_ok(token)) {
		made_r->text = xasprintf("Bearer " SPAN_FMT, SPAN_ARG(token));
		made_r->until_ns = asked_ns + lifetime_ns(doc);
	} else {
		rc = error_say(u, error, p->what, RC_INVALID,
		    "its token service answered without a token");
	}
	json_decref(doc);
	return (rc);
}

static enum rc
token_fetch(struct upstream *u, struct ask *ask, struct pace *p,
    struct token_made *made_r, struct upstream_error *error)
{
	int64_t asked_ns = clock_mono_ns();
	struct answer a;
	struct buf text;
	enum rc rc;

	mutex_lock(&u->lock);
	u->state.tokens++;
	mutex_unlock(&u->lock);
	rc = ask_text(u, ask, ANSWER_MAX_BYTES, p, &a, &text, error);
	if (rc != RC_OK)
		return (rc);
	rc = answer_read(u, p, buf_as_span(&text), asked_ns, made_r, error);
	answer_close(&a);
	mem_wipe(text.p, text.n);
	buf_free(&text);
	return (rc);
}

/* What is secret goes where TLS ends, or nowhere, if the registry has it. */
static enum rc
realm_judge(struct upstream *u, const struct token_key *k,
    const struct credential *c, const struct pace *p,
    struct upstream_error *error)
{
	char *text = xstrndup(k->realm.p, k->realm.n);
	char why[FETCH_WHY_BYTES];
	struct url realm;
	enum rc rc;

	rc = url_parse(text, &realm, why);
	free(text);
	if (rc != RC_OK)
		return (error_say(u, error, p->what, RC_INVALID,
		    "its challenge names a token service with %s", why));
	if (u->url.tls && !realm.tls && c->kind != CREDENTIAL_NONE) {
		error->status = 401;
		rc = error_say(u, error, p->what, RC_DENIED,
		    "its challenge names a token service without TLS (%s), "
		    "which our credentials are not sent to",
		    realm.host);
	}
	url_free(&realm);
	return (rc);
}

static enum rc
token_ask(struct upstream *u, const char *key, struct pace *p,
    const struct credential *c, struct token_made *made_r,
    struct upstream_error *error)
{
	bool identity = c->kind != CREDENTIAL_NONE &&
			strcmp(c->username, IDENTITY_USER) == 0;
	struct ask ask = { .method = identity ? "POST" : "GET", .apart = true };
	char *url, *body = NULL, *basic = NULL;
	struct token_key k;
	enum rc rc;

	key_read(key, &k);
	if ((rc = realm_judge(u, &k, c, p, error)) != RC_OK)
		return (rc);
	if (identity) {
		url = xstrndup(k.realm.p, k.realm.n);
		body = post_body(&k, c);
		ask.body = span_of(body);
		ask_header(
		    &ask, "Content-Type: application/x-www-form-urlencoded");
	} else {
		url = get_url(&k, c);
		if (c->kind != CREDENTIAL_NONE)
			ask.authorization = basic = auth_basic(c);
	}
	ask.url = url;
	rc = url == NULL || (identity && body == NULL)
		 ? error_say(u, error, p->what, RC_INVALID,
		       "its challenge is too large")
		 : token_fetch(u, &ask, p, made_r, error);
	auth_wipe(&body);
	auth_wipe(&basic);
	free(url);
	return (rc);
}

static enum rc
token_try(struct upstream *u, const char *key, struct pace *p,
    struct token_made *made_r, struct upstream_error *error)
{
	struct credential c;
	enum rc rc;

	rc = auth_credential(u, p, &c, error);
	if (rc == RC_OK)
		rc = token_ask(u, key, p, &c, made_r, error);
	credential_wipe(&c);
	return (rc);
}

static bool
password_may_expire(struct upstream *u)
{
	bool may;

	mutex_lock(&u->lock);
	may = u->aws;
	mutex_unlock(&u->lock);
	return (may);
}

static enum rc
token_make(struct upstream *u, const char *key, const struct pace *p,
    struct token_made *made_r, struct upstream_error *error)
{
	struct pace own = *p;
	char *what;
	enum rc rc;

	*made_r = (struct token_made){ .text = NULL };
	what = xasprintf("a token for %s", p->what);
	own.what = what;
	rc = token_try(u, key, &own, made_r, error);
	if (rc == RC_DENIED && password_may_expire(u)) {
		aws_forget(u);
		rc = token_try(u, key, &own, made_r, error);
	}
	free(what);
	return (rc);
}

/* --- the table ----------------------------------------------------------- */

static struct token *
token_find(struct upstream *u, const char *key)
{
	struct token *t;

	for (t = u->tokens; t != NULL; t = t->next)
		if (strcmp(t->key, key) == 0)
			return (t);
	return (NULL);
}

static void
token_free(struct token *t)
{
	auth_wipe(&t->text);
	free(t->key);
	free(t);
}

/* The oldest that nobody is busy with. */
static void
token_evict(struct upstream *u)
{
	struct token **at, **oldest = NULL, *t;

	for (at = &u->tokens; *at != NULL; at = &(*at)->next)
		if (!(*at)->asked && (*at)->waiters == 0)
			oldest = at;
	if (oldest == NULL)
		return;
	t = *oldest;
	*oldest = t->next;
	u->n_tokens--;
	token_free(t);
}

/* With the lock. */
static struct token *
token_of(struct upstream *u, const char *key)
{
	struct token *t = token_find(u, key);

	if (t != NULL)
		return (t);
	if (u->n_tokens >= TOKENS_MAX)
		token_evict(u);
	t = xcalloc(1, sizeof(*t));
	t->key = xstrdup(key);
	t->next = u->tokens;
	u->tokens = t;
	u->n_tokens++;
	return (t);
}

/* With the lock, which is given up meanwhile. */
static void
token_lead(struct upstream *u, struct token *t, const struct pace *p)
{
	struct upstream_error error;
	struct token_made made;
	enum rc rc;

	t->asked = true;
	mutex_unlock(&u->lock);
	error_clear(&error);
	rc = token_make(u, t->key, p, &made, &error);
	mutex_lock(&u->lock);
	t->asked = false;
	t->answers++;
	t->rc = rc;
	t->error = error;
	auth_wipe(&t->text);
	if (rc == RC_OK) {
		t->text = made.text;
		t->until_ns = made.until_ns;
	}
	must(pthread_cond_broadcast(&u->changed) == 0);
}

/* With the lock: wait for who is asking. */
static enum rc
token_follow(struct upstream *u, struct token *t, const struct pace *p,
    struct upstream_error *error)
{
	unsigned answers = t->answers;
	enum rc rc = RC_OK;

	t->waiters++;
	while (t->answers == answers && rc == RC_OK) {
		(void)cond_wait_ms(&u->changed, &u->lock, LOOK_MS);
		if (pace_cancelled(p))
			rc = RC_CANCELLED;
		else if (p->wait.patience_ms > 0 && pace_left_ms(p) == 0)
			rc = RC_TIMEOUT;
	}
	t->waiters--;
	if (rc == RC_CANCELLED)
		return (error_cancelled(u, error, p->what));
	if (rc == RC_TIMEOUT)
		return (error_say(u, error, p->what, rc,
		    "its token service has not answered in time"));
	if (t->rc == RC_OK || t->rc == RC_CANCELLED || t->rc == RC_TIMEOUT)
		return (RC_OK);
	*error = t->error;
	return (t->rc);
}

enum rc
upstream_token_get(struct upstream *u, const char *key, const struct pace *p,
    char **header_r, struct upstream_error *error)
{
	struct token *t;
	bool led = false;
	enum rc rc = RC_OK;

	*header_r = NULL;
	mutex_lock(&u->lock);
	while (rc == RC_OK && *header_r == NULL) {
		t = token_of(u, key);
		if (t->text != NULL && (led || clock_mono_ns() < t->until_ns)) {
			*header_r = xstrdup(t->text);
		} else if (t->asked) {
			rc = token_follow(u, t, p, error);
		} else {
			token_lead(u, t, p);
			led = true;
			rc = t->rc;
			if (rc != RC_OK)
				*error = t->error;
		}
	}
	mutex_unlock(&u->lock);
	return (rc);
}

void
token_drop(struct upstream *u, const char *key, const char *shown)
{
	struct token *t;

	mutex_lock(&u->lock);
	t = token_find(u, key);
	if (t != NULL && t->text != NULL && strcmp(t->text, shown) == 0)
		auth_wipe(&t->text);
	mutex_unlock(&u->lock);
}

void
tokens_free(struct upstream *u)
{
	struct token *t;

	while ((t = u->tokens) != NULL) {
		u->tokens = t->next;
		token_free(t);
	}
}
