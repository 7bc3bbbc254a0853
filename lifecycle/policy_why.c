#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "lifecycle/policy_int.h"

/*
 * A reason begins with ECR's words, as clients and scripts know them; what
 * they leave open, which rule and which member, follows in parentheses.
 */
#define SHOWN_BYTES ((size_t)64)

void
lifecycle_say(struct lifecycle_reader *r, const char *fmt, ...)
{
	size_t room = LIFECYCLE_WHY_BYTES - r->why_n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->why + r->why_n, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		r->why_n += (size_t)n < room ? (size_t)n : room - 1;
}

/* One line, cut between characters. */
static size_t
shorten(struct span s, char out[SHOWN_BYTES + 4])
{
	size_t i, n = s.n;

	if (n > SHOWN_BYTES) {
		n = SHOWN_BYTES;
		while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
			n--;
	}
	for (i = 0; i < n; i++)
		out[i] = (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f
			     ? '?'
			     : s.p[i];
	if (n < s.n) {
		memset(out + n, '.', 3);
		n += 3;
	}
	return (n);
}

void
lifecycle_say_text(struct lifecycle_reader *r, struct span s)
{
	char text[SHOWN_BYTES + 4];

	lifecycle_say(r, "%.*s", (int)shorten(s, text), text);
}

void
lifecycle_say_json(struct lifecycle_reader *r, struct span s)
{
	char text[SHOWN_BYTES + 4];
	struct buf quoted;

	buf_init(&quoted, LIFECYCLE_WHY_BYTES);
	buf_json(&quoted, (struct span){ text, shorten(s, text) });
	lifecycle_say(r, SPAN_FMT, SPAN_ARG(buf_as_span(&quoted)));
	buf_free(&quoted);
}

/* "rules[2].selection.countType"; as deep as the schema is. */
static void
say_place(struct lifecycle_reader *r, const struct lifecycle_place *at)
{
	if (at->up != NULL)
		say_place(r, at->up);
	if (at->key == NULL)
		lifecycle_say(r, "[%zu]", at->index);
	else
		lifecycle_say(r, "%s%s", at->up != NULL ? "." : "", at->key);
}

enum rc
lifecycle_refuse(struct lifecycle_reader *r, const struct lifecycle_place *at,
    const char *hint)
{
	if (at == NULL && hint == NULL)
		return (RC_INVALID);
	lifecycle_say(r, " (");
	if (at != NULL) {
		lifecycle_say(r, "at ");
		say_place(r, at);
	}
	if (r->priority > 0)
		lifecycle_say(r, ", rulePriority %lld", (long long)r->priority);
	if (hint != NULL)
		lifecycle_say(r, "%s%s", at != NULL ? ": " : "", hint);
	lifecycle_say(r, ")");
	return (RC_INVALID);
}

/* Of what is UTF-8; of anything else the parser tells. */
static size_t
characters(struct span s)
{
	size_t i, n = 0;

	for (i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return (n);
}

enum rc
lifecycle_policy_size_check(struct span text, char why[LIFECYCLE_WHY_BYTES])
{
	size_t n = characters(text);

	why[0] = '\0';
	if (n >= LIFECYCLE_POLICY_MIN && n <= LIFECYCLE_POLICY_MAX)
		return (RC_OK);
	(void)snprintf(why, LIFECYCLE_WHY_BYTES,
	    "a policy has from %d to %d characters, and this one has %zu",
	    LIFECYCLE_POLICY_MIN, LIFECYCLE_POLICY_MAX, n);
	return (RC_INVALID);
}
