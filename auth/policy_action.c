#include <assert.h>
#include <string.h>

#include "auth/policy_int.h"
#include "base/obj.h"

/*
 * Actions.  The names of ECR's are known, so each statement has a set of those
 * that its patterns match, made when it is parsed; what is not in the list
 * (actions of other services) is compared with the patterns themselves.
 */
/* Ordered without case, for the search. */
static const char *const actions[] = {
	"ecr:BatchCheckLayerAvailability",
	"ecr:BatchDeleteImage",
	"ecr:BatchGetImage",
	"ecr:BatchGetRepositoryScanningConfiguration",
	"ecr:BatchImportUpstreamImage",
	"ecr:CompleteLayerUpload",
	"ecr:CreatePullThroughCacheRule",
	"ecr:CreateRepository",
	"ecr:CreateRepositoryCreationTemplate",
	"ecr:DeleteLifecyclePolicy",
	"ecr:DeletePullThroughCacheRule",
	"ecr:DeleteRegistryPolicy",
	"ecr:DeleteRepository",
	"ecr:DeleteRepositoryCreationTemplate",
	"ecr:DeleteRepositoryPolicy",
	"ecr:DeleteSigningConfiguration",
	"ecr:DeregisterPullTimeUpdateExclusion",
	"ecr:DescribeImageReplicationStatus",
	"ecr:DescribeImages",
	"ecr:DescribeImageScanFindings",
	"ecr:DescribeImageSigningStatus",
	"ecr:DescribePullThroughCacheRules",
	"ecr:DescribeRegistry",
	"ecr:DescribeReplicationBackfillResults",
	"ecr:DescribeRepositories",
	"ecr:DescribeRepositoryCreationTemplates",
	"ecr:GetAccountSetting",
	"ecr:GetAuthorizationToken",
	"ecr:GetDownloadUrlForLayer",
	"ecr:GetLifecyclePolicy",
	"ecr:GetLifecyclePolicyPreview",
	"ecr:GetRegistryPolicy",
	"ecr:GetRegistryScanningConfiguration",
	"ecr:GetRepositoryPolicy",
	"ecr:GetSigningConfiguration",
	"ecr:InitiateLayerUpload",
	"ecr:ListImages",
	"ecr:ListPullTimeUpdateExclusions",
	"ecr:ListReplicationBackfills",
	"ecr:ListTagsForResource",
	"ecr:PutAccountSetting",
	"ecr:PutImage",
	"ecr:PutImageScanningConfiguration",
	"ecr:PutImageTagMutability",
	"ecr:PutLifecyclePolicy",
	"ecr:PutRegistryPolicy",
	"ecr:PutRegistryScanningConfiguration",
	"ecr:PutReplicationConfiguration",
	"ecr:PutSigningConfiguration",
	"ecr:RegisterPullTimeUpdateExclusion",
	"ecr:ReplicateImage",
	"ecr:SetRepositoryPolicy",
	"ecr:StartImageScan",
	"ecr:StartLifecyclePolicyPreview",
	"ecr:StartReplicationBackfill",
	"ecr:StopReplicationBackfill",
	"ecr:TagResource",
	"ecr:UntagResource",
	"ecr:UpdateImageStorageClass",
	"ecr:UpdatePullThroughCacheRule",
	"ecr:UpdateRepositoryCreationTemplate",
	"ecr:UploadLayerPart",
	"ecr:ValidatePullThroughCacheRule",
};

static_assert(ARRAY_LEN(actions) <= POLICY_ACTION_WORDS * 64,
    "a set of actions has a bit for each");

int
policy_action_number(struct span action)
{
	size_t low = 0, high = ARRAY_LEN(actions), mid;
	size_t n;
	int d;

	if (action.n == 0)
		return (-1);
	while (low < high) {
		mid = low + (high - low) / 2;
		n = strlen(actions[mid]);
		d = strncasecmp(
		    action.p, actions[mid], action.n < n ? action.n : n);
		if (d == 0)
			d = (action.n > n) - (action.n < n);
		if (d == 0)
			return ((int)mid);
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return (-1);
}

bool
policy_action_known(struct span action)
{
	return (policy_action_number(action) >= 0);
}

/* action = "*" / service ":" name, wildcards in the name */
static bool
action_ok(struct span text)
{
	struct span service, name = text;
	size_t i;
	char c;

	if (span_is(text, "*") || span_is(text, "*:*"))
		return (true);
	if (!span_split(&name, ':', &service) || service.n == 0 || name.n == 0)
		return (false);
	for (i = 0; i < text.n; i++) {
		c = text.p[i];
		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		    i == service.n)
			continue;
		if ((c == '*' || c == '?') && i > service.n)
			continue;
		return (false);
	}
	return (true);
}

/* The set of the known ones that ${pattern} matches; how many. */
static size_t
actions_mark(
    const struct policy_pattern *pattern, uint64_t set[POLICY_ACTION_WORDS])
{
	size_t i, n = 0;

	for (i = 0; i < ARRAY_LEN(actions); i++) {
		if (policy_pattern_match(
			pattern, NULL, span_of(actions[i]), true) != POLICY_YES)
			continue;
		set[i / 64] |= UINT64_C(1) << (i % 64);
		n++;
	}
	return (n);
}

static enum rc
action_read(struct policy_reader *r, struct span text,
    struct policy_pattern *pattern_r, uint64_t set[POLICY_ACTION_WORDS])
{
	struct policy_reader plain = *r;
	size_t n;
	enum rc rc;

	if (!action_ok(text))
		return (policy_refuse(r, text,
		    "must be \"*\" or SERVICE:ACTION, as "
		    "\"ecr:BatchGetImage\" or \"ecr:Get*\""));
	/* There are no variables in actions. */
	plain.variables = false;
	rc = policy_pattern_compile(&plain, text, true, pattern_r);
	if (rc != RC_OK)
		return (rc);
	n = actions_mark(pattern_r, set);
	if (n == 0 && r->kind != POLICY_IDENTITY)
		return (policy_refuse(r, text, "is not an action of ECR"));
	return (RC_OK);
}

enum rc
policy_actions_read(
    struct policy_reader *r, const json_t *v, struct policy_statement *st)
{
	struct policy_pattern *list;
	struct span text;
	enum rc rc;
	size_t i;

	rc = policy_list_alloc(r, v, sizeof(*list), &list, &st->n_actions);
	for (i = 0; rc == RC_OK && i < st->n_actions; i++)
		if ((rc = policy_list_str(r, v, i, &text)) == RC_OK)
			rc = action_read(r, text, &list[i], st->actions);
	if (rc == RC_OK)
		st->action_patterns = list;
	return (rc);
}

static bool
patterns_match(const struct policy_statement *st, struct policy_asking *a)
{
	size_t i;

	for (i = 0; i < st->n_actions; i++)
		if (policy_pattern_match(&st->action_patterns[i], NULL,
			a->request->action, true) == POLICY_YES)
			return (true);
	return (false);
}

bool
policy_actions_match(const struct policy_statement *st, struct policy_asking *a)
{
	bool matches;

	if (a->action >= 0)
		matches = (st->actions[a->action / 64] >> (a->action % 64)) & 1;
	else
		matches = patterns_match(st, a);
	return (matches != st->not_action);
}
