#include "auth/auth.h"
#include "auth/policy.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * PutRegistryPolicy, GetRegistryPolicy, DeleteRegistryPolicy.  The policy of
 * the registry lives with the identities; with `auth: none` there are none,
 * and a policy would decide nothing: it is refused rather than forgotten.
 */

/* The policy of up to POLICY_TEXT_MAX_BYTES, as a JSON string. */
#define ANSWER_MAX_BYTES ((size_t)128 * 1024)

/* --- what it may be about ------------------------------------------------ */

/* Scope V1 of a registry policy, which is ECR's default. */
static const struct span v1_actions[] = {
	SPAN_INIT("ecr:ReplicateImage"),
	SPAN_INIT("ecr:BatchImportUpstreamImage"),
	SPAN_INIT("ecr:CreateRepository"),
};

#define V1_WORDS \
	"expected ecr:ReplicateImage, ecr:BatchImportUpstreamImage or " \
	"ecr:CreateRepository (scope V1 of a registry policy)"

static bool
v1_action_ok(const json_t *v)
{
	struct span text = { json_string_value(v), json_string_length(v) };
	size_t i;

	for (i = 0; i < ARRAY_LEN(v1_actions); i++)
		if (span_eq_nocase(text, v1_actions[i]))
			return (true);
	return (false);
}

static enum rc
scope_refuse(struct call *c, size_t n, const char *element, const json_t *v)
{
	struct span shown = { json_string_value(v), json_string_length(v) };

	return (call_fail(c, AWS_INVALID_PARAMETER, NULL,
	    "Invalid parameter at 'PolicyText' failed to satisfy constraint: "
	    "'Invalid registry policy provided': statement %zu: %s: "
	    "\"%.*s\": " V1_WORDS,
	    n, element, CALL_SHOW(shown)));
}

static enum rc
statement_scope(struct call *c, size_t n, const json_t *statement)
{
	const json_t *actions = json_object_get(statement, "Action");
	size_t i;

	if (actions == NULL)
		return (scope_refuse(c, n, "NotAction", NULL));
	if (json_is_string(actions))
		return (v1_action_ok(actions)
			    ? RC_OK
			    : scope_refuse(c, n, "Action", actions));
	for (i = 0; i < json_array_size(actions); i++)
		if (!v1_action_ok(json_array_get(actions, i)))
			return (scope_refuse(
			    c, n, "Action", json_array_get(actions, i)));
	return (RC_OK);
}

/* Of a text that policy_parse() took: statements are objects, one or many. */
static enum rc
scope_check(struct call *c, struct span text)
{
	char why[JSON_ERROR_BYTES];
	const json_t *statements;
	json_t *doc;
	size_t i, n;
	enum rc rc;

	if ((rc = json_read(text, why, &doc)) != RC_OK)
		return (rc);
	statements = json_object_get(doc, "Statement");
	if (json_is_object(statements))
		rc = statement_scope(c, 1, statements);
	n = json_array_size(statements);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = statement_scope(c, i + 1, json_array_get(statements, i));
	json_decref(doc);
	return (rc);
}

enum rc
ecr_put_registry_policy_check(struct call *c, const json_t *in)
{
	enum rc rc;

	rc = ecr_policy_check(c, in, POLICY_REGISTRY);
	return (
	    rc == RC_OK ? scope_check(c, aws_string(in, "policyText")) : rc);
}

/* --- the operations ------------------------------------------------------ */

static enum rc
no_policy(struct call *c)
{
	return (call_fail(c, AWS_REGISTRY_POLICY_NOT_FOUND, NULL,
	    "Registry policy does not exist in the registry with id '%s'",
	    c->settings->account_id));
}

static void
policy_put(struct call *c, json_t *out, struct span text)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "policyText", text);
}

enum rc
ecr_put_registry_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text = aws_string(in, "policyText");
	char why[AUTH_WHY_BYTES];
	enum rc rc;

	if (c->service->auth == NULL)
		return (call_fail(c, AWS_VALIDATION, NULL,
		    "this registry runs with auth: none, where everybody may "
		    "do everything and a registry policy decides nothing"));
	rc = auth_registry_policy_set(c->service->auth, text, why);
	if (rc == RC_OK)
		policy_put(c, out, text);
	return (rc);
}

static enum rc
text_of(const json_t *policy, struct arena *arena, struct span *text_r)
{
	struct span text;
	enum rc rc;

	rc = json_get_str(policy, "Document", &text);
	if (rc != RC_OK)
		return (rc);
	*text_r = arena_span(arena, text);
	return (text_r->p != NULL ? RC_OK : RC_TOOBIG);
}

/* Its text is in the hands of the room that keeps it. */
static enum rc
text_read(struct call *c, struct span *text_r)
{
	char why[AUTH_WHY_BYTES];
	json_t *request, *doc = NULL;
	struct buf answer;
	enum rc rc;

	request = json_pack("{s:s}", "op", "registry-policy-get");
	buf_init(&answer, ANSWER_MAX_BYTES);
	rc = auth_admin(c->service->auth, request, &answer, why);
	if (rc == RC_OK)
		rc = json_read(buf_as_span(&answer), why, &doc);
	if (rc == RC_OK)
		rc = text_of(json_object_get(doc, "Policy"), c->arena, text_r);
	json_decref(doc);
	json_decref(request);
	buf_free(&answer);
	return (rc);
}

enum rc
ecr_get_registry_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text;
	enum rc rc = RC_NOTFOUND;

	(void)in;
	if (c->service->auth != NULL)
		rc = text_read(c, &text);
	if (rc == RC_NOTFOUND)
		return (no_policy(c));
	if (rc == RC_OK)
		policy_put(c, out, text);
	return (rc);
}

enum rc
ecr_delete_registry_policy(struct call *c, const json_t *in, json_t *out)
{
	char why[AUTH_WHY_BYTES];
	enum rc rc;

	if ((rc = ecr_get_registry_policy(c, in, out)) != RC_OK)
		return (rc);
	rc = auth_registry_policy_set(c->service->auth, SPAN_NONE, why);
	return (rc == RC_NOTFOUND ? no_policy(c) : rc);
}
