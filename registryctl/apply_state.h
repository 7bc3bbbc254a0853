#ifndef REGISTRYCTL_APPLY_STATE_H
#define REGISTRYCTL_APPLY_STATE_H

#include <jansson.h>
#include <stdbool.h>

#include "registryctl/apply_types.h"
#include "registryctl/ecr_client.h"

/*
 * What the registry has of a resource, in its normal form, and how that is
 * changed: by the operations of the ECR API.  All: as ecr_client_call(), whose
 * .why tells of any code but RC_OK.
 */

/** resource_read(client, kind, id, normal_r): the caller's; NULL with RC_OK: it
 * is not there. */
RC_MUST_USE enum rc resource_read(
    struct ecr_client *, enum resource_kind, const char *id, json_t **normal_r);

/** resource_list(client, kind, list_r): all that there are, sorted as the
 * registry has them: an array of {"id","normal"}, the caller's. */
RC_MUST_USE enum rc
resource_list(struct ecr_client *, enum resource_kind, json_t **list_r);

/** resource_repository(client, row, normal_r): with its policies and tags, of
 * what DescribeRepositories says of it; NULL with RC_OK: it went meanwhile. */
RC_MUST_USE enum rc
resource_repository(struct ecr_client *, const json_t *row, json_t **normal_r);

/** resource_create(client, kind, id, normal): one that is not there. */
RC_MUST_USE enum rc resource_create(struct ecr_client *, enum resource_kind,
    const char *id, const json_t *normal);

/** resource_change(client, kind, id, is, normal): from ${is} to ${normal}, what
 * differs of it alone. */
RC_MUST_USE enum rc resource_change(struct ecr_client *, enum resource_kind,
    const char *id, const json_t *is, const json_t *normal);

/** resource_delete(client, kind, id, empty): a repository with its images when
 * ${empty}, else only an empty one.  One that is not there is deleted. */
RC_MUST_USE enum rc resource_delete(
    struct ecr_client *, enum resource_kind, const char *id, bool empty);

/** resource_has_images(client, id, has_r): of a repository; also archived
 * ones. */
RC_MUST_USE enum rc
resource_has_images(struct ecr_client *, const char *id, bool *has_r);

#endif
