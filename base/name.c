#include "base/name.h"

#include <string.h>

static bool
is_lower_alnum(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'));
}

static bool
is_alnum(char c)
{
	return (is_lower_alnum(c) || (c >= 'A' && c <= 'Z'));
}

/* Bytes of the separator at the front of ${s}: "." / "_" / "__" / "-"+ */
static size_t
separator_len(struct span s)
{
	size_t n = 0;

	if (s.p[0] == '.')
		return (1);
	if (s.p[0] == '_')
		return (s.n > 1 && s.p[1] == '_' ? 2 : 1);
	while (n < s.n && s.p[n] == '-')
		n++;
	return (n);
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool
component_ok(struct span s)
{
	bool word = false;
	size_t n;

	while (s.n > 0) {
		if (is_lower_alnum(s.p[0])) {
			word = true;
			n = 1;
		} else {
			n = word ? separator_len(s) : 0;
			word = false;
		}
		if (n == 0)
			return (false);
		s.p += n;
		s.n -= n;
	}
	return (word);
}

bool
name_repository_ok(struct span s)
{
	struct span part;

	if (s.n == 0 || s.n > NAME_REPOSITORY_MAX_BYTES)
		return (false);
	if (s.p[s.n - 1] == '/')
		return (false);
	while (span_split(&s, '/', &part))
		if (!component_ok(part))
			return (false);
	return (true);
}

bool
name_tag_ok(struct span s)
{
	size_t i;

	if (s.n == 0 || s.n > NAME_TAG_MAX_BYTES)
		return (false);
	if (!is_alnum(s.p[0]) && s.p[0] != '_')
		return (false);
	for (i = 1; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && s.p[i] != '.' &&
		    s.p[i] != '-')
			return (false);
	return (true);
}

enum rc
reference_parse(struct span s, struct reference *ref_r)
{
	*ref_r = (struct reference){ .is_digest = false };
	if (s.n > 0 && memchr(s.p, ':', s.n) != NULL) {
		ref_r->is_digest = true;
		return (digest_parse(s, &ref_r->digest));
	}
	if (!name_tag_ok(s))
		return (RC_INVALID);
	ref_r->tag = s;
	return (RC_OK);
}
