#ifndef API_DOWNLOAD_H
#define API_DOWNLOAD_H

#include "registryd/call.h"

/*
 * GET /download/NAME/blobs/DIGEST?token=...: a layer for whoever has its URL,
 * which GetDownloadUrlForLayer gave out.  As AWS's URLs it is worth what the
 * credentials it was made with are worth, and ends with them: when it is used
 * its principal must still be there, with the same key, and may still do
 * ecr:GetDownloadUrlForLayer from where the request comes.
 */

/** download_url(c, d, url_r): of ${d} in c->repository for c->who, good for
 * the time that is configured, or as long as c's own credentials if that is
 * less; in the arena.  RC_FAILED: a principal whose name is too long for it. */
RC_MUST_USE enum rc
download_url(struct call *, const struct digest *, const char **url_r);

/** download_get(c): the contract of call.h; HEAD and Range too.  A URL that is
 * wrong, expired or no longer worth anything is DENIED. */
RC_MUST_USE enum rc download_get(struct call *);

#endif
