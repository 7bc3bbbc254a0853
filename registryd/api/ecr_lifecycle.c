#include "base/clock.h"
#include "base/obj.h"
#include "lifecycle/policy.h"
#include "registryd/api/ecr_int.h"
#include "registryd/settings.h"
#include "storage/lifecycles.h"

/*
 * PutLifecyclePolicy, GetLifecyclePolicy, DeleteLifecyclePolicy, and previews:
 * StartLifecyclePolicyPreview, GetLifecyclePolicyPreview.  A text that is kept
 * has been read by the rules of lifecycle/policy.h, and is shown as it was
 * sent.
 */

/* --- errors -------------------------------------------------------------- */

static enum rc
no_policy(struct call *c)
{
	return (call_fail(c, AWS_LIFECYCLE_POLICY_NOT_FOUND, NULL,
	    "Lifecycle policy does not exist for the repository with name "
	    "'" SPAN_FMT "' in the registry with id '%s'",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

static enum rc
no_preview(struct call *c)
{
	return (call_fail(c, AWS_LIFECYCLE_PREVIEW_NOT_FOUND, NULL,
	    "Lifecycle policy preview does not exist for the repository with "
	    "name '" SPAN_FMT "' in the registry with id '%s'",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

static enum rc
preview_busy(struct call *c)
{
	return (call_fail(c, AWS_LIFECYCLE_PREVIEW_IN_PROGRESS, NULL,
	    "Lifecycle policy preview is in progress for the repository with "
	    "name '" SPAN_FMT "' in the registry with id '%s'. Wait until it "
	    "has completed and try again.",
	    SPAN_ARG(c->repository), c->settings->account_id));
}

/* --- the policy ---------------------------------------------------------- */

static enum rc
text_check(struct call *c, struct span text)
{
	char why[LIFECYCLE_WHY_BYTES];
	struct lifecycle_policy policy;
	enum rc rc;

	rc = lifecycle_policy_parse(
	    text, c->settings->quotas.lifecycle_rules, c->arena, &policy, why);
	if (rc != RC_INVALID)
		return (rc);
	return (aws_invalid(c, "LifecyclePolicyText",
	    "Lifecycle policy validation failure: %s", why));
}

static void
policy_put(struct call *c, json_t *out, struct span text)
{
	aws_put_text(out, "registryId", span_of(c->settings->account_id));
	aws_put_text(out, "repositoryName", c->repository);
	aws_put_text(out, "lifecyclePolicyText", text);
}

enum rc
ecr_put_lifecycle_policy_check(struct call *c, const json_t *in)
{
	return (text_check(c, aws_string(in, "lifecyclePolicyText")));
}

enum rc
ecr_put_lifecycle_policy(struct call *c, const json_t *in, json_t *out)
{
	struct span text = aws_string(in, "lifecyclePolicyText");
	enum rc rc;

	rc = meta_lifecycle_set(c->meta, c->repository, text, clock_real_ms());
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_OK)
		policy_put(c, out, text);
	return (rc);
}

/* One that was never evaluated shows the beginning of time, as ECR does. */
static enum rc
policy_show(struct call *c, json_t *out, enum rc rc, struct lifecycle_row *row)
{
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_MISSING)
		return (no_policy(c));
	if (rc != RC_OK)
		return (rc);
	policy_put(c, out, row->text);
	aws_put_time(out, "lastEvaluatedAt", row->evaluated_ms);
	return (RC_OK);
}

enum rc
ecr_get_lifecycle_policy(struct call *c, const json_t *in, json_t *out)
{
	struct lifecycle_row row;
	enum rc rc;

	(void)in;
	rc = meta_lifecycle_get(c->meta, c->repository, c->arena, &row);
	return (policy_show(c, out, rc, &row));
}

enum rc
ecr_delete_lifecycle_policy(struct call *c, const json_t *in, json_t *out)
{
	struct lifecycle_row row;
	enum rc rc;

	(void)in;
	rc = meta_lifecycle_delete(c->meta, c->repository, c->arena, &row);
	return (policy_show(c, out, rc, &row));
}

/* --- previews ------------------------------------------------------------ */

static const char *
status_text(enum preview_status status)
{
	switch (status) {
	case PREVIEW_IN_PROGRESS:
		return ("IN_PROGRESS");
	case PREVIEW_COMPLETE:
		return ("COMPLETE");
	case PREVIEW_FAILED:
		return ("FAILED");
	}
	wrong("a preview without a status");
}

static void
status_put(json_t *out, enum preview_status status)
{
	aws_put(out, "status", json_string(status_text(status)));
}

enum rc
ecr_start_lifecycle_policy_preview_check(struct call *c, const json_t *in)
{
	struct span text = aws_string(in, "lifecyclePolicyText");

	return (text.p != NULL ? text_check(c, text) : RC_OK);
}

/* The one that was sent, else the repository's own. */
static enum rc
preview_text(struct call *c, const json_t *in, struct span *text_r)
{
	struct lifecycle_row row;
	enum rc rc;

	*text_r = aws_string(in, "lifecyclePolicyText");
	if (text_r->p != NULL)
		return (RC_OK);
	rc = meta_lifecycle_get(c->meta, c->repository, c->arena, &row);
	if (rc == RC_MISSING)
		return (no_policy(c));
	if (rc == RC_OK)
		*text_r = row.text;
	return (rc);
}

enum rc
ecr_start_lifecycle_policy_preview(
    struct call *c, const json_t *in, json_t *out)
{
	struct span text;
	enum rc rc;

	rc = preview_text(c, in, &text);
	if (rc == RC_OK)
		rc = meta_preview_start(
		    c->meta, c->repository, text, clock_real_ms());
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_BUSY)
		return (preview_busy(c));
	if (rc != RC_OK)
		return (rc);
	policy_put(c, out, text);
	status_put(out, PREVIEW_IN_PROGRESS);
	return (RC_OK);
}

/* Images that are named are all told at once. */
enum rc
ecr_get_lifecycle_policy_preview_check(struct call *c, const json_t *in)
{
	const json_t *ids = aws_member(in, "imageIds"), *id;
	size_t i;
	enum rc rc;

	if (ids == NULL)
		return (RC_OK);
	if ((rc = ecr_paging_check(c, in, "imageIds")) != RC_OK)
		return (rc);
	for (i = 0; i < json_array_size(ids); i++) {
		id = json_array_get(ids, i);
		if (aws_member(id, "imageDigest") == NULL &&
		    aws_member(id, "imageTag") == NULL)
			return (aws_invalid(c, "imageIds",
			    "Invalid request parameters: both tag and digest "
			    "cannot be null"));
	}
	return (RC_OK);
}

/*
 * Nothing evaluates policies yet, and the background thread ends each preview
 * as failed.  One that did not complete has no results, of whatever images it
 * is asked, and no sums of them.
 */
enum rc
ecr_get_lifecycle_policy_preview(struct call *c, const json_t *in, json_t *out)
{
	struct preview_row row;
	struct aws_page page;
	enum rc rc;

	if ((rc = aws_page_read(c, in, &page)) != RC_OK)
		return (rc);
	rc = meta_preview_get(c->meta, c->repository, c->arena, &row);
	if (rc == RC_NOTFOUND)
		return (ecr_unknown(c, c->repository));
	if (rc == RC_MISSING)
		return (no_preview(c));
	if (rc != RC_OK)
		return (rc);
	policy_put(c, out, row.text);
	status_put(out, row.status);
	aws_put(out, "previewResults", json_array());
	aws_put(out, "summary", json_object());
	return (RC_OK);
}
