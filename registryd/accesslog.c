#include "registryd/accesslog.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"

/* Room for what stands beside the target in a line, all of it bounded. */
#define FIELD_BYTES 256
#define TARGET_BYTES (ACCESSLOG_LINE_BYTES - 7 * FIELD_BYTES)

/* --- what may be shown --------------------------------------------------- */

/* Parameters of the API whose values tell no secret. */
static bool
param_shown(struct span key)
{
	static const char *const shown[] = { "after", "artifactType", "content",
		"digest", "dry-run", "from", "last", "mount", "n", "ns", "rate",
		"format", "reference", "repair", "repository", "scope",
		"service", "since", "tag" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(shown); i++)
		if (span_is(key, shown[i]))
			return (true);
	return (false);
}

static void
query_show(struct buf *out, struct span query)
{
	struct span param, key;
	const char *eq;
	char before = '?';

	while (span_split(&query, '&', &param)) {
		buf_char(out, before);
		before = '&';
		eq = param.n > 0 ? memchr(param.p, '=', param.n) : NULL;
		key = param;
		if (eq != NULL)
			key.n = (size_t)(eq - param.p);
		if (param_shown(key)) {
			buf_span(out, param);
			continue;
		}
		if (eq != NULL) {
			buf_span(out, key);
			buf_char(out, '=');
		}
		buf_str(out, "***");
	}
}

/* "http://user:password@host/" is refused, but somebody may send it. */
static struct span
without_userinfo(struct span target)
{
	const char *slashes, *at, *end;
	struct span rest;

	if (target.n == 0 || target.p[0] == '/')
		return (target);
	slashes = memmem(target.p, target.n, "//", 2);
	rest = target;
	if (slashes != NULL) {
		rest.p = slashes + 2;
		rest.n = target.n - (size_t)(rest.p - target.p);
	}
	end = rest.n > 0 ? memchr(rest.p, '/', rest.n) : NULL;
	if (end != NULL)
		rest.n = (size_t)(end - rest.p);
	at = rest.n > 0 ? memrchr(rest.p, '@', rest.n) : NULL;
	if (at == NULL)
		return (target);
	return (
	    (struct span){ at + 1, target.n - (size_t)(at + 1 - target.p) });
}

/* The target as it may be shown, cut to what a line can carry. */
static void
target_show(struct buf *out, struct span target)
{
	struct span query = SPAN_NONE;
	const char *mark;

	target = without_userinfo(target);
	mark = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;
	if (mark != NULL) {
		query.p = mark + 1;
		query.n = target.n - (size_t)(query.p - target.p);
		target.n = (size_t)(mark - target.p);
	}
	buf_span(out, target);
	query_show(out, query);
}

/* --- lines --------------------------------------------------------------- */

/* Printable ASCII but the quote and the backslash; the rest as \xNN.  At most
 * ${room} bytes, "..." at the end of what was cut. */
static void
text_add(struct buf *out, struct span s, size_t room)
{
	size_t i, from = out->n;
	unsigned char c;

	if (s.n == 0)
		buf_char(out, '-');
	for (i = 0; i < s.n; i++) {
		if (out->n - from + sizeof("\\xNN...") > room) {
			buf_str(out, "...");
			return;
		}
		c = (unsigned char)s.p[i];
		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			buf_printf(out, "\\x%02x", c);
		else
			buf_char(out, s.p[i]);
	}
}

/* A JSON string; one that may not fit is cut before it is escaped, which makes
 * six bytes of one at most. */
static void
json_add(struct buf *out, const char *name, struct span s, size_t room)
{
	struct span cut = { s.p, s.n < room / 6 ? s.n : room / 6 };
	size_t plain = 0;

	while (plain < s.n && s.p[plain] >= ' ' && s.p[plain] <= '~' &&
	       s.p[plain] != '"' && s.p[plain] != '\\')
		plain++;
	if (plain == s.n)
		cut.n = s.n < room ? s.n : room;
	buf_printf(out, ",\"%s\":", name);
	buf_json(out, cut);
}

static void
line_text(struct buf *out, const struct http_request *rq, struct span target,
    struct span principal, const char *operation, const struct http_outcome *o)
{
	buf_str(out, " access ");
	text_add(out, rq->client, FIELD_BYTES);
	buf_char(out, ' ');
	text_add(out, principal, FIELD_BYTES);
	buf_str(out, " \"");
	text_add(out, rq->method_text, FIELD_BYTES);
	buf_char(out, ' ');
	text_add(out, target, TARGET_BYTES);
	buf_printf(out, "\" %d in=%" PRIu64 " out=%" PRIu64, o->status,
	    o->bytes_in, o->bytes_out);
	buf_printf(out, " %" PRId64 ".%03" PRId64 "ms id=%s",
	    o->duration_us / 1000, o->duration_us % 1000,
	    rq->id[0] != '\0' ? rq->id : "-");
	if (operation != NULL)
		buf_printf(out, " operation=%s", operation);
	buf_str(out, o->aborted ? " aborted\n" : "\n");
}

static void
line_json(struct buf *out, const struct http_request *rq, struct span target,
    struct span principal, const char *operation, const struct http_outcome *o)
{
	json_add(out, "request_id", span_of(rq->id), FIELD_BYTES);
	json_add(out, "client", rq->client, FIELD_BYTES);
	json_add(out, "principal", principal, FIELD_BYTES);
	json_add(out, "method", rq->method_text, FIELD_BYTES);
	json_add(out, "path", target, TARGET_BYTES);
	if (operation != NULL)
		json_add(out, "operation", span_of(operation), FIELD_BYTES);
	buf_printf(out,
	    ",\"status\":%d,\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64,
	    o->status, o->bytes_in, o->bytes_out);
	buf_printf(out,
	    ",\"duration_ms\":%" PRId64 ".%03" PRId64 ",\"aborted\":%s}\n",
	    o->duration_us / 1000, o->duration_us % 1000,
	    o->aborted ? "true" : "false");
}

void
accesslog_format(enum access_log how, const struct http_request *rq,
    struct span principal, const char *operation, const struct http_outcome *o,
    int64_t now_ms, struct buf *out)
{
	char now[CLOCK_ISO_BYTES], room[TARGET_BYTES + 1];
	/* Room for its cap from the start, so it never allocates. */
	struct buf target = {
		.p = room,
		.room = sizeof(room),
		.cap_bytes = sizeof(room) - 1,
	};
	struct span sent = rq->target;
	bool cut = sent.n > TARGET_BYTES / 2;

	/* "***" may be longer than what it hides: half of the room is safe
	 * but for a client that sends nothing but "&a=&a=", whose line then
	 * ends where the room does. */
	if (cut)
		sent.n = TARGET_BYTES / 2;
	target_show(&target, sent);
	if (cut && buf_ok(&target))
		buf_str(&target, "...");
	buf_clear(out);
	clock_iso(now_ms, now);
	if (how == ACCESS_LOG_JSON) {
		buf_printf(out, "{\"time\":\"%s\",\"type\":\"access\"", now);
		line_json(
		    out, rq, buf_as_span(&target), principal, operation, o);
	} else {
		buf_str(out, now);
		line_text(
		    out, rq, buf_as_span(&target), principal, operation, o);
	}
}

void
accesslog_write(enum access_log how, const struct http_request *rq,
    struct span principal, const char *operation, const struct http_outcome *o)
{
	char room[ACCESSLOG_LINE_BYTES + 1];
	struct buf line = {
		.p = room,
		.room = sizeof(room),
		.cap_bytes = sizeof(room) - 1,
	};

	if (how == ACCESS_LOG_OFF)
		return;
	accesslog_format(
	    how, rq, principal, operation, o, clock_real_ms(), &line);
	must(buf_ok(&line));
	log_raw(line.p, line.n);
}
