#include <string.h>

#include "auth/policy_int.h"

/*
 * arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE, of which the last may hold
 * more colons.  Patterns are compared part by part.  Repositories have no
 * region here: what an ARN of ecr says for one is not looked at.
 */
void
policy_arn_split(struct span text, struct policy_arn *arn_r)
{
	struct span rest = text;
	const char *colon;
	size_t i;

	*arn_r = (struct policy_arn){ 0 };
	if (!span_has_prefix(rest, SPAN("arn:")))
		return;
	rest.p += 4;
	rest.n -= 4;
	for (i = 0; i < POLICY_ARN_RESOURCE; i++) {
		if ((colon = memchr(rest.p, ':', rest.n)) == NULL)
			return;
		arn_r->part[i] =
		    (struct span){ rest.p, (size_t)(colon - rest.p) };
		rest.n -= arn_r->part[i].n + 1;
		rest.p = colon + 1;
	}
	arn_r->part[POLICY_ARN_RESOURCE] = rest;
	arn_r->ok = true;
}

/* --- compiling ----------------------------------------------------------- */

/* How far it is to the next ':' that does not stand inside of a variable. */
static size_t
part_length(const struct policy_reader *r, struct span rest)
{
	bool inside = false;
	size_t i;

	for (i = 0; i < rest.n; i++) {
		if (inside)
			inside = rest.p[i] != '}';
		else if (rest.p[i] == ':')
			break;
		else
			inside = r->variables && rest.p[i] == '$' &&
				 i + 1 < rest.n && rest.p[i + 1] == '{';
	}
	return (i);
}

/*
 * Of all parts but the last: no more than such parts are made of, so that a
 * path in the wrong place is not taken for a region that nobody looks at.
 */
static bool
part_ok(const struct policy_reader *r, struct span part)
{
	bool inside = false;
	size_t i;
	char c;

	for (i = 0; i < part.n; i++) {
		c = part.p[i];
		if (inside) {
			inside = c != '}';
			continue;
		}
		inside = r->variables && c == '$' && i + 1 < part.n &&
			 part.p[i + 1] == '{';
		if (!inside &&
		    !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '-' || c == '*' || c == '?'))
			return (false);
	}
	return (true);
}

/* Cut ${text} into its parts; those that a last "*" covers are "*" too. */
static bool
parts_cut(const struct policy_reader *r, struct span text,
    struct span parts[POLICY_ARN_PARTS])
{
	struct span rest = text;
	size_t i;

	if (!span_has_prefix(rest, SPAN("arn:")))
		return (false);
	rest.p += 4;
	rest.n -= 4;
	for (i = 0; i < POLICY_ARN_RESOURCE; i++) {
		parts[i] = (struct span){ rest.p, part_length(r, rest) };
		if (!part_ok(r, parts[i]))
			return (false);
		if (parts[i].n == rest.n)
			break;
		rest.p += parts[i].n + 1;
		rest.n -= parts[i].n + 1;
	}
	if (i == POLICY_ARN_RESOURCE) {
		parts[i] = rest;
		return (rest.n > 0);
	}
	if (!span_is(parts[i], "*"))
		return (false);
	for (i++; i < POLICY_ARN_PARTS; i++)
		parts[i] = SPAN("*");
	return (true);
}

enum rc
policy_arn_compile(const struct policy_reader *r, struct span text,
    struct policy_arn_pattern *arn_r)
{
	struct span parts[POLICY_ARN_PARTS];
	enum rc rc;
	size_t i;

	*arn_r = (struct policy_arn_pattern){ 0 };
	if (span_is(text, "*")) {
		arn_r->any = true;
		return (RC_OK);
	}
	if (!parts_cut(r, text, parts))
		return (policy_refuse(r, text,
		    "must be \"*\" or an ARN, as "
		    "\"arn:aws:ecr:*:111122223333:repository/team/*\""));
	for (i = 0; i < POLICY_ARN_PARTS; i++) {
		rc = policy_pattern_compile(r, parts[i], true, &arn_r->part[i]);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* --- matching ------------------------------------------------------------ */

enum policy_found
policy_arn_match(const struct policy_arn_pattern *pattern,
    struct policy_asking *a, const struct policy_arn *arn)
{
	enum policy_found found, all = POLICY_YES;
	size_t i;
	bool ecr;

	if (pattern->any)
		return (POLICY_YES);
	if (!arn->ok)
		return (POLICY_NO);
	ecr = span_is(arn->part[POLICY_ARN_SERVICE], "ecr");
	/* The last part tells most. */
	for (i = POLICY_ARN_PARTS; i-- > 0;) {
		if (i == POLICY_ARN_REGION && ecr)
			continue;
		found = policy_pattern_match(
		    &pattern->part[i], a, arn->part[i], false);
		if (found == POLICY_NO)
			return (POLICY_NO);
		if (found < all)
			all = found;
	}
	return (all);
}
