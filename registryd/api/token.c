#include "registryd/api/token.h"

#include <inttypes.h>
#include <stdatomic.h>

#include "auth/auth.h"
#include "base/clock.h"
#include "base/name.h"
#include "base/obj.h"
#include "registryd/api/aws_form.h"
#include "registryd/authorize.h"
#include "registryd/identify.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * A bearer token says which of the asked scopes its principal may use, as the
 * policies are now; they are asked again when it is used, so it gives nothing
 * that was taken away since, and may live longer than those of registries that
 * cannot ask.
 */
#define FORM_MAX_BYTES ((uint64_t)8 * 1024)
/* On their way at once: nobody knows yet whose. */
#define FORMS_MAX 4096
#define FORMS_FROM_MAX 64
#define BEARER_MS ((int64_t)3600 * 1000)
#define SCOPES_MAX 16

/* Who wants a token, and for what. */
struct wish {
	const struct principal *who; /* NULL: anonymous */
	uint8_t mark[16];	     /* of the password it came with */
	int64_t until_ms;	     /* of the credentials it came with */
	struct span scopes[SCOPES_MAX];
	size_t n_scopes;
	bool offline; /* with a refresh token */
	bool dated;   /* ... that the credentials limit */
};

/* --- scopes -------------------------------------------------------------- */

static const struct {
	const char *verb;
	const char *actions;
} verbs[] = {
	{ "pull", "ecr:BatchGetImage ecr:GetDownloadUrlForLayer" },
	{ "push", "ecr:InitiateLayerUpload ecr:UploadLayerPart "
		  "ecr:CompleteLayerUpload ecr:PutImage" },
	{ "delete", "ecr:BatchDeleteImage" },
};

static bool
verb_asked(struct span list, const char *verb)
{
	struct span one;

	while (span_split(&list, ',', &one))
		if (span_is(one, verb) || span_is(one, "*"))
			return (true);
	return (false);
}

static void
grant_repository(
    struct call *c, struct span name, struct span asked, struct buf *out)
{
	const char *between = "";
	size_t i, before = out->n;

	if (!name_repository_ok(name))
		return;
	buf_printf(out, "%srepository:" SPAN_FMT ":", out->n > 0 ? " " : "",
	    SPAN_ARG(name));
	for (i = 0; i < ARRAY_LEN(verbs); i++) {
		if (!verb_asked(asked, verbs[i].verb) ||
		    authorize_repository(c, verbs[i].actions, name) != RC_OK)
			continue;
		buf_printf(out, "%s%s", between, verbs[i].verb);
		between = ",";
	}
	if (between[0] == '\0')
		out->n = before;
}

static void
grant(struct call *c, struct span scope, struct buf *out)
{
	struct span rest = scope, type, name;

	if (!span_split(&rest, ':', &type) || !span_split(&rest, ':', &name))
		return;
	if (span_is(type, "repository"))
		grant_repository(c, name, rest, out);
	else if (span_is(scope, "registry:catalog:*") &&
		 c->who->kind == PRINCIPAL_USER)
		buf_printf(
		    out, "%s" SPAN_FMT, out->n > 0 ? " " : "", SPAN_ARG(scope));
}

static bool
scope_known(const struct wish *w, struct span scope)
{
	size_t i;

	for (i = 0; i < w->n_scopes; i++)
		if (span_eq(w->scopes[i], scope))
			return (true);
	return (false);
}

/* One parameter holds several with spaces between, which forms write '+'. */
static enum rc
scopes_add(struct call *c, struct wish *w, struct span text)
{
	struct span one;
	size_t i = 0;

	while (i < text.n) {
		one = (struct span){ text.p + i, 0 };
		while (i < text.n && text.p[i] != ' ' && text.p[i] != '+')
			i++;
		one.n = (size_t)(text.p + i - one.p);
		i++;
		if (one.n == 0)
			continue;
		if (scope_known(w, one))
			continue;
		if (w->n_scopes == SCOPES_MAX)
			return (call_fail(c, OCI_REQUEST_INVALID, NULL,
			    "more than %d scopes in one request", SCOPES_MAX));
		w->scopes[w->n_scopes++] = one;
	}
	return (RC_OK);
}

/* --- the answer ---------------------------------------------------------- */

static struct token
token_of(
    const struct wish *w, enum token_kind kind, int64_t now_ms, int64_t life_ms)
{
	struct token t = {
		.kind = kind,
		.issued_ms = now_ms,
		.expires_ms = now_ms + life_ms,
	};

	if (w->who != NULL) {
		t.account = w->who->account;
		t.user = w->who->name;
		t.access_key = w->who->access_key;
	}
	memcpy(t.password_mark, w->mark, sizeof(t.password_mark));
	if (t.expires_ms > w->until_ms)
		t.expires_ms = w->until_ms;
	return (t);
}

static enum rc
refresh_add(
    struct call *c, const struct wish *w, int64_t now_ms, struct buf *out)
{
	char text[TOKEN_MAX_BYTES];
	struct token t;
	enum rc rc;

	if (!w->offline || w->who == NULL)
		return (RC_OK);
	t = token_of(w, TOKEN_REFRESH, now_ms, c->settings->token_refresh_ms);
	rc = token_make(auth_token_key(c->service->auth), &t, text);
	if (rc == RC_OK)
		buf_printf(out, ",\"refresh_token\":\"%s\"", text);
	return (rc);
}

static enum rc
answer_write(
    struct call *c, const struct wish *w, struct span granted, struct buf *out)
{
	int64_t now_ms = clock_real_ms(), life_ms = BEARER_MS;
	char text[TOKEN_MAX_BYTES], issued[CLOCK_ISO_BYTES];
	struct token t;
	enum rc rc;

	if (life_ms > c->settings->token_lifetime_ms)
		life_ms = c->settings->token_lifetime_ms;
	t = token_of(w, TOKEN_BEARER, now_ms, life_ms);
	t.scopes = granted;
	rc = token_make(auth_token_key(c->service->auth), &t, text);
	if (rc != RC_OK)
		return (call_fail(c, OCI_REQUEST_INVALID, NULL,
		    "too many scopes for one token; ask for fewer"));
	buf_printf(out,
	    "{\"token\":\"%s\",\"access_token\":\"%s\",\"expires_in\":%" PRId64
	    ",\"issued_at\":\"%s\"",
	    text, text, (t.expires_ms - now_ms + 999) / 1000,
	    clock_iso(now_ms, issued));
	rc = refresh_add(c, w, now_ms, out);
	buf_str(out, "}\n");
	return (rc);
}

static enum rc
give(struct call *c, const struct wish *w)
{
	struct buf granted, out;
	size_t i;
	enum rc rc;

	buf_init(&granted, SIZE_MAX);
	buf_init(&out, SIZE_MAX);
	for (i = 0; i < w->n_scopes; i++)
		grant(c, w->scopes[i], &granted);
	rc = answer_write(c, w, buf_as_span(&granted), &out);
	buf_free(&granted);
	http_response_header(c->answer, "Cache-Control", SPAN("no-store"));
	if (rc == RC_OK)
		return (call_json_secret(c, 200, "application/json", &out));
	buf_free(&out);
	return (rc);
}

/* --- GET ----------------------------------------------------------------- */

static enum rc
refuse_grant(struct call *c)
{
	return (call_fail(c, OCI_UNAUTHORIZED, NULL,
	    "authentication failed: the user name, password or token is wrong, "
	    "or no longer valid"));
}

static enum rc
no_tokens(struct call *c)
{
	return (call_fail(c, OCI_NOT_FOUND, NULL,
	    "there are no tokens: everybody may do everything here "
	    "(auth: none)"));
}

/*
 * The credentials are those of Basic, as at any other path, or a certificate;
 * a bearer token makes no other.  Only a password or a login token makes a
 * refresh token: those end with what they were got with.
 */
static enum rc
wish_of_sender(struct call *c, struct wish *w)
{
	struct span value = http_request_header(c->request, "Authorization");
	enum rc rc;

	if ((rc = identify_sender(c)) != RC_OK)
		return (rc);
	if (c->granted.p != NULL) {
		identify_challenge(c, NULL);
		return (call_fail(c, OCI_UNAUTHORIZED, NULL,
		    "a bearer token does not get another token: use the "
		    "credentials it was got with"));
	}
	if (c->who->kind != PRINCIPAL_USER)
		return (RC_OK);
	w->who = c->who;
	memcpy(w->mark, c->password_mark, sizeof(w->mark));
	if (value.n > 0 && c->expires_ms > 0)
		w->until_ms = c->expires_ms;
	w->offline = w->offline && value.n > 0;
	return (RC_OK);
}

enum rc
token_get(struct call *c)
{
	struct wish w = { .until_ms = INT64_MAX };
	struct span value;
	size_t i;
	enum rc rc;

	if (c->service->auth == NULL)
		return (no_tokens(c));
	w.offline = http_request_param(c->request, "offline_token", &value) &&
		    span_is(value, "true");
	if ((rc = wish_of_sender(c, &w)) != RC_OK)
		return (rc);
	for (i = 0; i < c->request->n_params; i++) {
		if (!span_is(c->request->params[i].key, "scope"))
			continue;
		rc = scopes_add(c, &w, c->request->params[i].value);
		if (rc != RC_OK)
			return (rc);
	}
	return (give(c, &w));
}

/* --- POST ---------------------------------------------------------------- */

uint64_t
token_body_max(const struct call *c)
{
	(void)c;
	return (FORM_MAX_BYTES);
}

/* By what is to be taken back when the form is over. */
static void
form_over(void *forms)
{
	atomic_fetch_sub((_Atomic unsigned *)forms, 1);
}

static bool
form_begin(struct call *c, _Atomic unsigned *forms, unsigned max)
{
	bool room = atomic_fetch_add(forms, 1) < max;

	arena_defer(c->arena, form_over, forms);
	return (room);
}

enum rc
token_post_begin(struct call *c)
{
	struct service *svc = c->service;
	/* Addresses may share a count, by chance. */
	size_t place = span_hash(c->request->client) % SERVICE_FORMS_FROM;

	if (form_begin(c, &svc->forms_from[place], FORMS_FROM_MAX) &&
	    form_begin(c, &svc->forms, FORMS_MAX))
		return (RC_OK);
	call_header(c, "Retry-After", "1");
	return (call_fail(c, OCI_UNAVAILABLE, NULL,
	    "more than %d token requests at once from one address, or %d in "
	    "all; try again",
	    FORMS_FROM_MAX, FORMS_MAX));
}

static struct span
form_value(const struct aws_form *f, const char *name)
{
	struct span value;

	return (aws_form_get(f, name, &value) ? value : SPAN_NONE);
}

static enum rc
wish_of_password(struct call *c, const struct aws_form *f, struct wish *w)
{
	struct span user = form_value(f, "username");
	struct span password = form_value(f, "password");
	enum rc rc;

	rc = identify_password(
	    c, user, password, &w->who, w->mark, &w->until_ms);
	w->offline = span_is(form_value(f, "access_type"), "offline");
	return (rc == RC_DENIED ? refuse_grant(c) : rc);
}

static enum rc
wish_of_refresh(struct call *c, const struct aws_form *f, struct wish *w)
{
	struct token_room *room = arena_alloc(c->arena, sizeof(*room));
	struct token t;

	if (room == NULL)
		return (RC_TOOBIG);
	if (token_read(auth_token_key(c->service->auth), 1u << TOKEN_REFRESH,
		form_value(f, "refresh_token"), room, &t) != RC_OK ||
	    directory_token(c->directory, &t, &w->who) != RC_OK)
		return (refuse_grant(c));
	if (token_expired(&t, clock_real_ms()))
		return (call_fail(c, OCI_DENIED, NULL,
		    "Your authorization token has expired. Reauthenticate and "
		    "try again."));
	memcpy(w->mark, t.password_mark, sizeof(w->mark));
	w->until_ms = t.expires_ms;
	return (RC_OK);
}

static enum rc
wish_of_form(struct call *c, const struct aws_form *f, struct wish *w)
{
	struct span type = form_value(f, "grant_type");

	if (span_is(type, "password"))
		return (wish_of_password(c, f, w));
	if (span_is(type, "refresh_token"))
		return (wish_of_refresh(c, f, w));
	return (call_fail(c, OCI_REQUEST_INVALID, NULL,
	    "grant_type is \"%.*s\"; expected password or refresh_token",
	    CALL_SHOW(type)));
}

enum rc
token_post(struct call *c)
{
	struct wish w = { .until_ms = INT64_MAX };
	struct aws_form f;
	size_t i;
	enum rc rc;

	if (c->service->auth == NULL)
		return (no_tokens(c));
	(void)identify_stale(c);
	if (aws_form_parse(c->body, c->arena, &f) != RC_OK)
		return (call_fail(
		    c, OCI_REQUEST_INVALID, NULL, "the body is not a form"));
	if ((rc = wish_of_form(c, &f, &w)) != RC_OK)
		return (rc);
	must(w.who != NULL);
	c->who = w.who;
	c->principal = w.who->arn;
	for (i = 0; i < f.n; i++)
		if (span_is(f.pairs[i].key, "scope") &&
		    (rc = scopes_add(c, &w, f.pairs[i].value)) != RC_OK)
			return (rc);
	return (give(c, &w));
}
