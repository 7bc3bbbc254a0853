#ifndef API_ECR_LAYERS_INT_H
#define API_ECR_LAYERS_INT_H

#include "registryd/api/ecr_int.h"
#include "storage/upload.h"

/*
 * What the operations on layers share (ecr_layers.c).  Their uploads are the
 * sessions of the distribution API: either API goes on with what the other has
 * begun.
 */

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and a NUL. */
#define ECR_UPLOAD_ID_BYTES 37

/** ecr_upload_session(in, session_r): the session that the member uploadId of a
 * validated input names. */
void ecr_upload_session(const json_t *in, char session_r[UPLOAD_ID_BYTES]);

/** ecr_upload_id_text(session, out): as this API writes it; returns ${out}. */
const char *
ecr_upload_id_text(const char *session, char out[ECR_UPLOAD_ID_BYTES]);

/** ecr_layers_repository(c): RC_FAILED with RepositoryNotFoundException. */
RC_MUST_USE enum rc ecr_layers_repository(struct call *);

/**
 * ecr_upload_acquire(c, session, u_r):
 * Of a repository that is there; to be released.  RC_FAILED with
 * RepositoryNotFoundException or UploadNotFoundException, or, when another
 * request is at it, ServiceUnavailableException.
 */
RC_MUST_USE enum rc
ecr_upload_acquire(struct call *, const char *session, struct upload **u_r);

/** ecr_put_upload(c, out, session): registryId, repositoryName, uploadId. */
void ecr_put_upload(const struct call *, json_t *out, const char *session);

#endif
