#include "registryd/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/obj.h"
#include "registryd/encryption.h"
#include "registryd/route.h"
#include "registryd/settings.h"

/* The longest path that is ever a Location: two names and a digest. */
#define LOCATION_BYTES 1024

/* vsnprintf() into the arena; NULL past its cap. */
__attribute__((format(printf, 2, 0))) static char *
arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *out;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0)
		return (NULL);
	out = arena_alloc(a, (size_t)n + 1);
	if (out != NULL)
		(void)vsnprintf(out, (size_t)n + 1, fmt, ap);
	return (out);
}

enum rc
call_fail(
    struct call *c, enum api_error error, json_t *detail, const char *fmt, ...)
{
	va_list ap;
	char *text;

	must(error != API_OK);
	c->error = error;
	va_start(ap, fmt);
	c->message = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	c->detail = NULL;
	if (detail != NULL) {
		text = json_dumps(detail, JSON_COMPACT | JSON_ENCODE_ANY);
		if (text != NULL)
			c->detail = arena_printf(c->arena, "%s", text);
		free(text);
		json_decref(detail);
	}
	return (RC_FAILED);
}

static enum rc
fail_for_now(struct call *c, enum rc rc, const char *what)
{
	call_header(c, "Retry-After", "1");
	return (call_fail(
	    c, OCI_UNAVAILABLE, NULL, "%s: %s; try again", what, rc_text(rc)));
}

enum rc
call_fail_rc(struct call *c, enum rc rc, const char *what)
{
	must(rc != RC_OK);
	if (rc == RC_FAILED && c->error != API_OK)
		return (RC_FAILED);
	if (rc == RC_LOCKED)
		return (encryption_locked(c, what));
	if (rc == RC_NOSPACE)
		return (call_fail(c, OCI_INSUFFICIENT_STORAGE, NULL,
		    "%s: no space left on the server", what));
	if (rc == RC_LIMIT || rc == RC_BUSY)
		return (fail_for_now(c, rc, what));
	if (rc == RC_READONLY)
		return (call_fail(c, OCI_UNAVAILABLE, NULL,
		    "%s: the registry is read-only", what));
	if (rc == RC_TOOBIG)
		return (call_fail(c, OCI_TOO_LARGE, NULL,
		    "%s: larger than the configured limit", what));
	return (call_fail(c, OCI_INTERNAL, NULL,
	    "%s: internal error; the server's log says more (request %s)", what,
	    c->request->id));
}

/* Jansson takes only UTF-8; what is not becomes U+FFFD. */
json_t *
call_text(struct span s)
{
	json_t *text;
	struct buf b;

	text = json_stringn(s.p != NULL ? s.p : "", s.n);
	if (text != NULL)
		return (text);
	buf_init(&b, SIZE_MAX);
	buf_json(&b, s);
	text = json_loadb(b.p, b.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	buf_free(&b);
	return (text);
}

json_t *
call_detail(const char *key, struct span value)
{
	return (json_pack("{s:o}", key, call_text(value)));
}

void
call_header(struct call *c, const char *name, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = arena_vprintf(c->arena, fmt, ap);
	va_end(ap);
	if (text != NULL)
		http_response_header(c->answer, name, span_of(text));
}

void
call_location(struct call *c, const char *fmt, ...)
{
	struct span base = span_of(c->settings->external_url);
	char path[LOCATION_BYTES];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	must(n > 0 && (size_t)n < sizeof(path));
	/* It has no name that others know it by. */
	if (c->x->role == ROLE_CONTROL)
		base.n = 0;
	while (base.n > 0 && base.p[base.n - 1] == '/')
		base.n--;
	call_header(c, "Location", SPAN_FMT "%s", SPAN_ARG(base), path);
}

void
call_digest_header(struct call *c, const struct digest *d)
{
	char *text;

	text = arena_alloc(c->arena, DIGEST_STR_BYTES);
	if (text != NULL)
		http_response_header(c->answer, "Docker-Content-Digest",
		    span_of(digest_str(d, text)));
}

void
call_json(struct call *c, int status, const char *type, struct span text)
{
	c->answer->status = status;
	http_response_memory(c->answer, type, text);
}

enum rc
call_json_take(struct call *c, int status, const char *type, struct buf *text)
{
	size_t n;
	char *p;

	p = buf_take(text, &n);
	if (p == NULL)
		return (RC_TOOBIG);
	arena_defer(c->arena, free, p);
	call_json(c, status, type, (struct span){ p, n });
	return (RC_OK);
}

/* An answer with a secret in it. */
struct secret {
	char *p;
	size_t n;
};

static void
secret_free(void *arg)
{
	struct secret *s = arg;

	mem_wipe(s->p, s->n);
	free(s->p);
	free(s);
}

enum rc
call_json_secret(struct call *c, int status, const char *type, struct buf *text)
{
	struct secret *s = xcalloc(1, sizeof(*s));

	s->p = buf_take(text, &s->n);
	if (s->p == NULL) {
		free(s);
		return (RC_TOOBIG);
	}
	arena_defer(c->arena, secret_free, s);
	call_json(c, status, type, (struct span){ s->p, s->n });
	return (RC_OK);
}
