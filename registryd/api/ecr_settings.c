#include "base/name.h"
#include "base/obj.h"
#include "registryd/api/ecr_int.h"
#include "registryd/settings.h"

/*
 * What is set of a repository that is there: PutImageTagMutability,
 * PutImageScanningConfiguration, and its resource tags, which are asked for by
 * its ARN (TagResource, UntagResource, ListTagsForResource).
 */

static void
whose_put(struct call *c, json_t *out)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
}

/* --- PutImageTagMutability ----------------------------------------------- */

enum rc
ecr_put_image_tag_mutability_check(struct call *c, const json_t *in)
{
	struct repository_settings *s;

	if ((s = arena_calloc(c->arena, 1, sizeof(*s))) == NULL)
		return (RC_TOOBIG);
	c->state = s;
	return (ecr_mutability_read(c, in, s));
}

enum rc
ecr_put_image_tag_mutability(struct call *c, const json_t *in, json_t *out)
{
	const struct repository_settings *s = c->state;
	const struct repository_change change = {
		.set_mutability = true,
		.mutability = s->mutability,
		.exclusions = s->exclusions,
		.n_exclusions = s->n_exclusions,
	};
	enum rc rc;

	(void)in;
	rc = meta_repository_change(c->meta, c->repository, &change);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc != RC_OK)
		return (rc);
	whose_put(c, out);
	aws_put(out, "imageTagMutability",
	    json_string(ecr_mutability_text(s->mutability)));
	if (s->n_exclusions > 0)
		aws_put(out, "imageTagMutabilityExclusionFilters",
		    ecr_exclusions_json(s));
	return (RC_OK);
}

/* --- PutImageScanningConfiguration --------------------------------------- */

enum rc
ecr_put_image_scanning_configuration(
    struct call *c, const json_t *in, json_t *out)
{
	const struct repository_change change = {
		.set_scanning = true,
		.scan_on_push = aws_true(
		    aws_member(in, "imageScanningConfiguration"), "scanOnPush"),
	};
	enum rc rc;

	rc = meta_repository_change(c->meta, c->repository, &change);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc != RC_OK)
		return (rc);
	whose_put(c, out);
	aws_put(out, "imageScanningConfiguration",
	    json_pack("{s:b}", "scanOnPush", change.scan_on_push));
	return (RC_OK);
}

/* --- resources ----------------------------------------------------------- */

/* What a resourceArn is about, from check to handler. */
struct resource {
	struct span account;
	struct resource_tag *tags; /* TagResource */
	size_t n_tags;
	struct span *keys; /* UntagResource */
	size_t n_keys;
};

static const char *const partitions[] = { "aws", "aws-cn", "aws-us-gov" };

static bool
partition_ok(struct span s)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(partitions); i++)
		if (span_is(s, partitions[i]))
			return (true);
	return (false);
}

/* The region is whatever clients call us, so any name of one will do. */
static bool
region_ok(struct span s)
{
	return (aws_pattern_ok("^[a-z0-9-]+$", s));
}

static bool
account_ok(struct span s)
{
	return (aws_pattern_ok("^[0-9]{12}$", s));
}

/* arn:PARTITION:ecr:REGION:ACCOUNT:repository/NAME */
static bool
arn_read(struct span arn, struct span *account_r, struct span *name_r)
{
	const struct span kind = SPAN("repository/");
	struct span part[5];
	size_t i;

	for (i = 0; i < ARRAY_LEN(part); i++)
		if (!span_split(&arn, ':', &part[i]))
			return (false);
	if (!span_is(part[0], "arn") || !partition_ok(part[1]) ||
	    !span_is(part[2], "ecr") || !region_ok(part[3]) ||
	    !account_ok(part[4]) || !span_has_prefix(arn, kind))
		return (false);
	*account_r = part[4];
	*name_r = (struct span){ arn.p + kind.n, arn.n - kind.n };
	return (name_repository_ok(*name_r));
}

static enum rc
resource_read(struct call *c, const json_t *in, struct resource **resource_r)
{
	struct resource *r;

	if ((r = arena_calloc(c->arena, 1, sizeof(*r))) == NULL)
		return (RC_TOOBIG);
	if (!arn_read(
		aws_string(in, "resourceArn"), &r->account, &c->repository))
		return (aws_invalid(c, "resourceArn", "Invalid ARN"));
	c->state = r;
	*resource_r = r;
	return (RC_OK);
}

/* That a repository is another registry's is told to those alone who may do
 * the same to one of that name here, as with a registryId. */
static enum rc
resource_here(struct call *c, const struct resource *r)
{
	if (span_is(r->account, c->settings->account_id))
		return (RC_OK);
	return (call_fail(c, AWS_REPOSITORY_NOT_FOUND, NULL,
	    "The repository with name '" SPAN_FMT
	    "' does not exist in the registry with id '" SPAN_FMT "'",
	    SPAN_ARG(c->repository), SPAN_ARG(r->account)));
}

enum rc
ecr_change_resource_tags(struct call *c, const json_t *in, json_t *out)
{
	const struct resource *r = c->state;
	const struct resource_tags_change change = {
		.put = r->tags,
		.n_put = r->n_tags,
		.remove = r->keys,
		.n_remove = r->n_keys,
		.max = REPOSITORY_TAGS_MAX,
	};
	enum rc rc;

	(void)in;
	(void)out;
	if ((rc = resource_here(c, r)) != RC_OK)
		return (rc);
	rc = meta_resource_tags_change(c->meta, c->repository, &change);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_LIMIT)
		return (call_fail(c, AWS_TOO_MANY_RESOURCE_TAGS, NULL,
		    "The repository with name '" SPAN_FMT
		    "' in the registry with id '%s' would have more than %d "
		    "tags",
		    SPAN_ARG(c->repository), c->settings->account_id,
		    REPOSITORY_TAGS_MAX));
	return (rc);
}

/* --- TagResource --------------------------------------------------------- */

enum rc
ecr_tag_resource_check(struct call *c, const json_t *in)
{
	struct resource *r = NULL;
	enum rc rc;

	if ((rc = resource_read(c, in, &r)) != RC_OK)
		return (rc);
	return (ecr_tags_check(c, in, &r->tags, &r->n_tags));
}

/* --- UntagResource ------------------------------------------------------- */

enum rc
ecr_untag_resource_check(struct call *c, const json_t *in)
{
	struct resource *r = NULL;
	enum rc rc;

	if ((rc = resource_read(c, in, &r)) != RC_OK)
		return (rc);
	return (ecr_tag_keys_check(c, in, &r->keys, &r->n_keys));
}

/* --- ListTagsForResource ------------------------------------------------- */

enum rc
ecr_list_tags_for_resource_check(struct call *c, const json_t *in)
{
	struct resource *r;

	return (resource_read(c, in, &r));
}

enum rc
ecr_list_tags_for_resource(struct call *c, const json_t *in, json_t *out)
{
	struct repository_description d;
	enum rc rc;

	(void)in;
	if ((rc = resource_here(c, c->state)) != RC_OK)
		return (rc);
	rc = meta_repository_describe(c->meta, c->repository, c->arena, &d);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_OK)
		aws_put(out, "tags", ecr_tags_json(d.tags, d.n_tags));
	return (rc);
}
