#include "registryd/permissions.h"

#include <string.h>

#define PULL_ANY "ecr:DescribeRepositories|ecr:ListImages|ecr:BatchGetImage"

/* clang-format off */
const struct permission permissions[] = {
	/* The distribution API. */
	{ "manifest-get", ACCESS_REPOSITORY, "ecr:BatchGetImage", NULL },
	/* Whoever may have the bytes may ask whether they are there. */
	{ "blob-get", ACCESS_REPOSITORY, "ecr:GetDownloadUrlForLayer",
	    "ecr:BatchCheckLayerAvailability|ecr:GetDownloadUrlForLayer" },
	{ "version", ACCESS_KNOWN, "", NULL },
	{ "upload-post", ACCESS_REPOSITORY, "ecr:InitiateLayerUpload", NULL },
	{ "upload-patch", ACCESS_REPOSITORY, "ecr:UploadLayerPart", NULL },
	{ "upload-put", ACCESS_REPOSITORY,
	    "ecr:UploadLayerPart ecr:CompleteLayerUpload", NULL },
	{ "upload-status", ACCESS_REPOSITORY, "ecr:UploadLayerPart", NULL },
	{ "upload-cancel", ACCESS_REPOSITORY, "ecr:UploadLayerPart", NULL },
	{ "manifest-put", ACCESS_REPOSITORY, "ecr:PutImage", NULL },
	{ "tags-list", ACCESS_REPOSITORY, "ecr:ListImages", NULL },
	{ "referrers-list", ACCESS_REPOSITORY, "ecr:BatchGetImage", NULL },
	{ "catalog-list", ACCESS_LISTED, PULL_ANY, NULL },
	{ "manifest-delete", ACCESS_REPOSITORY, "ecr:BatchDeleteImage", NULL },
	{ "blob-delete", ACCESS_REPOSITORY, "ecr:BatchDeleteImage", NULL },
	/* Tokens, and the AWS protocols. */
	{ "token", ACCESS_SELF, "", NULL },
	{ "aws", ACCESS_SELF, "", NULL },
	{ "GetCallerIdentity", ACCESS_KNOWN, "", NULL },
	{ "GetSessionToken", ACCESS_KNOWN, "", NULL },
	{ "GetAuthorizationToken", ACCESS_REGISTRY,
	    "ecr:GetAuthorizationToken", NULL },
	/* With tags it asks for ecr:TagResource too. */
	{ "CreateRepository", ACCESS_REPOSITORY, "ecr:CreateRepository",
	    NULL },
	{ "DescribeRepositories", ACCESS_LISTED, "ecr:DescribeRepositories",
	    NULL },
	{ "DeleteRepository", ACCESS_REPOSITORY, "ecr:DeleteRepository",
	    NULL },
	{ "SetRepositoryPolicy", ACCESS_REPOSITORY, "ecr:SetRepositoryPolicy",
	    NULL },
	{ "GetRepositoryPolicy", ACCESS_REPOSITORY, "ecr:GetRepositoryPolicy",
	    NULL },
	{ "DeleteRepositoryPolicy", ACCESS_REPOSITORY,
	    "ecr:DeleteRepositoryPolicy", NULL },
	{ "PutRegistryPolicy", ACCESS_REGISTRY, "ecr:PutRegistryPolicy",
	    NULL },
	{ "GetRegistryPolicy", ACCESS_REGISTRY, "ecr:GetRegistryPolicy",
	    NULL },
	{ "DeleteRegistryPolicy", ACCESS_REGISTRY, "ecr:DeleteRegistryPolicy",
	    NULL },
	/* About the server. */
	{ "health-live", ACCESS_OPEN, "", NULL },
	{ "health-ready", ACCESS_OPEN, "", NULL },
	/* On the listener of its own: open. */
	{ "metrics", ACCESS_REGISTRY, "ecr:DescribeRegistry", NULL },
	{ "control-stats", ACCESS_LOCAL, "", NULL },
	{ "control-fsck", ACCESS_LOCAL, "", NULL },
	{ "control-job", ACCESS_LOCAL, "", NULL },
	{ "control-job-cancel", ACCESS_LOCAL, "", NULL },
	{ "control-iam", ACCESS_LOCAL, "", NULL },
};
/* clang-format on */

const size_t n_permissions = sizeof(permissions) / sizeof(permissions[0]);

const struct permission *
permission_find(const char *name)
{
	size_t i;

	for (i = 0; i < n_permissions; i++)
		if (strcmp(permissions[i].name, name) == 0)
			return (&permissions[i]);
	return (NULL);
}
