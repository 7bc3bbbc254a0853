#include "auth/policy.h"
#include "base/obj.h"

/*
 * The managed policies of AWS that are about ECR, with the actions they have
 * there, and the one of the administrator.  What they say about other services
 * is kept: it does no harm, and who compares finds no difference.
 */
#define ARN_PREFIX "arn:aws:iam::aws:policy/"

#define ALLOW(actions) \
	"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\"," \
	"\"Action\":[" actions "],\"Resource\":\"*\"}]}"

#define READ_ACTIONS \
	"\"ecr:GetAuthorizationToken\"," \
	"\"ecr:BatchCheckLayerAvailability\"," \
	"\"ecr:GetDownloadUrlForLayer\"," \
	"\"ecr:GetRepositoryPolicy\"," \
	"\"ecr:DescribeRepositories\"," \
	"\"ecr:ListImages\"," \
	"\"ecr:DescribeImages\"," \
	"\"ecr:BatchGetImage\"," \
	"\"ecr:GetLifecyclePolicy\"," \
	"\"ecr:GetLifecyclePolicyPreview\"," \
	"\"ecr:ListTagsForResource\"," \
	"\"ecr:DescribeImageScanFindings\""

#define PUSH_ACTIONS \
	"\"ecr:InitiateLayerUpload\"," \
	"\"ecr:UploadLayerPart\"," \
	"\"ecr:CompleteLayerUpload\"," \
	"\"ecr:PutImage\""

#define PULL_ACTIONS \
	"\"ecr:GetAuthorizationToken\"," \
	"\"ecr:BatchImportUpstreamImage\"," \
	"\"ecr:BatchGetImage\"," \
	"\"ecr:GetDownloadUrlForLayer\""

static const struct {
	const char *name;
	struct span text;
} managed[] = {
	{ "AdministratorAccess", SPAN_INIT(ALLOW("\"*\"")) },
	{ "AmazonEC2ContainerRegistryFullAccess",
	    SPAN_INIT("{\"Version\":\"2012-10-17\",\"Statement\":["
		      "{\"Effect\":\"Allow\",\"Action\":[\"ecr:*\","
		      "\"cloudtrail:LookupEvents\"],\"Resource\":\"*\"},"
		      "{\"Effect\":\"Allow\",\"Action\":["
		      "\"iam:CreateServiceLinkedRole\"],\"Resource\":\"*\","
		      "\"Condition\":{\"StringEquals\":{"
		      "\"iam:AWSServiceName\":["
		      "\"replication.ecr.amazonaws.com\"]}}}]}") },
	{ "AmazonEC2ContainerRegistryPowerUser",
	    SPAN_INIT(ALLOW(READ_ACTIONS "," PUSH_ACTIONS)) },
	{ "AmazonEC2ContainerRegistryPullOnly",
	    SPAN_INIT(ALLOW(PULL_ACTIONS)) },
	{ "AmazonEC2ContainerRegistryReadOnly",
	    SPAN_INIT(ALLOW(READ_ACTIONS)) },
};

struct span
policy_managed(struct span name)
{
	size_t i;

	if (span_has_prefix(name, SPAN(ARN_PREFIX))) {
		name.p += sizeof(ARN_PREFIX) - 1;
		name.n -= sizeof(ARN_PREFIX) - 1;
	}
	for (i = 0; i < ARRAY_LEN(managed); i++)
		if (span_is(name, managed[i].name))
			return (managed[i].text);
	return (SPAN_NONE);
}

const char *
policy_managed_name(size_t i)
{
	return (i < ARRAY_LEN(managed) ? managed[i].name : NULL);
}
