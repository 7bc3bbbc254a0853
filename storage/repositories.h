#ifndef STORAGE_REPOSITORIES_H
#define STORAGE_REPOSITORIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/rc.h"
#include "base/span.h"
#include "storage/meta.h"

/*
 * A part of the seam of meta.h: repositories as ECR knows them, with
 * settings, resource tags and a policy.
 */
enum tag_mutability { /* stored: never renumber */
	TAGS_MUTABLE = 1,
	TAGS_IMMUTABLE = 2,
	TAGS_IMMUTABLE_WITH_EXCLUSION = 3,
	TAGS_MUTABLE_WITH_EXCLUSION = 4,
};

enum encryption_type {		/* stored: never renumber */
	ENCRYPTION_DEFAULT = 0, /* of a new one: what the store's default is */
	ENCRYPTION_AES256 = 1,
	ENCRYPTION_KMS = 2,
	ENCRYPTION_KMS_DSSE = 3, /* of older formats only */
	ENCRYPTION_NONE = 4,
};

struct resource_tag {
	struct span key, value;
};

#define REPOSITORY_EXCLUSIONS_MAX 5
#define REPOSITORY_TAGS_MAX 50
#define REPOSITORY_POLICY_MAX_BYTES ((size_t)1 << 20)

/*
 * A repository without a record of settings has all of it at its default.
 *
 * An immutable tag is one that, once it points at a manifest, is not moved to
 * another by meta_manifest_put(); it may still be deleted.  A filter matches
 * a whole tag; '*' stands for any run of characters, also for none.  Tags that
 * match one are what the mode's name says they are not.
 */
struct repository_settings {
	enum tag_mutability mutability; /* default (also 0) TAGS_MUTABLE */
	const struct span *exclusions;	/* filters; ..._WITH_EXCLUSION */
	size_t n_exclusions;
	bool scan_on_push;
	/* Described: what is true, never ENCRYPTION_DEFAULT; whatever an older
	 * version noted, of one whose content is plain ENCRYPTION_NONE. */
	enum encryption_type encryption;
	struct span kms_key; /* as it was given; may be empty */
};

/* What a new repository is made as, asked for or by the way of a push. */
struct repository_preset {
	struct repository_settings settings;
	const struct resource_tag *tags;
	size_t n_tags;
	struct span policy;	      /* empty: none */
	struct span lifecycle_policy; /* empty: none */
	uint64_t max_repositories;    /* that there may be then; 0: any */
};

/** All as it is by default. */
extern const struct repository_preset repository_preset_default;

struct repository_create {
	struct span name;
	struct repository_preset preset;
	int64_t now_ms;
};

/** meta_repository_create(m, create, row_r): RC_EXISTS; RC_INVALID: not a
 * name, too many filters or tags, or a tag's key twice; RC_TOOBIG: a policy;
 * RC_LIMIT: max_repositories. */
RC_MUST_USE enum rc meta_repository_create(struct meta *,
    const struct repository_create *, struct repository_row *row_r);

struct repository_description {
	struct repository_row row;
	struct repository_settings settings;
	struct resource_tag *tags; /* by key */
	size_t n_tags;
};

/** repository_domain(row): the key domain that its content is of, for life
 * (storage/keys.h). */
static inline uint32_t
repository_domain(const struct repository_row *row)
{
	return ((uint32_t)(row->id >> 32));
}

/** meta_repository_describe(m, name, arena, d_r): RC_NOTFOUND. */
RC_MUST_USE enum rc meta_repository_describe(struct meta *, struct span name,
    struct arena *, struct repository_description *d_r);

/* Changing it. */

struct repository_change {
	bool set_mutability;
	enum tag_mutability mutability;
	const struct span *exclusions;
	size_t n_exclusions;
	bool set_scanning;
	bool scan_on_push;
};

/** meta_repository_change(m, name, change): what is not set stays.
 * RC_NOTFOUND; RC_INVALID: too many filters. */
RC_MUST_USE enum rc meta_repository_change(
    struct meta *, struct span name, const struct repository_change *);

struct resource_tags_change {
	const struct span *remove; /* keys; absent ones are fine */
	size_t n_remove;
	const struct resource_tag *put; /* then; a key that is there is
					   replaced */
	size_t n_put;
	size_t max; /* there may be then; 0, or more: REPOSITORY_TAGS_MAX */
};

/** meta_resource_tags_change(m, name, change): RC_NOTFOUND; RC_INVALID: a key
 * twice in .put; RC_LIMIT: too many, and more than there were. */
RC_MUST_USE enum rc meta_resource_tags_change(
    struct meta *, struct span name, const struct resource_tags_change *);

/** meta_repository_delete(m, name, force, arena, d_r):
 * With everything in it: manifests, tags, links, settings, resource tags,
 * policy.  It is gone for everybody at once; its rows go in the background,
 * also after a crash (meta_repository_purge), so that a big one does not hold
 * up the commits of others; a new one of that name has nothing of the old.
 * While it can be restored (storage/deleted.h) its rows stay.
 * Uploads into it go on and find no repository when they end, unless there is
 * one of that name again.  *${d_r}: what it was; settings or tags that cannot
 * be read are told as none.  RC_NOTFOUND; RC_REFERENCED: it holds manifests
 * and ${force} is false.
 */
RC_MUST_USE enum rc meta_repository_delete(struct meta *, struct span name,
    bool force, struct arena *, struct repository_description *d_r);

/** meta_repository_purge(m, max_rows, n_r, more_r): some rows of deleted
 * repositories that cannot be restored any more, in one transaction; *${n_r},
 * unless NULL: how many.  The collector, until *${more_r} is false; no change
 * and no wait when there is nothing to do. */
RC_MUST_USE enum rc meta_repository_purge(
    struct meta *, unsigned max_rows, unsigned *n_r, bool *more_r);

/*
 * What authorization asks about a repository, in one cheap point read; an
 * unknown repository has none of it (RC_OK, all zero).
 */
struct repository_access {
	bool exists;
	uint64_t policy_revision; /* 0: no policy; never used twice */
	struct span policy;	  /* with ACCESS_POLICY */
	struct resource_tag *tags;
	size_t n_tags;
};

enum access_want { ACCESS_REVISION, ACCESS_POLICY };

/** meta_repository_access(m, name, want, arena, a_r): loop or worker. */
RC_MUST_USE enum rc meta_repository_access(struct meta *, struct span name,
    enum access_want, struct arena *, struct repository_access *a_r);

/** meta_repository_policy_set(m, name, text): RC_NOTFOUND: no repository;
 * RC_INVALID: empty; RC_TOOBIG: past REPOSITORY_POLICY_MAX_BYTES. */
RC_MUST_USE enum rc
meta_repository_policy_set(struct meta *, struct span name, struct span text);

/** meta_repository_policy_delete(m, name, arena, text_r): what it was.
 * RC_NOTFOUND: no repository; RC_MISSING: it has no policy. */
RC_MUST_USE enum rc meta_repository_policy_delete(
    struct meta *, struct span name, struct arena *, struct span *text_r);

#endif
