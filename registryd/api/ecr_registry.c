#include "auth/auth.h"
#include "auth/policy.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/obj.h"
#include "base/thread.h"
#include "registryd/api/ecr_int.h"
#include "registryd/registry_config.h"
#include "registryd/service.h"
#include "registryd/settings.h"

/*
 * PutRegistryPolicy, GetRegistryPolicy, DeleteRegistryPolicy.  The policy of
 * the registry lives with the identities, whose room changes it.  With
 * `auth: none` there is nobody in that room, and the same record is written
 * from here: it decides nothing until there is authentication.
 *
 * The account setting REGISTRY_POLICY_SCOPE says which actions it may be about;
 * whatever it says is obeyed in every request (registryd/authorize.h).  So the
 * setting and the policy change one at a time: neither is worked out from an
 * old state of the other.
 */
static pthread_mutex_t scope_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- what it may be about ------------------------------------------------ */

/* Scope V1 of a registry policy, which is ECR's default; V2 is all of ecr:, as
 * policy_parse() has it. */
static const struct span v1_actions[] = {
	SPAN_INIT("ecr:ReplicateImage"),
	SPAN_INIT("ecr:BatchImportUpstreamImage"),
	SPAN_INIT("ecr:CreateRepository"),
};

#define V1_WORDS \
	"expected ecr:ReplicateImage, ecr:BatchImportUpstreamImage or " \
	"ecr:CreateRepository (scope V1 of a registry policy); the account " \
	"setting REGISTRY_POLICY_SCOPE V2 allows all actions of ecr"

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
	return (ecr_policy_check(c, in, POLICY_REGISTRY));
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

/* The record, in the form that the auth room gives it. */
#define POLICY_RECORD SPAN("policy")
#define POLICY_TEXT "document"

static enum rc
policy_write(struct call *c, struct span text)
{
	char why[AUTH_WHY_BYTES];
	json_t *o;
	enum rc rc;

	if (c->service->auth != NULL)
		return (auth_registry_policy_set(c->service->auth, text, why));
	if (text.n == 0)
		return (registry_config_delete(
		    c->meta, ENTITY_REGISTRY, POLICY_RECORD, NULL));
	o = json_object();
	aws_put_text(o, POLICY_TEXT, text);
	rc = registry_config_put(
	    c->meta, ENTITY_REGISTRY, POLICY_RECORD, o, CONFIG_PUT, 0);
	json_decref(o);
	return (rc);
}

static enum rc
policy_set(struct call *c, struct span text)
{
	const char *scope = registry_setting(c->meta, "REGISTRY_POLICY_SCOPE");
	enum rc rc = RC_OK;

	if (strcmp(scope, "V1") == 0)
		rc = scope_check(c, text);
	return (rc == RC_OK ? policy_write(c, text) : rc);
}

enum rc
ecr_put_registry_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text = aws_string(in, "policyText");
	enum rc rc;

	mutex_lock(&scope_lock);
	rc = policy_set(c, text);
	mutex_unlock(&scope_lock);
	if (rc == RC_OK)
		policy_put(c, out, text);
	return (rc);
}

static enum rc
text_read(struct call *c, struct span *text_r)
{
	struct span text;
	json_t *o;
	enum rc rc;

	rc = registry_config_get(c->meta, ENTITY_REGISTRY, POLICY_RECORD, &o);
	if (rc != RC_OK)
		return (rc);
	rc = json_get_str(o, POLICY_TEXT, &text);
	if (rc == RC_OK)
		*text_r = arena_span(c->arena, text);
	json_decref(o);
	if (rc != RC_OK)
		return (RC_CORRUPT);
	return (text_r->p != NULL ? RC_OK : RC_TOOBIG);
}

enum rc
ecr_get_registry_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text;
	enum rc rc;

	(void)in;
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
	enum rc rc;

	if ((rc = ecr_get_registry_policy(c, in, out)) != RC_OK)
		return (rc);
	rc = policy_write(c, SPAN_NONE);
	return (rc == RC_NOTFOUND ? no_policy(c) : rc);
}

/* --- REGISTRY_POLICY_SCOPE ----------------------------------------------- */

/* Is the policy that there is, if any, within V1? */
static enum rc
narrow_check(struct call *c)
{
	struct span text;
	enum rc rc;

	rc = text_read(c, &text);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc == RC_OK && scope_check(c, text) == RC_OK)
		return (RC_OK);
	return (call_fail(c, AWS_VALIDATION, NULL,
	    "REGISTRY_POLICY_SCOPE cannot be set to V1 while the registry "
	    "policy is about other actions than V1 allows: delete it with "
	    "DeleteRegistryPolicy, or put one that is about "
	    "ecr:ReplicateImage, ecr:BatchImportUpstreamImage or "
	    "ecr:CreateRepository alone, before"));
}

enum rc
ecr_policy_scope_put(
    struct call *c, struct span scope, config_change_fn *change, void *arg)
{
	enum rc rc = RC_OK;

	mutex_lock(&scope_lock);
	if (span_is(scope, "V1"))
		rc = narrow_check(c);
	if (rc == RC_OK)
		rc = registry_config_update(c->meta, ENTITY_REGISTRY,
		    CONFIG_ACCOUNT_SETTINGS, change, arg);
	mutex_unlock(&scope_lock);
	return (rc);
}
