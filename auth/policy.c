#include "auth/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/policy_int.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * The document around the statements, and what all its readers share: how a
 * refusal is told and how "x or a list of x" is walked.
 *
 * A text of POLICY_TEXT_MAX_BYTES compiles to a few MiB at worst (ARNs that are
 * short for six patterns); the cap is above that.
 */
#define POLICY_ARENA_BYTES ((size_t)4 << 20)
#define SHOWN_BYTES ((size_t)80)

/* --- telling why --------------------------------------------------------- */

/* What of a client's text is repeated to it: one line, cut between
 * characters. */
static const char *
shown(struct span s, char out[SHOWN_BYTES + 4])
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
	memcpy(out + n, n < s.n ? "..." : "", n < s.n ? 4 : 1);
	return (out);
}

/* "statement 2 (\"AllowPull\"): Action: " */
static size_t
say_where(const struct policy_reader *r, char *out, size_t room)
{
	char sid[SHOWN_BYTES + 4], element[SHOWN_BYTES + 4];
	int n = 0;

	out[0] = '\0';
	if (r->statement > 0 && r->sid != NULL)
		n = snprintf(out, room,
		    "statement %zu (\"%s\"): ", r->statement,
		    shown(span_of(r->sid), sid));
	else if (r->statement > 0)
		n = snprintf(out, room, "statement %zu: ", r->statement);
	if (r->element != NULL)
		n += snprintf(out + n, room - (size_t)n,
		    "%s: ", shown(span_of(r->element), element));
	return ((size_t)n);
}

enum rc
policy_refuse(
    const struct policy_reader *r, struct span value, const char *text)
{
	char value_shown[SHOWN_BYTES + 4];
	size_t n;

	n = say_where(r, r->why, POLICY_WHY_BYTES);
	if (value.p != NULL)
		(void)snprintf(r->why + n, POLICY_WHY_BYTES - n, "\"%s\" %s",
		    shown(value, value_shown), text);
	else
		(void)snprintf(r->why + n, POLICY_WHY_BYTES - n, "%s", text);
	return (RC_INVALID);
}

enum rc
policy_refuse_json(
    const struct policy_reader *r, const json_t *value, const char *text)
{
	char value_shown[SHOWN_BYTES + 4];
	char *dump;
	size_t n;

	if (json_is_string(value))
		return (policy_refuse(r,
		    (struct span){
			json_string_value(value), json_string_length(value) },
		    text));
	dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	n = say_where(r, r->why, POLICY_WHY_BYTES);
	(void)snprintf(r->why + n, POLICY_WHY_BYTES - n, "%s %s",
	    shown(span_of(dump != NULL ? dump : "?"), value_shown), text);
	free(dump);
	return (RC_INVALID);
}

enum rc
policy_refuse_size(const struct policy_reader *r)
{
	(void)policy_refuse(r, SPAN_NONE, "too much for one policy");
	return (RC_TOOBIG);
}

/* --- "x" or ["x", "y"] --------------------------------------------------- */

size_t
policy_list_size(const json_t *v)
{
	return (json_is_array(v) ? json_array_size(v) : 1);
}

const json_t *
policy_list_at(const json_t *v, size_t i)
{
	return (json_is_array(v) ? json_array_get(v, i) : v);
}

enum rc
policy_list_str(
    const struct policy_reader *r, const json_t *v, size_t i, struct span *s_r)
{
	const json_t *item = policy_list_at(v, i);

	if (!json_is_string(item))
		return (policy_refuse_json(r, item, "must be a string"));
	*s_r =
	    (struct span){ json_string_value(item), json_string_length(item) };
	return (RC_OK);
}

enum rc
policy_list_alloc(const struct policy_reader *r, const json_t *v,
    size_t size_bytes, void *array_r, size_t *n_r)
{
	void *array;

	if (policy_list_size(v) == 0)
		return (policy_refuse(r, SPAN_NONE, "an empty list"));
	array = arena_calloc(r->arena, policy_list_size(v), size_bytes);
	if (array == NULL)
		return (policy_refuse_size(r));
	memcpy(array_r, &array, sizeof(array));
	*n_r = policy_list_size(v);
	return (RC_OK);
}

/* --- the document -------------------------------------------------------- */

static enum rc
version_read(struct policy_reader *r, const json_t *v)
{
	/* So says IAM where nothing is said. */
	if (v == NULL)
		return (RC_OK);
	r->element = "Version";
	if (json_is_string(v) &&
	    strcmp(json_string_value(v), "2012-10-17") == 0)
		r->variables = true;
	else if (!json_is_string(v) ||
		 strcmp(json_string_value(v), "2008-10-17") != 0)
		return (policy_refuse_json(
		    r, v, "must be \"2012-10-17\" or \"2008-10-17\""));
	r->element = NULL;
	return (RC_OK);
}

static enum rc
members_check(struct policy_reader *r, const json_t *doc)
{
	const char *key;
	json_t *v;

	if (!json_is_object(doc))
		return (
		    policy_refuse(r, SPAN_NONE, "a policy is a JSON object"));
	json_object_foreach((json_t *)doc, key, v)
	{
		if (strcmp(key, "Version") != 0 && strcmp(key, "Id") != 0 &&
		    strcmp(key, "Statement") != 0)
			return (policy_refuse(r, span_of(key),
			    "is not an element of a policy: these are "
			    "Version, Id and Statement"));
	}
	v = json_object_get(doc, "Id");
	r->element = "Id";
	if (v != NULL && !json_is_string(v))
		return (policy_refuse_json(r, v, "must be a string"));
	r->element = NULL;
	return (version_read(r, json_object_get(doc, "Version")));
}

/* Few have one, so that all pairs are looked at. */
static enum rc
sid_check(struct policy_reader *r, const struct policy *p, size_t i)
{
	const char *sid = p->statements[i].sid;
	size_t k;

	for (k = 0; k < i && sid != NULL; k++) {
		if (p->statements[k].sid == NULL ||
		    strcmp(p->statements[k].sid, sid) != 0)
			continue;
		r->element = "Sid";
		return (policy_refuse(
		    r, span_of(sid), "is the Sid of an earlier statement too"));
	}
	return (RC_OK);
}

static enum rc
statements_read(struct policy_reader *r, struct policy *p, const json_t *v)
{
	enum rc rc;
	size_t i;

	r->element = "Statement";
	if (v == NULL)
		return (policy_refuse(r, SPAN_NONE, "missing"));
	rc = policy_list_alloc(
	    r, v, sizeof(*p->statements), &p->statements, &p->n_statements);
	if (rc != RC_OK)
		return (rc);
	for (i = 0; i < p->n_statements; i++) {
		r->statement = i + 1;
		r->sid = r->element = NULL;
		rc = policy_statement_read(
		    r, policy_list_at(v, i), &p->statements[i]);
		if (rc == RC_OK)
			rc = sid_check(r, p, i);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

enum rc
policy_parse(enum policy_kind kind, struct span text,
    char why[POLICY_WHY_BYTES], struct policy **policy_r)
{
	char json_why[JSON_ERROR_BYTES];
	struct policy_reader r = { .kind = kind, .why = why };
	struct policy *p;
	json_t *doc;
	enum rc rc;

	*policy_r = NULL;
	why[0] = '\0';
	if (text.n > POLICY_TEXT_MAX_BYTES) {
		(void)snprintf(why, POLICY_WHY_BYTES,
		    "%zu bytes: a policy has at most %d", text.n,
		    POLICY_TEXT_MAX_BYTES);
		return (RC_TOOBIG);
	}
	if ((rc = json_read(text, json_why, &doc)) != RC_OK) {
		(void)snprintf(
		    why, POLICY_WHY_BYTES, "not valid JSON: %s", json_why);
		return (rc);
	}
	p = xcalloc(1, sizeof(*p));
	atomic_init(&p->refs, 1);
	arena_init(&p->arena, POLICY_ARENA_BYTES);
	r.arena = &p->arena;
	if ((rc = members_check(&r, doc)) == RC_OK)
		rc = statements_read(&r, p, json_object_get(doc, "Statement"));
	json_decref(doc);
	if (rc == RC_OK)
		*policy_r = p;
	else
		policy_unref(&p);
	return (rc);
}

struct policy *
policy_ref(struct policy *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return (p);
}

void
policy_unref(struct policy **p_r)
{
	struct policy *p;

	if (p_r == NULL || (p = *p_r) == NULL)
		return;
	*p_r = NULL;
	if (atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	arena_reset(&p->arena);
	free(p);
}

size_t
policy_statements(const struct policy *p)
{
	return (p->n_statements);
}

const char *
policy_sid(const struct policy *p, size_t statement)
{
	if (statement == 0 || statement > p->n_statements)
		return (NULL);
	return (p->statements[statement - 1].sid);
}
