#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/registry_config.h"
#include "registryd/settings.h"

/*
 * Replication: its configuration is kept and shown; nothing is copied in this
 * version, and each answer about copying says so.
 */

#define PLACE "replicationConfiguration"

/* --- PutReplicationConfiguration ----------------------------------------- */

/* All that a rule may not have twice. */
static enum rc
twice_check(struct call *c, const json_t *list, const char *what, size_t rule)
{
	size_t i, k;

	for (i = 1; i < json_array_size(list); i++)
		for (k = 0; k < i; k++)
			if (json_equal(json_array_get(list, i),
				json_array_get(list, k)))
				return (aws_invalid(c, PLACE,
				    "rule %zu has the same %s twice", rule + 1,
				    what));
	return (RC_OK);
}

static enum rc
destination_check(struct call *c, const json_t *destination)
{
	if (!span_is(aws_string(destination, "registryId"),
		c->settings->account_id) ||
	    !span_eq(aws_string(destination, "region"), ecr_region(c)))
		return (RC_OK);
	return (aws_invalid(c, PLACE,
	    "Replication destination cannot be the same as the source "
	    "registry"));
}

static void
list_add(json_t *list, json_t *v)
{
	size_t i;

	for (i = 0; i < json_array_size(list); i++)
		if (json_equal(json_array_get(list, i), v))
			return;
	aws_append(list, json_incref(v));
}

/* ${all}: the different destinations of all rules. */
static enum rc
rule_check(struct call *c, const json_t *rules, size_t i, json_t *all)
{
	const json_t *rule = json_array_get(rules, i);
	const json_t *list = aws_member(rule, "destinations");
	enum rc rc = RC_OK;
	size_t k;

	for (k = 0; rc == RC_OK && k < json_array_size(list); k++) {
		rc = destination_check(c, json_array_get(list, k));
		list_add(all, json_array_get(list, k));
	}
	if (rc == RC_OK)
		rc = twice_check(c, list, "destination", i);
	if (rc != RC_OK)
		return (rc);
	return (
	    twice_check(c, aws_member(rule, "repositoryFilters"), "filter", i));
}

static enum rc
number_check(struct call *c, const char *what, size_t n, unsigned max)
{
	if (max == 0 || n <= max)
		return (RC_OK);
	return (aws_invalid(c, PLACE,
	    "there are %zu %s; a registry can have %u", n, what, max));
}

/* The configuration, as the model has it: what it does not name is not kept,
 * and makes no two destinations different. */
enum rc
ecr_put_replication_configuration_check(struct call *c, const json_t *in)
{
	const struct quotas *q = &c->settings->quotas;
	json_t *o = ecr_pick(
		   &ecr_replication_configuration, aws_member(in, PLACE)),
	       *all = json_array();
	const json_t *rules = aws_member(o, "rules");
	size_t i, n = json_array_size(rules);
	enum rc rc;

	rc = number_check(c, "rules", n, q->replication_rules);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = rule_check(c, rules, i, all);
	if (rc == RC_OK)
		rc = number_check(c, "different destinations",
		    json_array_size(all), q->replication_destinations);
	json_decref(all);
	json_decref(o);
	return (rc);
}

enum rc
ecr_put_replication_configuration(struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	o = ecr_pick(&ecr_replication_configuration, aws_member(in, PLACE));
	rc = registry_config_put(
	    c->meta, ENTITY_REGISTRY, CONFIG_REPLICATION, o, CONFIG_PUT, 0);
	if (rc == RC_OK)
		aws_put(out, PLACE, o);
	else
		json_decref(o);
	return (rc);
}

/* --- DescribeRegistry ---------------------------------------------------- */

static enum rc
configuration_get(struct call *c, json_t **o_r)
{
	enum rc rc;

	rc = registry_config_get(
	    c->meta, ENTITY_REGISTRY, CONFIG_REPLICATION, o_r);
	if (rc != RC_NOTFOUND)
		return (rc);
	*o_r = json_pack("{s:[]}", "rules");
	return (RC_OK);
}

enum rc
ecr_describe_registry(struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	(void)in;
	if ((rc = configuration_get(c, &o)) != RC_OK)
		return (rc);
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, PLACE, o);
	return (RC_OK);
}

/* --- DescribeImageReplicationStatus -------------------------------------- */

/* No filters: all repositories. */
static bool
rule_applies(const json_t *rule, struct span repository)
{
	const json_t *filters = aws_member(rule, "repositoryFilters");
	size_t i;

	if (json_array_size(filters) == 0)
		return (true);
	for (i = 0; i < json_array_size(filters); i++)
		if (span_has_prefix(repository,
			aws_string(json_array_get(filters, i), "filter")))
			return (true);
	return (false);
}

/* The different destinations of a repository. */
static json_t *
destinations_of(const json_t *rules, struct span repository)
{
	json_t *all = json_array();
	const json_t *rule, *list;
	size_t i, k;

	for (i = 0; i < json_array_size(rules); i++) {
		rule = json_array_get(rules, i);
		if (!rule_applies(rule, repository))
			continue;
		list = aws_member(rule, "destinations");
		for (k = 0; k < json_array_size(list); k++)
			list_add(all, json_array_get(list, k));
	}
	return (all);
}

static json_t *
statuses(const json_t *destinations)
{
	json_t *list = json_array(), *one;
	const json_t *d;
	size_t i;

	for (i = 0; i < json_array_size(destinations); i++) {
		d = json_array_get(destinations, i);
		one = json_pack("{s:s,s:s}", "status", "FAILED", "failureCode",
		    "ReplicationNotSupported");
		ecr_put_member(one, "region", d);
		ecr_put_member(one, "registryId", d);
		aws_append(list, one);
	}
	return (list);
}

enum rc
ecr_describe_image_replication_status(
    struct call *c, const json_t *in, json_t *out)
{
	const json_t *id = aws_member(in, "imageId");
	struct image_row row;
	json_t *o, *all;
	enum rc rc;

	if ((rc = ecr_image_find(c, id, &row)) != RC_OK ||
	    (rc = configuration_get(c, &o)) != RC_OK)
		return (rc);
	all = destinations_of(aws_member(o, "rules"), c->repository);
	aws_put_text(out, "repositoryName", c->repository);
	aws_put(out, "imageId",
	    ecr_image_id_json(
		&row.manifest.digest, aws_string(id, "imageTag")));
	aws_put(out, "replicationStatuses", statuses(all));
	json_decref(all);
	json_decref(o);
	return (RC_OK);
}

/* --- backfills ----------------------------------------------------------- */

enum rc
ecr_start_replication_backfill(struct call *c, const json_t *in, json_t *out)
{
	(void)in;
	(void)out;
	return (call_fail(c, AWS_VALIDATION, NULL,
	    "This version of the registry does not replicate images, so there "
	    "is no replication backfill to start"));
}

static enum rc
no_backfill(struct call *c, const json_t *in)
{
	return (call_fail(c, AWS_BACKFILL_NOT_FOUND, NULL,
	    "The replication backfill with id '" SPAN_FMT
	    "' does not exist in the registry with id '%s'",
	    SPAN_ARG(aws_string(in, "replicationBackfillId")),
	    c->settings->account_id));
}

enum rc
ecr_stop_replication_backfill(struct call *c, const json_t *in, json_t *out)
{
	(void)out;
	return (no_backfill(c, in));
}

enum rc
ecr_describe_replication_backfill_results(
    struct call *c, const json_t *in, json_t *out)
{
	(void)out;
	return (no_backfill(c, in));
}

/* None can have been started. */
enum rc
ecr_list_replication_backfills(struct call *c, const json_t *in, json_t *out)
{
	struct aws_page page;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK)
		return (rc);
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, "backfills", json_array());
	return (RC_OK);
}
