#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/obj.h"
#include "mirror/challenge.h"
#include "mirror/upstream_int.h"

/*
 * What went wrong, for people: "HOST: what was asked for: what it said".  What
 * a registry says is repeated with a limit, and without what would move the
 * cursor of a terminal or begin a line of a log.
 */
#define BODY_MAX_BYTES ((size_t)8192)
#define BODY_MAX_MS 5000

void
error_clear(struct upstream_error *e)
{
	e->status = 0;
	e->retry_after_s = 0;
	e->elsewhere = false;
	e->why[0] = '\0';
}

enum rc
error_say(struct upstream *u, struct upstream_error *e, const char *what,
    enum rc rc, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	(void)snprintf(e->why, sizeof(e->why), "%s: %s%s", u->url.host,
	    what != NULL ? what : "", what != NULL ? ": " : "");
	n = strlen(e->why);
	va_start(ap, fmt);
	(void)vsnprintf(e->why + n, sizeof(e->why) - n, fmt, ap);
	va_end(ap);
	return (rc);
}

enum rc
error_fetch(struct upstream *u, struct upstream_error *e, const char *what,
    enum rc rc, const char *why)
{
	size_t n = strlen(u->url.host);

	/* It names the host first, which is often the registry. */
	if (strncmp(why, u->url.host, n) == 0 && why[n] == ':' &&
	    why[n + 1] == ' ')
		why += n + 2;
	return (error_say(u, e, what, rc, "%s", why));
}

enum rc
error_cancelled(struct upstream *u, struct upstream_error *e, const char *what)
{
	return (error_say(u, e, what, RC_CANCELLED, "cancelled"));
}

bool
error_passes(enum rc rc, int status)
{
	if (status != 0)
		return (status == 429 || status == 500 || status == 502 ||
			status == 503 || status == 504);
	return (rc == RC_IO || rc == RC_TIMEOUT || rc == RC_LIMIT);
}

/* --- bodies -------------------------------------------------------------- */

/* Control characters are those below SP, DEL, and in UTF-8 C2 80 to C2 9F. */
static void
words_copy(struct span s, char *out, size_t room)
{
	size_t i, n = 0;

	for (i = 0; i < s.n && n + 1 < room; i++) {
		if ((unsigned char)s.p[i] == 0xc2 && i + 1 < s.n &&
		    (unsigned char)s.p[i + 1] < 0xa0)
			i++;
		else if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			out[n++] = ' ';
		else
			out[n++] = s.p[i];
	}
	/* Not half a character at the cut. */
	while (i < s.n && n > 0 && ((unsigned char)s.p[i] & 0xc0) == 0x80) {
		i--;
		n--;
	}
	out[n] = '\0';
}

static void
member_copy(const json_t *o, const char *const *names, size_t n_names,
    char *out, size_t room)
{
	struct span s;
	size_t i;

	for (i = 0; i < n_names && out[0] == '\0'; i++)
		if (json_get_str(o, names[i], &s) == RC_OK)
			words_copy(s, out, room);
}

void
error_text(struct span text, char code[ANSWER_CODE_BYTES],
    char message[ERROR_MESSAGE_BYTES])
{
	/* Of registries, of token services, of OAuth 2, of AWS. */
	static const char *const codes[] = { "code", "error", "__type" };
	static const char *const messages[] = { "message", "details",
		"error_description", "Message" };
	char why[JSON_ERROR_BYTES];
	json_t *doc, *errors;
	const json_t *first;
	const char *behind;

	code[0] = message[0] = '\0';
	if (text.n == 0 || json_read(text, why, &doc) != RC_OK)
		return;
	first = doc;
	if (json_get_array(doc, "errors", &errors) == RC_OK &&
	    json_array_size(errors) > 0)
		first = json_array_get(errors, 0);
	member_copy(first, codes, ARRAY_LEN(codes), code, ANSWER_CODE_BYTES);
	member_copy(
	    first, messages, ARRAY_LEN(messages), message, ERROR_MESSAGE_BYTES);
	if ((behind = strrchr(code, '#')) != NULL)
		memmove(code, behind + 1, strlen(behind + 1) + 1);
	json_decref(doc);
}

static void
body_read(struct answer *a, char message[ERROR_MESSAGE_BYTES])
{
	int64_t until_ns = clock_mono_ns() + BODY_MAX_MS * UPSTREAM_NS_PER_MS;
	char text[BODY_MAX_BYTES], why[FETCH_WHY_BYTES];
	size_t n = 0, got = 1;

	while (got > 0 && n < sizeof(text) && clock_mono_ns() < until_ns)
		if (fetch_read(a->f, text + n, sizeof(text) - n, &got, why) !=
		    RC_OK)
			break;
		else
			n += got;
	error_text((struct span){ text, n }, a->code, message);
}

/* --- answers ------------------------------------------------------------- */

static enum rc
status_rc(int status)
{
	if (status == 401 || status == 403)
		return (RC_DENIED);
	if (status == 404 || status == 410)
		return (RC_NOTFOUND);
	if (status == 405 || status == 501)
		return (RC_UNSUPPORTED);
	if (status == 408)
		return (RC_TIMEOUT);
	if (status == 413)
		return (RC_TOOBIG);
	if (status == 429)
		return (RC_LIMIT);
	if (status >= 500)
		return (RC_IO);
	return (status >= 400 && status != 416 ? RC_FAILED : RC_INVALID);
}

static void
pause_read(struct answer *a, struct upstream_error *e)
{
	struct span value = fetch_header(a->f, "Retry-After");
	int64_t ms = -1;

	if (value.p != NULL &&
	    retry_after_parse(value, clock_real_ms(), &ms) != RC_OK)
		ms = -1;
	if (a->status == 429)
		ms = gate_refused(a->u, ms);
	if (ms >= 0 && (a->status == 429 || a->status == 503))
		e->retry_after_s = (unsigned)((ms + 999) / 1000);
}

static void
size_read(struct answer *a)
{
	struct span value = fetch_header(a->f, "Content-Range");
	uint64_t first, last;

	a->has_size = a->status == 416 &&
		      content_range_parse(
			  value, &first, &last, &a->size_bytes) == RC_OK &&
		      a->size_bytes != UINT64_MAX;
}

/* An answer to HEAD has no words of its own. */
static void
words_find(const struct answer *a, char message[ERROR_MESSAGE_BYTES])
{
	const char *words = "";

	if (a->code[0] != '\0' || message[0] != '\0')
		return;
	if (a->status == 404)
		words = "there is no such thing";
	else if (a->status == 403)
		words = "who asks may not";
	(void)snprintf(message, ERROR_MESSAGE_BYTES, "%s", words);
}

enum rc
error_answered(struct answer *a, const char *what, struct upstream_error *e)
{
	char message[ERROR_MESSAGE_BYTES], from[FETCH_WHY_BYTES] = "";

	body_read(a, message);
	words_find(a, message);
	pause_read(a, e);
	size_read(a);
	e->status = a->status;
	if (strcmp(a->url.origin, a->u->url.origin) != 0)
		(void)snprintf(from, sizeof(from), " from %s, where it led us",
		    a->url.host);
	return (error_say(a->u, e, what, status_rc(a->status),
	    "it answered %d%s%s%s%s%s", a->status, from,
	    a->code[0] != '\0' ? " " : "", a->code,
	    message[0] != '\0' ? ": " : "", message));
}
