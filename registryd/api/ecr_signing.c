#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/*
 * Managed signing: its configuration is kept and shown; nothing is signed in
 * this version, and the status of each image says so.
 */

/* --- the configuration --------------------------------------------------- */

enum rc
ecr_put_signing_configuration_check(struct call *c, const json_t *in)
{
	const json_t *o = aws_member(in, "signingConfiguration");
	size_t n = json_array_size(aws_member(o, "rules"));
	unsigned max = c->settings->quotas.signing_rules;

	if (max == 0 || n <= max)
		return (RC_OK);
	return (aws_invalid(c, "signingConfiguration",
	    "there are %zu rules; a registry can have %u", n, max));
}

enum rc
ecr_put_signing_configuration(struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	o = ecr_pick(
	    &ecr_signing_configuration, aws_member(in, "signingConfiguration"));
	rc = registry_config_put(
	    c->meta, ENTITY_REGISTRY, CONFIG_SIGNING, o, CONFIG_PUT, 0);
	if (rc == RC_OK)
		aws_put(out, "signingConfiguration", o);
	else
		json_decref(o);
	return (rc);
}

/* It takes ${o} over. */
static enum rc
configuration_answer(struct call *c, enum rc rc, json_t *o, json_t *out)
{
	if (rc == RC_NOTFOUND)
		return (call_fail(c, AWS_SIGNING_NOT_FOUND, NULL,
		    "Signing configuration does not exist in the registry with "
		    "id '%s'",
		    c->settings->account_id));
	if (rc != RC_OK)
		return (rc);
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, "signingConfiguration", o);
	return (RC_OK);
}

enum rc
ecr_get_signing_configuration(struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	(void)in;
	rc = registry_config_get(c->meta, ENTITY_REGISTRY, CONFIG_SIGNING, &o);
	return (configuration_answer(c, rc, o, out));
}

enum rc
ecr_delete_signing_configuration(struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	(void)in;
	rc = registry_config_delete(
	    c->meta, ENTITY_REGISTRY, CONFIG_SIGNING, &o);
	return (configuration_answer(c, rc, o, out));
}

/* --- DescribeImageSigningStatus ------------------------------------------ */

/* No filters: all repositories. */
static bool
rule_applies(const json_t *rule, struct span repository)
{
	const json_t *filters = aws_member(rule, "repositoryFilters");
	size_t i;

	if (json_array_size(filters) == 0)
		return (true);
	for (i = 0; i < json_array_size(filters); i++)
		if (span_matches(repository,
			aws_string(json_array_get(filters, i), "filter")))
			return (true);
	return (false);
}

static json_t *
status_of(const json_t *rule)
{
	json_t *one;

	one = json_pack("{s:s,s:s,s:s}", "status", "FAILED", "failureCode",
	    "SigningNotSupported", "failureReason",
	    "this version of the registry does not sign images");
	ecr_put_member(one, "signingProfileArn", rule);
	return (one);
}

/* One for each profile, however many rules name it. */
static void
status_add(json_t *list, json_t *one)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), one)) {
			json_decref(one);
			return;
		}
	aws_append(list, one);
}

static enum rc
statuses_read(struct call *c, json_t *list)
{
	const json_t *rules, *rule;
	json_t *o;
	size_t i;
	enum rc rc;

	rc = registry_config_get(c->meta, ENTITY_REGISTRY, CONFIG_SIGNING, &o);
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	rules = aws_member(o, "rules");
	for (i = 0; i < json_array_size(rules); i++) {
		rule = json_array_get(rules, i);
		if (rule_applies(rule, c->repository))
			status_add(list, status_of(rule));
	}
	json_decref(o);
	return (RC_OK);
}

enum rc
ecr_describe_image_signing_status(struct call *c, const json_t *in, json_t *out)
{
	const json_t *id = aws_member(in, "imageId");
	json_t *list = json_array();
	struct image_row row;
	enum rc rc;

	aws_put(out, "signingStatuses", list);
	if ((rc = ecr_image_find(c, id, &row)) != RC_OK)
		return (rc);
	aws_put_text(out, "repositoryName", c->repository);
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, "imageId",
	    ecr_image_id_json(
		&row.manifest.digest, aws_string(id, "imageTag")));
	return (statuses_read(c, list));
}
