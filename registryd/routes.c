#include "registryd/api/aws.h"
#include "registryd/api/download.h"
#include "registryd/api/oci.h"
#include "registryd/api/service.h"
#include "registryd/api/token.h"
#include "registryd/route.h"
#include "registryd/settings.h"

/*
 * Everything this server answers.  The rows that clients ask for most stand
 * first, because the table is searched in order.
 */
#define PUBLIC (1u << ROLE_PUBLIC)
#define CONTROL (1u << ROLE_CONTROL)
#define HEALTH (1u << ROLE_PUBLIC | 1u << ROLE_METRICS | 1u << ROLE_CONTROL)
#define METRICS (1u << ROLE_PUBLIC | 1u << ROLE_METRICS)

static uint64_t
manifest_max(const struct call *c)
{
	return (c->settings->manifest_bytes);
}

const struct route routes[] = {
	/* Pulling. */
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/{name}/manifests/{reference}",
	    .name = "manifest-get",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = oci_manifest_get,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/{name}/blobs/{digest}",
	    .name = "blob-get",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = oci_blob_get,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/download/{name}/blobs/{digest}",
	    .name = "layer-download",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = download_get,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/",
	    .name = "version",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = oci_version,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/v2",
	    .name = "version",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = oci_version,
	    .roles = PUBLIC,
	},
	/* Pushing. */
	{
	    .method = HTTP_POST,
	    .pattern = "/v2/{name}/blobs/uploads/",
	    .name = "upload-post",
	    .body = BODY_STREAM,
	    .run = RUN_INLINE,
	    .handler = oci_upload_post,
	    .begin = oci_upload_post_begin,
	    .finish = oci_upload_post_finish,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_POST,
	    .pattern = "/v2/{name}/blobs/uploads",
	    .name = "upload-post",
	    .body = BODY_STREAM,
	    .run = RUN_INLINE,
	    .handler = oci_upload_post,
	    .begin = oci_upload_post_begin,
	    .finish = oci_upload_post_finish,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_PATCH,
	    .pattern = "/v2/{name}/blobs/uploads/{session}",
	    .name = "upload-patch",
	    .body = BODY_STREAM,
	    .run = RUN_WORKER,
	    .handler = oci_upload_patch,
	    .begin = oci_upload_patch_begin,
	    .finish = oci_upload_patch_finish,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_PUT,
	    .pattern = "/v2/{name}/blobs/uploads/{session}",
	    .name = "upload-put",
	    .body = BODY_STREAM,
	    .run = RUN_WORKER,
	    .handler = oci_upload_put,
	    .begin = oci_upload_put_begin,
	    .finish = oci_upload_put_finish,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/{name}/blobs/uploads/{session}",
	    .name = "upload-status",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = oci_upload_status,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_DELETE,
	    .pattern = "/v2/{name}/blobs/uploads/{session}",
	    .name = "upload-cancel",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = oci_upload_cancel,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_PUT,
	    .pattern = "/v2/{name}/manifests/{reference}",
	    .name = "manifest-put",
	    .body = BODY_COLLECT,
	    .run = RUN_WORKER,
	    .handler = oci_manifest_put,
	    .max_body = manifest_max,
	    .roles = PUBLIC,
	},
	/* Finding. */
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/{name}/tags/list",
	    .name = "tags-list",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = oci_tags_list,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/{name}/referrers/{digest}",
	    .name = "referrers-list",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = oci_referrers_list,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/v2/_catalog",
	    .name = "catalog-list",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = oci_catalog_list,
	    .roles = PUBLIC,
	},
	/* Deleting. */
	{
	    .method = HTTP_DELETE,
	    .pattern = "/v2/{name}/manifests/{reference}",
	    .name = "manifest-delete",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = oci_manifest_delete,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_DELETE,
	    .pattern = "/v2/{name}/blobs/{digest}",
	    .name = "blob-delete",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = oci_blob_delete,
	    .roles = PUBLIC,
	},
	/* Coming in, and the AWS protocols. */
	{
	    .method = HTTP_GET,
	    .pattern = "/token",
	    .name = "token",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = token_get,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_POST,
	    .pattern = "/token",
	    .name = "token",
	    .body = BODY_COLLECT,
	    .run = RUN_WORKER,
	    .prepare = token_post_begin,
	    .handler = token_post,
	    .max_body = token_body_max,
	    .roles = PUBLIC,
	},
	/* STS, presigned. */
	{
	    .method = HTTP_GET,
	    .pattern = "/",
	    .name = "aws",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .prepare = aws_begin,
	    .handler = aws_handle,
	    .roles = PUBLIC,
	},
	{
	    .method = HTTP_POST,
	    .pattern = "/",
	    .name = "aws",
	    .body = BODY_COLLECT,
	    .run = RUN_WORKER,
	    .prepare = aws_begin,
	    .handler = aws_handle,
	    .begin = aws_stream_begin,
	    .finish = aws_handle,
	    .streams = aws_streams,
	    .max_body = aws_body_max,
	    .roles = PUBLIC,
	},
	/* About the server. */
	{
	    .method = HTTP_GET,
	    .pattern = "/healthz",
	    .name = "health-live",
	    .body = BODY_NONE,
	    .run = RUN_INLINE,
	    .handler = health_live,
	    .roles = HEALTH,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/readyz",
	    .name = "health-ready",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = health_ready,
	    .roles = HEALTH,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/metrics",
	    .name = "metrics",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = metrics_show,
	    .roles = METRICS,
	},
	/* What registryctl asks through DIR/control.sock. */
	{
	    .method = HTTP_GET,
	    .pattern = "/control/stats",
	    .name = "control-stats",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = control_stats,
	    .roles = CONTROL,
	},
	{
	    .method = HTTP_POST,
	    .pattern = "/control/fsck",
	    .name = "control-fsck",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = control_fsck,
	    .roles = CONTROL,
	},
	{
	    .method = HTTP_POST,
	    .pattern = "/control/iam",
	    .name = "control-iam",
	    .body = BODY_COLLECT,
	    .run = RUN_WORKER,
	    .handler = control_iam,
	    .max_body = control_body_max,
	    .roles = CONTROL,
	},
	{
	    .method = HTTP_GET,
	    .pattern = "/control/jobs/{job}",
	    .name = "control-job",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = control_job,
	    .roles = CONTROL,
	},
	{
	    .method = HTTP_DELETE,
	    .pattern = "/control/jobs/{job}",
	    .name = "control-job-cancel",
	    .body = BODY_NONE,
	    .run = RUN_WORKER,
	    .handler = control_job_cancel,
	    .roles = CONTROL,
	},
};

const size_t n_routes = sizeof(routes) / sizeof(routes[0]);
