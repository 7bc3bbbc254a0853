#ifndef STORAGE_META_H
#define STORAGE_META_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/manifest.h"
#include "base/name.h"
#include "base/rc.h"
#include "base/span.h"

/*
 * The seam for metadata.  Operations are whole transactions in the words of
 * the domain, never keys and values, so that a store in SQL can stand here
 * as well as LMDB does today.
 *
 * Reads: one consistent view each; what they return is copied into the
 * caller's arena.  A read that was asked READ_INLINE and would have to touch a
 * large value gives RC_WOULDBLOCK and is asked again READ_BLOCKING from a
 * worker.  Any read: RC_TOOBIG past the arena's cap, RC_IO, RC_CORRUPT.
 *
 * Changes: return when they are durable (they survive the loss of power);
 * workers only, unless said otherwise.  A change that fails changed nothing.
 * Any change: RC_NOSPACE, RC_READONLY, RC_IO.
 *
 * Of repositories that are encrypted (storage/keys.h) whatever reads or writes
 * content or annotations: RC_LOCKED: the key is not here; RC_CORRUPT: not what
 * was sealed there.  What makes such a repository: RC_LOCKED: there is no
 * master key.
 *
 * Times are milliseconds since 1970.  Threads: any.
 */
struct meta;
struct repository_preset; /* storage/repositories.h */

enum read_mode { READ_INLINE, READ_BLOCKING };

/* A page of names in byte order. */
struct page {
	struct span *items;
	size_t n;
	bool more; /* there are names behind the last one */
};

/* Repositories. */

struct repository_row {
	uint64_t id;
	int64_t created_ms;
};

/** meta_repository_get(m, name, row_r): RC_NOTFOUND. */
RC_MUST_USE enum rc meta_repository_get(
    struct meta *, struct span name, struct repository_row *row_r);

/** meta_repository_page(m, last, n, arena, page_r): names after ${last}. */
RC_MUST_USE enum rc meta_repository_page(struct meta *, struct span last,
    size_t n, struct arena *, struct page *page_r);

/* Tags. */

/** meta_tag_page(m, repository, last, n, arena, page_r): RC_NOTFOUND: no such
 * repository. */
RC_MUST_USE enum rc meta_tag_page(struct meta *, struct span repository,
    struct span last, size_t n, struct arena *, struct page *page_r);

/** meta_tag_delete(m, repository, tag): the tag only.  RC_NOTFOUND. */
RC_MUST_USE enum rc
meta_tag_delete(struct meta *, struct span repository, struct span tag);

/* Manifests. */

enum image_status { /* stored: never renumber */
	IMAGE_ACTIVE = 1,
	IMAGE_ARCHIVED = 2,
	IMAGE_ACTIVATING = 3, /* to be restored, when what it needs is back from
				 the archive: not pulled until then */
};

struct manifest_row {
	struct digest digest;
	struct span media_type;
	struct span artifact_type; /* may be empty */
	uint64_t size_bytes;
	int64_t pushed_ms;
	int64_t pulled_ms; /* 0: never */
	bool has_subject;
	struct digest subject;
	enum image_status status; /* only one that is active is pulled */
	bool archived;		  /* IMAGE_ARCHIVED */
	struct span text;	  /* with MANIFEST_TEXT only */
};

enum manifest_want { MANIFEST_ROW, MANIFEST_TEXT };

/** meta_manifest_get(m, repository, ref, want, mode, arena, row_r):
 * By tag or digest.  RC_NOTFOUND: no such repository, tag or manifest. */
RC_MUST_USE enum rc meta_manifest_get(struct meta *, struct span repository,
    const struct reference *, enum manifest_want, enum read_mode,
    struct arena *, struct manifest_row *row_r);

/*
 * What a manifest may reference without its being in the repository:
 * nothing; the children of an index; anything.  Never needed: a subject and
 * nondistributable layers.
 */
enum sparse { SPARSE_NONE, SPARSE_INDEX, SPARSE_ALL };

/* Quotas that a change may run into; 0: none. */
struct manifest_quota {
	uint64_t images; /* of the repository */
	uint64_t tags;	 /* of the image */
};

enum manifest_limit { LIMIT_REPOSITORIES, LIMIT_IMAGES, LIMIT_TAGS };

/* How many of the things that are missing are named. */
#define META_MISSING_SHOWN 16

struct manifest_put {
	struct span repository;
	struct digest digest; /* of ${text}, verified by the caller */
	struct span text;
	const struct manifest *manifest; /* ${text} parsed */
	const struct span *tags;
	size_t n_tags;
	enum sparse sparse;
	struct manifest_quota quota;
	/* What to make the repository as when it is not there; NULL: not. */
	const struct repository_preset *create;
	bool must_change; /* RC_REFERENCED when the manifest is here, not
			     archived, and has the tags already */
	bool scan; /* queue a scan, as the repository's own settings may too,
		      when the manifest was not here and is ${scannable} */
	bool scannable;
	struct image_list *restored; /* who came back from the archive by it, it
					among them; or NULL */
	/* It comes from the registry that the cache keeps copies of: mark it
	 * and its tags (storage/imports.h); else such marks go. */
	bool import;
	/* Where it is to be sent (storage/replication.h), when the manifest was
	 * not here, or not active, or a tag moved or is new: a task for each
	 * destination and tag, or for each destination. */
	const struct span *destinations;
	size_t n_destinations;
	int64_t now_ms;
};

struct manifest_put_result {
	bool existed; /* the manifest was here; its time of push is kept */
	/* With RC_MISSING: config and layers, else children; not more than
	 * those of the kind that is told first. */
	struct digest missing[META_MISSING_SHOWN];
	size_t n_missing;
	bool more_missing;
	enum edge_kind missing_kind; /* of the first */
	struct span immutable_tag;   /* with RC_EXISTS; of put->tags */
	enum manifest_limit limit;   /* with RC_LIMIT */
};

/**
 * meta_manifest_put(m, put, result_r):
 * Make a manifest visible with its edges, its place among the referrers of
 * its subject and its tags, all in one transaction.  RC_NOTFOUND: no such
 * repository and none to be created.  RC_MISSING: something it references is
 * not in the repository, or is an image that is archived; ${result_r} tells
 * what.  RC_EXISTS: one of the tags points at another manifest, and the
 * repository's settings make it immutable.  RC_LIMIT: a quota.  An archived
 * image that is pushed again is restored, an index with what it needs, as by
 * meta_image_status_set().
 */
RC_MUST_USE enum rc meta_manifest_put(struct meta *,
    const struct manifest_put *, struct manifest_put_result *result_r);

/* Who still references what was to be deleted. */
#define META_HOLDERS_SHOWN 8
struct holding {
	struct digest by[META_HOLDERS_SHOWN]; /* manifests, the first few */
	size_t n;
	bool more;
};

/** meta_manifest_delete(m, repository, digest, holding_r):
 * The manifest with all of its tags.  It can be restored for as long as
 * storage/deleted.h says.  RC_NOTFOUND; RC_REFERENCED: indexes of the
 * repository hold it. */
RC_MUST_USE enum rc meta_manifest_delete(struct meta *, struct span repository,
    const struct digest *, struct holding *holding_r);

/** meta_manifest_pulled(m, repository, digest, now_ms):
 * Note a pull.  Never waits nor fails: notes are gathered and written with a
 * later commit, and the latest wins.  One of before the manifest was pushed,
 * or of a repository that is gone, is dropped.  Loop or worker. */
void meta_manifest_pulled(struct meta *, struct span repository,
    const struct digest *, int64_t now_ms);

struct referrer_row {
	struct digest digest;
	struct span media_type;
	struct span artifact_type; /* may be empty */
	struct span annotations;   /* JSON object text, may be empty */
	uint64_t size_bytes;
};

struct referrer_query {
	struct span repository;
	struct digest subject;
	struct span artifact_type;  /* empty: any */
	const struct digest *after; /* NULL: from the first */
	size_t max_rows;
	size_t max_bytes; /* of annotations and types on one page; at least
			     one row is returned */
};

struct referrer_page {
	struct referrer_row *rows; /* by digest */
	size_t n;
	bool more;
};

/** meta_referrer_page(m, query, mode, arena, page_r): an unknown repository or
 * subject has no referrers: RC_OK. */
RC_MUST_USE enum rc
meta_referrer_page(struct meta *, const struct referrer_query *, enum read_mode,
    struct arena *, struct referrer_page *page_r);

/* Blobs. */

/* Where content lies and how it is written there.  Stored: never renumber. */
enum blob_location {
	BLOB_IN_META = 1,
	BLOB_IN_FILE = 2,
	BLOB_IN_ARCHIVE = 3, /* not to be read, linked or referenced by what is
				pushed, until it is back or is pushed again */
};
enum blob_encoding { BLOB_PLAIN = 1, BLOB_ZSTD = 2 };

/* Content is one copy per (key domain, digest); 0 is "not encrypted". */
#define KEY_DOMAIN_PLAIN 0

struct blob_row {
	uint64_t size_bytes;
	enum blob_location location;
	enum blob_encoding encoding;
	uint32_t key_domain;
	int64_t created_ms;
	bool idle; /* no image of the repository that is neither archived nor
		      deleted needs it: without a lease it may go */
	struct span content; /* with BLOB_CONTENT, of BLOB_IN_META */
};

enum blob_want { BLOB_ROW, BLOB_CONTENT };

/** meta_blob_get(m, repository, digest, want, mode, arena, row_r):
 * RC_NOTFOUND: no such repository, or not linked in it, or quarantined, or in
 * the archive, or hidden since deleted images alone need it.  What a client is
 * to be told of an idle one needs a lease: content_stat() takes it. */
RC_MUST_USE enum rc
meta_blob_get(struct meta *, struct span repository, const struct digest *,
    enum blob_want, enum read_mode, struct arena *, struct blob_row *row_r);

struct blob_put {
	struct span repository;
	struct digest digest; /* verified */
	uint64_t size_bytes;
	enum blob_location location; /* BLOB_IN_FILE: already durable there, */
	uint32_t key_domain;	     /* as of this domain */
	struct span content;	     /* BLOB_IN_META; as it is */
	struct span upload_id; /* the session that ends with it, or empty */
	const struct repository_preset *create; /* NULL: not */
	int64_t now_ms;
};

/** meta_blob_put(m, put): record, link and end the session.  A record that is
 * there already is healed by the new content.  RC_NOTFOUND: repository;
 * RC_LIMIT: there are as many repositories as there may be; RC_BUSY: the
 * repository is not of the key domain that its file was placed for, as it was
 * made meanwhile, or made anew: to be placed once more. */
RC_MUST_USE enum rc meta_blob_put(struct meta *, const struct blob_put *);

struct blob_mount {
	struct span from;
	struct span to;
	struct digest digest;
	const struct repository_preset *create; /* NULL: not */
	int64_t now_ms;
};

/** meta_blob_mount(m, mount): link what ${from} holds into ${to}.
 * RC_NOTFOUND: not in ${from}; or it is of another key domain than ${to}; or no
 * ${to} and none to be created.  RC_LIMIT:
 * as of meta_blob_put. */
RC_MUST_USE enum rc meta_blob_mount(struct meta *, const struct blob_mount *);

/** meta_blob_holders(m, to, create, digest, max, arena, page_r): the names of
 * up to ${max} repositories in which the blob is linked, and not hidden, and
 * out of which it could be mounted into ${to}: of the same key domain as that,
 * or as it would be made. */
RC_MUST_USE enum rc meta_blob_holders(struct meta *, struct span to,
    const struct repository_preset *create, const struct digest *, size_t max,
    struct arena *, struct page *page_r);

/** meta_blob_unlink(m, repository, digest, holding_r): RC_NOTFOUND, also when
 * it is hidden;
 * RC_REFERENCED: manifests of the repository need it; ${holding_r} is empty
 * when all that do were deleted and can be restored. */
RC_MUST_USE enum rc meta_blob_unlink(struct meta *, struct span repository,
    const struct digest *, struct holding *holding_r);

/* Upload sessions: the rows; upload.h holds the life of a session. */

#define UPLOAD_ID_BYTES 33 /* 32 hex digits and a NUL */

struct upload_row {
	char id[UPLOAD_ID_BYTES];
	struct span repository;
	uint8_t alg; /* enum digest_alg the content is hashed with */
	int64_t started_ms;
	uint32_t parts;	  /* of UploadLayerPart */
	bool short_part;  /* the last one was shorter than parts may be */
	bool short_inner; /* one before the last was */
};

/** meta_upload_add(m, row): queued, not waited for: it is durable with the
 * next commit.  Loop or worker.  RC_BUSY: the queue is full. */
RC_MUST_USE enum rc meta_upload_add(struct meta *, const struct upload_row *);

/** meta_upload_parts(m, row): note .parts and what follows of a session;
 * queued as by meta_upload_add, or, when the queue is full, waited for: workers
 * only.  RC_OK also when it is gone by then. */
RC_MUST_USE enum rc meta_upload_parts(struct meta *, const struct upload_row *);

/** meta_upload_get(m, id, arena, row_r): RC_NOTFOUND. */
RC_MUST_USE enum rc meta_upload_get(
    struct meta *, struct span id, struct arena *, struct upload_row *row_r);

/** meta_upload_delete(m, id): RC_NOTFOUND. */
RC_MUST_USE enum rc meta_upload_delete(struct meta *, struct span id);

/** meta_upload_page(m, after_id, n, arena, rows_r, n_r): in order of id. */
RC_MUST_USE enum rc meta_upload_page(struct meta *, struct span after_id,
    size_t n, struct arena *, struct upload_row **rows_r, size_t *n_r);

#endif
