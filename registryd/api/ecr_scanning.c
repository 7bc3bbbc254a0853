#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/manifest.h"
#include "base/num.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/api/ecr_shapes.h"
#include "registryd/authorize.h"
#include "registryd/permissions.h"
#include "registryd/registry_config.h"
#include "registryd/scanning.h"
#include "registryd/service.h"
#include "registryd/settings.h"
#include "scan/match.h"
#include "storage/findings.h"

/*
 * Scans of images and what is configured of them: StartImageScan,
 * DescribeImageScanFindings, Put- and GetRegistryScanningConfiguration,
 * BatchGetRepositoryScanningConfiguration.
 *
 * A scan that is started waits in the store's queue; the scanner
 * (service_scan.c) ends it.
 */
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

static void
whose_put(
    struct call *c, const json_t *id, const struct image_row *row, json_t *out)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
	aws_put(out, "imageId",
	    ecr_image_id_json(
		&row->manifest.digest, aws_string(id, "imageTag")));
}

/* --- the registry's configuration ---------------------------------------- */

static bool
frequency_ok(struct span type, struct span frequency)
{
	if (span_is(frequency, "SCAN_ON_PUSH"))
		return (true);
	return (span_is(frequency,
	    span_is(type, "ENHANCED") ? "CONTINUOUS_SCAN" : "MANUAL"));
}

static enum rc
rules_check(struct call *c, struct span type, const json_t *rules)
{
	struct span frequency, other;
	size_t i, k;

	for (i = 0; i < json_array_size(rules); i++) {
		frequency =
		    aws_string(json_array_get(rules, i), "scanFrequency");
		if (!frequency_ok(type, frequency))
			return (aws_invalid(c, "rules",
			    "scanFrequency " SPAN_FMT
			    " is not supported with scanType " SPAN_FMT,
			    SPAN_ARG(frequency), SPAN_ARG(type)));
		for (k = 0; k < i; k++) {
			other = aws_string(
			    json_array_get(rules, k), "scanFrequency");
			if (span_eq(frequency, other))
				return (aws_invalid(c, "rules",
				    "there is more than one rule with "
				    "scanFrequency " SPAN_FMT,
				    SPAN_ARG(frequency)));
		}
	}
	return (RC_OK);
}

static struct span
type_of(const json_t *in)
{
	struct span type = aws_string(in, "scanType");

	return (type.p != NULL ? type : SPAN("BASIC"));
}

enum rc
ecr_put_registry_scanning_configuration_check(struct call *c, const json_t *in)
{
	return (rules_check(c, type_of(in), aws_member(in, "rules")));
}

enum rc
ecr_put_registry_scanning_configuration(
    struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	o = json_pack("{s:o,s:o}", "scanType", call_text(type_of(in)), "rules",
	    ecr_pick(
		&ecr_registry_scanning_rule_list, aws_member(in, "rules")));
	rc = registry_config_put(
	    c->meta, ENTITY_REGISTRY, CONFIG_SCANNING, o, CONFIG_PUT, 0);
	if (rc == RC_OK)
		aws_put(out, "registryScanningConfiguration", json_incref(o));
	json_decref(o);
	return (rc);
}

enum rc
ecr_get_registry_scanning_configuration(
    struct call *c, const json_t *in, json_t *out)
{
	json_t *o;
	enum rc rc;

	(void)in;
	if ((rc = scanning_configuration(c->meta, &o)) != RC_OK)
		return (rc);
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put(out, "scanningConfiguration", o);
	return (RC_OK);
}

/* One that is scanned for as long as it is here is scanned when it comes. */
bool
ecr_scan_on_push(struct call *c, struct span name)
{

	return (scanning_on_push(c->meta, name));
}

/* --- BatchGetRepositoryScanningConfiguration ----------------------------- */

#define DESCRIBE_BYTES ((size_t)1 << 20)

/* What the repository says of itself stands beside what the rules say. */
static json_t *
repository_json(struct call *c, const json_t *configuration, struct span name,
    bool scan_on_push)
{
	json_t *filters, *o = json_object();
	const char *frequency;

	frequency = scanning_rule(configuration, name, &filters);
	if (frequency == NULL)
		frequency = "MANUAL";
	if (scan_on_push && strcmp(frequency, "MANUAL") == 0) {
		frequency = "SCAN_ON_PUSH";
		json_decref(filters);
		filters = NULL;
	}
	aws_put_text(o, "repositoryArn", span_of(authorize_arn(c, name)));
	aws_put_text(o, "repositoryName", name);
	aws_put(o, "scanOnPush", json_boolean(scan_on_push));
	aws_put(o, "scanFrequency", json_string(frequency));
	aws_put(
	    o, "appliedScanFilters", filters != NULL ? filters : json_array());
	return (o);
}

static json_t *
failure_json(struct call *c, struct span name)
{
	return (json_pack("{s:o,s:s,s:o}", "repositoryName", call_text(name),
	    "failureCode", "REPOSITORY_NOT_FOUND", "failureReason",
	    json_sprintf("The repository with name '" SPAN_FMT
			 "' does not exist in the registry with id '%s'",
		SPAN_ARG(name), c->settings->account_id)));
}

static enum rc
batch_one(
    struct call *c, const json_t *configuration, struct span name, json_t *out)
{
	struct repository_description d;
	struct arena own;
	enum rc rc;

	arena_init(&own, DESCRIBE_BYTES);
	rc = meta_repository_describe(c->meta, name, &own, &d);
	arena_reset(&own);
	if (rc == RC_OK)
		aws_append(json_object_get(out, "scanningConfigurations"),
		    repository_json(
			c, configuration, name, d.settings.scan_on_push));
	else if (rc == RC_NOTFOUND)
		aws_append(
		    json_object_get(out, "failures"), failure_json(c, name));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static struct span
name_at(const json_t *names, size_t i)
{
	const json_t *v = json_array_get(names, i);

	return ((struct span){ json_string_value(v), json_string_length(v) });
}

/* Whether they may see all of them comes before what is there. */
enum rc
ecr_batch_get_repository_scanning_configuration(
    struct call *c, const json_t *in, json_t *out)
{
	const json_t *names = aws_member(in, "repositoryNames");
	size_t i, n = json_array_size(names);
	json_t *configuration;
	enum rc rc;

	for (i = 0; i < n; i++) {
		rc = authorize_require(
		    c, c->permission->actions, name_at(names, i));
		if (rc != RC_OK)
			return (rc);
	}
	aws_put(out, "scanningConfigurations", json_array());
	aws_put(out, "failures", json_array());
	if ((rc = scanning_configuration(c->meta, &configuration)) != RC_OK)
		return (rc);
	for (i = 0; rc == RC_OK && i < n; i++)
		rc = batch_one(c, configuration, name_at(names, i), out);
	json_decref(configuration);
	return (rc);
}

/* --- StartImageScan ------------------------------------------------------ */

/* With ENHANCED, the rules of the registry alone say what is scanned. */
static enum rc
scan_type_check(struct call *c)
{
	json_t *configuration;
	bool basic;
	enum rc rc;

	if ((rc = scanning_configuration(c->meta, &configuration)) != RC_OK)
		return (rc);
	basic = span_is(aws_string(configuration, "scanType"), "BASIC");
	json_decref(configuration);
	if (basic)
		return (RC_OK);
	return (call_fail(c, AWS_VALIDATION, NULL,
	    "This feature is disabled: the registry with id '%s' has scanType "
	    "ENHANCED, with which scans are not started by hand; set scanType "
	    "BASIC to start one",
	    c->settings->account_id));
}

static enum rc
image_check(struct call *c, const struct image_row *row)
{
	char digest[DIGEST_STR_BYTES];

	digest_str(&row->manifest.digest, digest);
	if (row->manifest.status != IMAGE_ACTIVE)
		return (call_fail(c, AWS_IMAGE_ARCHIVED, NULL,
		    "The image with digest '%s' in the repository with name "
		    "'" SPAN_FMT "' in the registry with id '%s' is archived "
		    "and cannot be scanned; restore it first",
		    digest, SPAN_ARG(c->repository), c->settings->account_id));
	if (!ecr_scannable(row->kind, row->manifest.artifact_type))
		return (call_fail(c, AWS_UNSUPPORTED_IMAGE_TYPE, NULL,
		    "The image with digest '%s' in the repository with name "
		    "'" SPAN_FMT "' in the registry with id '%s' is of a type "
		    "that cannot be scanned: " SPAN_FMT,
		    digest, SPAN_ARG(c->repository), c->settings->account_id,
		    SPAN_ARG(row->kind == MANIFEST_INDEX
				 ? row->manifest.media_type
				 : row->manifest.artifact_type)));
	return (RC_OK);
}

enum rc
ecr_start_image_scan(struct call *c, const json_t *in, json_t *out)
{
	const json_t *id = aws_member(in, "imageId");
	struct scan_start start = {
		.repository = c->repository,
		.now_ms = clock_real_ms(),
		.max_scans = c->settings->quotas.scans,
	};
	struct image_row row;
	enum rc rc;

	if ((rc = ecr_image_find(c, id, &row)) != RC_OK ||
	    (rc = scan_type_check(c)) != RC_OK ||
	    (rc = image_check(c, &row)) != RC_OK)
		return (rc);
	start.digest = row.manifest.digest;
	start.since_ms = start.now_ms - DAY_MS;
	rc = meta_scan_start(c->meta, &start);
	if (rc == RC_NOTFOUND)
		return (ecr_image_not_found(c, id));
	if (rc == RC_LIMIT)
		return (call_fail(c, AWS_LIMIT_EXCEEDED, NULL,
		    "The scan quota per image has been exceeded. Wait and try "
		    "again."));
	if (rc != RC_OK)
		return (rc);
	service_scan_wake(c->service);
	whose_put(c, id, &row, out);
	ecr_put_scan(out, &(struct image_scan){ .status = SCAN_IN_PROGRESS,
			      .started_ms = start.now_ms });
	return (RC_OK);
}

/* --- DescribeImageScanFindings ------------------------------------------- */

static enum rc
no_scan(struct call *c, const json_t *id, const struct image_row *row)
{
	struct span tag = aws_string(id, "imageTag");
	char digest[DIGEST_STR_BYTES];

	if (tag.p == NULL)
		tag = SPAN("null");
	return (call_fail(c, AWS_SCAN_NOT_FOUND, NULL,
	    "Image scan does not exist for the image with '{imageDigest:'%s', "
	    "imageTag:'" SPAN_FMT "'}' in the repository with name '" SPAN_FMT
	    "' in the registry with id '%s'",
	    digest_str(&row->manifest.digest, digest), SPAN_ARG(tag),
	    SPAN_ARG(c->repository), c->settings->account_id));
}

#define FINDINGS_BYTES (3 * FINDINGS_TEXT_MAX_BYTES)

/* Those that there are any of. */
static json_t *
counts_json(const struct scan_findings *f)
{
	json_t *o = json_object();
	size_t i;

	for (i = FINDING_SEVERITIES; i-- > 0;)
		if (f->counts[i] > 0)
			aws_put(o, severity_text((enum severity)i),
			    json_integer((json_int_t)f->counts[i]));
	return (o);
}

void
ecr_put_scan_summary(json_t *out, const struct scan_findings *f)
{

	aws_put_time(out, "imageScanCompletedAt", f->completed_ms);
	if (f->updated_ms > 0)
		aws_put_time(
		    out, "vulnerabilitySourceUpdatedAt", f->updated_ms);
	aws_put(out, "findingSeverityCounts", counts_json(f));
}

/* The position in the list: what is matched anew meanwhile is another list,
 * which goes on where this one was. */
static enum rc
findings_from(struct call *c, const struct aws_page *page, size_t *from_r)
{
	uint64_t n = 0;

	*from_r = 0;
	if (page->after.n == 0)
		return (RC_OK);
	if (num_u64(page->after, SIZE_MAX, &n) != RC_OK)
		return (aws_invalid(c, "nextToken",
		    "must be the nextToken of an earlier answer of this "
		    "operation, about the same repository"));
	*from_r = (size_t)n;
	return (RC_OK);
}

static void
findings_next(struct call *c, json_t *out, struct aws_page *page, size_t at)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%zu", at);
	page->after = span_of(text);
	aws_page_next(c, out, page);
}

static enum rc
findings_page(struct call *c, struct aws_page *page,
    const struct scan_findings *f, json_t *out)
{
	json_t *all, *list, *o = json_object();
	size_t from, i;
	enum rc rc;

	if ((rc = findings_from(c, page, &from)) != RC_OK) {
		json_decref(o);
		return (rc);
	}
	all = json_loadb(f->text.p, f->text.n, 0, NULL);
	list = json_object_get(all, "findings");
	ecr_put_scan_summary(o, f);
	aws_put(o, "findings", json_array());
	for (i = from; i < json_array_size(list) && i - from < page->n; i++)
		aws_append(json_object_get(o, "findings"),
		    json_incref(json_array_get(list, i)));
	aws_put(out, "imageScanFindings", o);
	if (i < json_array_size(list))
		findings_next(c, out, page, i);
	json_decref(all);
	return (RC_OK);
}

/* One that was deleted meanwhile has none. */
static enum rc
findings_put(struct call *c, struct aws_page *page, const struct image_row *row,
    json_t *out)
{
	struct scan_findings f;
	struct arena own;
	enum rc rc;

	arena_init(&own, FINDINGS_BYTES);
	rc = meta_findings_get(
	    c->meta, c->repository, &row->manifest.digest, true, &own, &f);
	if (rc == RC_OK)
		rc = findings_page(c, page, &f, out);
	arena_reset(&own);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
ecr_describe_image_scan_findings(struct call *c, const json_t *in, json_t *out)
{
	const json_t *id = aws_member(in, "imageId");
	struct image_row row;
	struct aws_page page;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK ||
	    (rc = ecr_image_find(c, id, &row)) != RC_OK)
		return (rc);
	if (row.scan.status == SCAN_NONE)
		return (no_scan(c, id, &row));
	whose_put(c, id, &row, out);
	ecr_put_scan(out, &row.scan);
	return (row.scan.status == SCAN_COMPLETE
		    ? findings_put(c, &page, &row, out)
		    : RC_OK);
}
