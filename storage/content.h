#ifndef STORAGE_CONTENT_H
#define STORAGE_CONTENT_H

#include <stdint.h>

#include "storage/blob_file.h"
#include "storage/meta.h"
#include "storage/store.h"

/*
 * A blob as a reader of a repository sees it, wherever it lies.
 */
enum content_kind { CONTENT_MEMORY, CONTENT_FILE };

struct content {
	enum content_kind kind;
	uint64_t size_bytes;
	struct span bytes;     /* CONTENT_MEMORY, in the arena */
	struct blob_file file; /* CONTENT_FILE, the caller's to close */
};

/** content_close(c): what is open of it; takes one that is not. */
void content_close(struct content *);

/**
 * content_open(s, repository, digest, mode, arena, c_r):
 * RC_NOTFOUND: not in that repository, or the file is missing or of another
 * size than recorded (logged; a new push heals it).  RC_WOULDBLOCK as in
 * meta.h.  RC_LIMIT: too many open files.  RC_LOCKED: sealed, and its key
 * is not here; RC_CORRUPT: sealed, and not genuine.  What is open stays readable, even
 * if the content is collected meanwhile.
 */
RC_MUST_USE enum rc content_open(struct store *, struct span repository,
    const struct digest *, enum read_mode, struct arena *, struct content *c_r);

/** content_stat(...): the same without opening it for the caller.  With RC_OK
 * it stays where it is for a grace time (lease.h), so a client may be told that
 * it need not be sent.  RC_WOULDBLOCK also while the collector is at it. */
RC_MUST_USE enum rc
content_stat(struct store *, struct span repository, const struct digest *,
    enum read_mode, struct arena *, uint64_t *size_bytes_r);

#endif
