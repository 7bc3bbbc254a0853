#ifndef API_OCI_H
#define API_OCI_H

#include "registryd/call.h"
#include "storage/meta.h"

/*
 * The handlers of the OCI distribution API, one file for each noun of the
 * specification.  All have the contract of call.h.
 */

/* oci_base.c: GET /v2/, and what the nouns share. */
RC_MUST_USE enum rc oci_version(struct call *);

/* oci_manifests.c */
RC_MUST_USE enum rc oci_manifest_get(struct call *); /* HEAD too */
RC_MUST_USE enum rc oci_manifest_put(struct call *);
RC_MUST_USE enum rc oci_manifest_delete(struct call *);

/* oci_blobs.c */
RC_MUST_USE enum rc oci_blob_get(struct call *); /* HEAD too */
RC_MUST_USE enum rc oci_blob_delete(struct call *);

/* oci_uploads.c */
RC_MUST_USE enum rc oci_upload_post(struct call *);
RC_MUST_USE enum rc oci_upload_post_begin(struct call *);
RC_MUST_USE enum rc oci_upload_post_finish(struct call *);
RC_MUST_USE enum rc oci_upload_patch(struct call *);
RC_MUST_USE enum rc oci_upload_patch_begin(struct call *);
RC_MUST_USE enum rc oci_upload_patch_finish(struct call *);
RC_MUST_USE enum rc oci_upload_put(struct call *);
RC_MUST_USE enum rc oci_upload_put_begin(struct call *);
RC_MUST_USE enum rc oci_upload_put_finish(struct call *);
RC_MUST_USE enum rc oci_upload_status(struct call *);
RC_MUST_USE enum rc oci_upload_cancel(struct call *);

/* oci_tags.c, oci_catalog.c, oci_referrers.c */
RC_MUST_USE enum rc oci_tags_list(struct call *);
RC_MUST_USE enum rc oci_catalog_list(struct call *);
RC_MUST_USE enum rc oci_referrers_list(struct call *);

#endif
