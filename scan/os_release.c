#include <string.h>

#include "scan/layer_int.h"

/*
 * os-release(5): assignments as a shell reads them, without its expansions.
 */

/* The value without its quotes and backslashes, and one line of text. */
static enum rc
value_take(struct arena *arena, struct span in, struct span *out_r)
{
	char quote = '\0', *p;
	size_t i, n = 0;

	if (in.n > PACKAGE_TEXT_MAX_BYTES)
		return (RC_TOOBIG);
	p = arena_alloc(arena, in.n + 1);
	if (p == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < in.n; i++) {
		if (quote != '\0' && in.p[i] == quote) {
			quote = '\0';
			continue;
		}
		if (quote == '\0' && (in.p[i] == '"' || in.p[i] == '\'')) {
			quote = in.p[i];
			continue;
		}
		if (in.p[i] == '\\' && quote != '\'' && i + 1 < in.n)
			i++;
		p[n++] =
		    (uint8_t)in.p[i] < ' ' || in.p[i] == '\x7f' ? ' ' : in.p[i];
	}
	*out_r = (struct span){ p, n };
	return (RC_OK);
}

static struct span *
member_of(struct os_release *os, struct span key)
{
	if (span_is(key, "ID"))
		return (&os->id);
	if (span_is(key, "VERSION_ID"))
		return (&os->version_id);
	if (span_is(key, "VERSION_CODENAME"))
		return (&os->codename);
	if (span_is(key, "PRETTY_NAME"))
		return (&os->pretty_name);
	return (NULL);
}

enum rc
os_release_read(struct span text, struct arena *arena, struct os_release *os_r)
{
	struct span line, key, *member;
	const char *equals;
	enum rc rc;

	*os_r = (struct os_release){ SPAN(""), SPAN(""), SPAN(""), SPAN("") };
	while (line_next(&text, &line)) {
		line = span_trim(line);
		equals = line.n > 0 ? memchr(line.p, '=', line.n) : NULL;
		if (equals == NULL)
			continue;
		key = (struct span){ line.p, (size_t)(equals - line.p) };
		member = member_of(os_r, key);
		if (member == NULL)
			continue;
		line = (struct span){ equals + 1, line.n - key.n - 1 };
		if ((rc = value_take(arena, line, member)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}
