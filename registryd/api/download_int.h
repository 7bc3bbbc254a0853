#ifndef API_DOWNLOAD_INT_H
#define API_DOWNLOAD_INT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

/*
 * What the token of a download URL holds, before it is sealed; for download.c
 * and its tests.
 */
#define DOWNLOAD_PLAIN_MAX_BYTES 2048
#define DOWNLOAD_TOKEN_MAX_BYTES 4096 /* as text, that we take */

struct download_grant {
	int64_t issued_ms, expires_ms;
	struct span account, user, access_key; /* of whom it was given to; empty
						  with `auth: none` */
};

/** download_grant_write(g, out): ${out} is made, and to be freed in any case.
 * False: one of its texts has more than 255 bytes. */
bool download_grant_write(const struct download_grant *, struct buf *out);

/** download_grant_read(plain, g_r): its spans borrow from ${plain}.  False: it
 * is none. */
bool download_grant_read(struct span plain, struct download_grant *g_r);

#endif
