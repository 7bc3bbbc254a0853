#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/backfills.h"
#include "registryd/registry_config.h"
#include "registryd/replication.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "storage/replication.h"

/*
 * Replication: its configuration, what became of an image, and backfills.  The
 * copying itself is mirror/replicate.h's.
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

/* The configuration says who, the settings say where. */
static void
addresses_look(struct call *c, const json_t *o)
{
	const json_t *rules = aws_member(o, "rules"), *list, *d;
	char name[REPLICATION_DESTINATION_MAX_BYTES];
	size_t i, k;

	for (i = 0; i < json_array_size(rules); i++) {
		list = aws_member(json_array_get(rules, i), "destinations");
		for (k = 0; k < json_array_size(list); k++) {
			d = json_array_get(list, k);
			(void)snprintf(name, sizeof(name),
			    SPAN_FMT "/" SPAN_FMT,
			    SPAN_ARG(aws_string(d, "region")),
			    SPAN_ARG(aws_string(d, "registryId")));
			if (settings_destination(c->settings, span_of(name)) ==
			    NULL)
				log_warn("replication: the destination %s has "
					 "no address: images for it fail until "
					 "replication-destinations has one",
				    name);
		}
	}
}

enum rc
ecr_put_replication_configuration(struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	o = ecr_pick(&ecr_replication_configuration, aws_member(in, PLACE));
	rc = registry_config_put(
	    c->meta, ENTITY_REGISTRY, CONFIG_REPLICATION, o, CONFIG_PUT, 0);
	if (rc != RC_OK) {
		json_decref(o);
		return (rc);
	}
	replication_changed(c->service->replication);
	addresses_look(c, o);
	aws_put(out, PLACE, o);
	return (RC_OK);
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

static const char *
state_text(enum replication_state state)
{
	switch (state) {
	case REPLICATION_IN_PROGRESS:
		return ("IN_PROGRESS");
	case REPLICATION_COMPLETE:
		return ("COMPLETE");
	case REPLICATION_FAILED:
		return ("FAILED");
	}
	wrong("a state of replication of no known kind");
}

/* "REGION/ACCOUNT" */
static void
destination_put(json_t *o, struct span name)
{
	struct span region = SPAN_NONE;

	(void)span_split(&name, '/', &region);
	aws_put_text(o, "region", region);
	aws_put_text(o, "registryId", name);
}

static json_t *
status_json(const struct replication_status *st)
{
	json_t *o = json_object();

	destination_put(o, st->destination);
	aws_put(o, "status", json_string(state_text(st->state)));
	if (st->state == REPLICATION_FAILED)
		aws_put_text(o, "failureCode", st->code);
	return (o);
}

/* An image that was here before its rule has none. */
static enum rc
statuses_read(struct call *c, const struct digest *d, json_t *list)
{
	struct replication_status *rows;
	size_t i, n = 0;
	enum rc rc;

	rc = meta_replication_status(
	    c->meta, c->repository, d, c->arena, &rows, &n);
	for (i = 0; rc == RC_OK && i < n; i++)
		aws_append(list, status_json(&rows[i]));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
ecr_describe_image_replication_status(
    struct call *c, const json_t *in, json_t *out)
{
	const json_t *id = aws_member(in, "imageId");
	json_t *list = json_array();
	struct image_row row;
	enum rc rc;

	aws_put(out, "replicationStatuses", list);
	if ((rc = ecr_image_find(c, id, &row)) != RC_OK ||
	    (rc = statuses_read(c, &row.manifest.digest, list)) != RC_OK)
		return (rc);
	aws_put_text(out, "repositoryName", c->repository);
	aws_put(out, "imageId",
	    ecr_image_id_json(
		&row.manifest.digest, aws_string(id, "imageTag")));
	return (RC_OK);
}

/* --- backfills: what is told of one -------------------------------------- */

static void
progress_put(json_t *out, const json_t *o)
{
	json_t *progress = json_object();

	aws_put(progress, "totalReplicationCount",
	    json_integer(json_integer_value(json_object_get(o, "total"))));
	aws_put(progress, "completedReplicationCount",
	    json_integer(json_integer_value(json_object_get(o, "completed"))));
	aws_put(progress, "failedReplicationCount",
	    json_integer(json_integer_value(json_object_get(o, "failed"))));
	if (json_array_size(json_object_get(o, "failureCodes")) > 0)
		ecr_put_member(progress, "failureCodes", o);
	aws_put(out, "progress", progress);
}

static json_t *
backfill_json(struct span id, const json_t *o, bool whole)
{
	json_t *out = json_object();

	aws_put_text(out, "replicationBackfillId", id);
	ecr_put_member(out, "destination", o);
	ecr_put_member(out, "status", o);
	ecr_put_ms(out, "startedAt", o);
	if (whole) {
		ecr_put_ms(out, "endedAt", o);
		progress_put(out, o);
	}
	return (out);
}

static void
backfill_put(
    struct call *c, json_t *out, struct span id, const json_t *o, bool whole)
{
	json_t *shown = backfill_json(id, o, whole);

	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	must(json_object_update(out, shown) == 0);
	json_decref(shown);
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

static void
record_free(void *arg)
{
	json_decref(arg);
}

/* Lives as long as the call. */
static enum rc
backfill_get(struct call *c, const json_t *in, json_t **o_r)
{
	enum rc rc;

	rc = registry_config_get(c->meta, ENTITY_BACKFILL,
	    aws_string(in, "replicationBackfillId"), o_r);
	if (rc == RC_NOTFOUND)
		return (no_backfill(c, in));
	if (rc == RC_OK)
		arena_defer(c->arena, record_free, *o_r);
	return (rc);
}

/* --- StartReplicationBackfill, StopReplicationBackfill ------------------- */

static bool
rules_name(const json_t *rules, const json_t *destination)
{
	const json_t *list;
	size_t i, k;

	for (i = 0; i < json_array_size(rules); i++) {
		list = aws_member(json_array_get(rules, i), "destinations");
		for (k = 0; k < json_array_size(list); k++)
			if (json_equal(json_array_get(list, k), destination))
				return (true);
	}
	return (false);
}

static enum rc
destination_known(struct call *c, const json_t *d)
{
	json_t *o, *picked;
	bool known;
	enum rc rc;

	if ((rc = configuration_get(c, &o)) != RC_OK)
		return (rc);
	picked = ecr_pick(&ecr_replication_destination, d);
	known = rules_name(aws_member(o, "rules"), picked);
	json_decref(picked);
	json_decref(o);
	if (known)
		return (RC_OK);
	return (call_fail(c, AWS_VALIDATION, NULL,
	    "The destination with region '" SPAN_FMT
	    "' and registry id '" SPAN_FMT
	    "' is not one of the replication configuration",
	    SPAN_ARG(aws_string(d, "region")),
	    SPAN_ARG(aws_string(d, "registryId"))));
}

enum rc
ecr_start_replication_backfill(struct call *c, const json_t *in, json_t *out)
{
	const json_t *d = aws_member(in, "destination");
	char id[BACKFILL_ID_BYTES];
	json_t *o;
	enum rc rc;

	if ((rc = destination_known(c, d)) != RC_OK)
		return (rc);
	rc = backfills_begin(c->service->backfills, aws_string(d, "region"),
	    aws_string(d, "registryId"), id);
	if (rc == RC_BUSY)
		return (call_fail(c, AWS_BACKFILL_IN_PROGRESS, NULL,
		    "A replication backfill to the destination with region "
		    "'" SPAN_FMT "' and registry id '" SPAN_FMT
		    "' is in progress",
		    SPAN_ARG(aws_string(d, "region")),
		    SPAN_ARG(aws_string(d, "registryId"))));
	if (rc != RC_OK)
		return (rc);
	rc = registry_config_get(c->meta, ENTITY_BACKFILL, span_of(id), &o);
	if (rc != RC_OK)
		return (rc);
	backfill_put(c, out, span_of(id), o, false);
	json_decref(o);
	return (RC_OK);
}

enum rc
ecr_stop_replication_backfill(struct call *c, const json_t *in, json_t *out)
{
	struct span id = aws_string(in, "replicationBackfillId");
	json_t *o;
	enum rc rc;

	rc = backfills_end(c->service->backfills, id);
	if (rc == RC_NOTFOUND)
		return (no_backfill(c, in));
	if (rc == RC_BUSY)
		return (call_fail(c, AWS_BACKFILL_STATUS, NULL,
		    "The replication backfill with id '" SPAN_FMT
		    "' is not in progress",
		    SPAN_ARG(id)));
	if (rc != RC_OK || (rc = backfill_get(c, in, &o)) != RC_OK)
		return (rc);
	backfill_put(c, out, id, o, false);
	return (RC_OK);
}

/* --- ListReplicationBackfills -------------------------------------------- */

static json_t *
backfill_show(struct call *c, struct span id, const json_t *o)
{
	(void)c;
	return (backfill_json(id, o, true));
}

enum rc
ecr_list_replication_backfills(struct call *c, const json_t *in, json_t *out)
{
	const struct ecr_config_list l = { .kind = ENTITY_BACKFILL,
		.show = backfill_show };
	json_t *list = json_array();

	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, "backfills", list);
	return (ecr_config_list(c, in, &l, list, out));
}

/* --- DescribeReplicationBackfillResults ---------------------------------- */

#define RESULTS_LOOKED 5000

struct results {
	struct call *c;
	struct span destination, filter; /* .filter.p NULL: any */
	size_t max;
	json_t *list;
};

static void
result_add(struct results *r, struct span repository,
    const struct image_row *row, const struct replication_status *st)
{
	const char *state = state_text(st->state);
	json_t *o;

	if (st->state == REPLICATION_IN_PROGRESS ||
	    (r->filter.p != NULL && !span_is(r->filter, state)))
		return;
	o = json_object();
	aws_put_text(o, "repositoryName", repository);
	aws_put(o, "imageId",
	    ecr_image_id_json(&row->manifest.digest,
		row->n_tags > 0 ? row->tags[0] : SPAN_NONE));
	aws_put(o, "status", json_string(state));
	if (st->state == REPLICATION_FAILED)
		aws_put_text(o, "failureCode", st->code);
	aws_append(r->list, o);
}

/* RC_RANGE: the page is full, before this image. */
static enum rc
result_look(void *arg, struct span repository, const struct image_row *row)
{
	struct results *r = arg;
	struct replication_status *rows;
	struct arena arena;
	size_t i, n = 0;
	enum rc rc;

	if (json_array_size(r->list) >= r->max)
		return (RC_RANGE);
	arena_init(&arena, (size_t)1 << 20);
	rc = meta_replication_status(
	    r->c->meta, repository, &row->manifest.digest, &arena, &rows, &n);
	for (i = 0; rc == RC_OK && i < n; i++)
		if (span_eq(rows[i].destination, r->destination))
			result_add(r, repository, row, &rows[i]);
	arena_reset(&arena);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* "REPOSITORY" or "REPOSITORY DIGEST" */
static void
place_of(struct span after, struct backfill_place *place)
{
	struct span name = SPAN_NONE;

	*place = (struct backfill_place){ .within = false };
	if (!span_split(&after, ' ', &name) ||
	    name.n > NAME_REPOSITORY_MAX_BYTES)
		return;
	memcpy(place->repository, name.p, name.n);
	place->within = digest_parse(after, &place->digest) == RC_OK;
}

static void
page_go_on(struct call *c, json_t *out, struct aws_page *page,
    const struct backfill_place *place)
{
	char digest[DIGEST_STR_BYTES];

	page->after = span_of(arena_printf(c->arena, "%s%s%s",
	    place->repository, place->within ? " " : "",
	    place->within ? digest_str(&place->digest, digest) : ""));
	aws_page_next(c, out, page);
}

static enum rc
results_read(struct call *c, const json_t *in, struct results *r, json_t *out)
{
	struct backfill_place place;
	struct aws_page page;
	bool more;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK)
		return (rc);
	r->max = page.n;
	place_of(page.after, &place);
	rc = backfill_walk(c->service, r->destination, &place, RESULTS_LOOKED,
	    result_look, r, &more);
	if (rc != RC_OK && rc != RC_RANGE)
		return (rc);
	if (rc == RC_RANGE || more) {
		page.seen = page.seen || json_array_size(r->list) > 0;
		page_go_on(c, out, &page, &place);
	}
	return (RC_OK);
}

enum rc
ecr_describe_replication_backfill_results(
    struct call *c, const json_t *in, json_t *out)
{
	struct results r = { .c = c, .list = json_array() };
	const json_t *d;
	const char *name;
	json_t *o;
	enum rc rc;

	aws_put(out, "results", r.list);
	if ((rc = backfill_get(c, in, &o)) != RC_OK)
		return (rc);
	d = aws_member(o, "destination");
	name = arena_printf(c->arena, SPAN_FMT "/" SPAN_FMT,
	    SPAN_ARG(aws_string(d, "region")),
	    SPAN_ARG(aws_string(d, "registryId")));
	if (name == NULL)
		return (RC_TOOBIG);
	r.destination = span_of(name);
	r.filter = aws_string(in, "resultStatusFilter");
	backfill_put(c, out, aws_string(in, "replicationBackfillId"), o, true);
	return (results_read(c, in, &r, out));
}
