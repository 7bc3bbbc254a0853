#ifndef MIRROR_PLACE_H
#define MIRROR_PLACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/name.h"
#include "base/rc.h"
#include "base/span.h"
#include "mirror/upstream.h"
#include "storage/store.h"

/*
 * A repository somewhere that images are read from or written to: of another
 * registry, of a folder opened here, or of an archive.  What is copied goes
 * from place to place (mirror/copy.h), and each kind of place knows only its
 * own side.
 *
 * Codes as in mirror/upstream.h; ${error} tells people which place it was.
 * All block.  A place may be used by several threads at once unless its
 * .serial says otherwise.
 */
struct place;

/* Content on its way out of a place. */
struct place_blob {
	/* Where it comes from, so that a registry that is asked to take what it
	 * has in another repository may mount it: as struct place's.  NULL: not
	 * said. */
	const char *home;
	struct span repository;
	enum rc (*read)(struct place_blob *, void *p, size_t room, size_t *n_r,
	    struct upstream_error *);
	void (*close)(struct place_blob *); /* frees it */
};

struct place_manifest {
	struct digest digest;
	struct span media_type;
	struct span text; /* in the arena; .p NULL where not asked for */
	uint64_t size_bytes;
};

struct place_names {
	struct span *items;
	size_t n;
	struct span next; /* .p NULL: that was all */
};

struct place_ops {
	/* Reading.  RC_NOTFOUND. */
	enum rc (*manifest_head)(struct place *, const struct reference *,
	    struct arena *, struct place_manifest *m_r,
	    struct upstream_error *);
	enum rc (*manifest_get)(struct place *, const struct reference *,
	    struct arena *, struct place_manifest *m_r,
	    struct upstream_error *);
	enum rc (*blob_open)(struct place *, const struct digest *,
	    uint64_t size_bytes, struct place_blob **b_r,
	    struct upstream_error *);
	enum rc (*tags)(struct place *, struct span next, struct arena *,
	    struct place_names *names_r, struct upstream_error *);
	/* Digests in the arena. */
	enum rc (*referrers)(struct place *, const struct digest *subject,
	    struct arena *, struct upstream_referrer **rows_r, size_t *n_r,
	    struct upstream_error *);
	/* Writing. */
	/* RC_OK: it is here (and stays for a while); RC_NOTFOUND. */
	enum rc (*blob_has)(struct place *, const struct digest *,
	    uint64_t size_bytes, struct upstream_error *);
	/* Takes all that ${from} gives, verified: RC_DIGEST. */
	enum rc (*blob_put)(struct place *, const struct digest *,
	    uint64_t size_bytes, struct place_blob *from,
	    struct upstream_error *);
	/* ${tag} empty: none.  RC_MISSING, RC_EXISTS (immutable). */
	enum rc (*manifest_put)(struct place *, const struct place_manifest *,
	    struct span tag, struct upstream_error *);
	enum rc (*tag_delete)(
	    struct place *, struct span tag, struct upstream_error *);
	void (*free)(struct place *);
};

struct place {
	const struct place_ops *ops; /* a function that is NULL: it cannot */
	bool serial;	  /* one thing at a time, in the order of the archive */
	const char *name; /* for people: "docker.io/library/alpine" */
	const atomic_bool *cancel; /* or NULL */
	bool here; /* asking it costs nothing: what is there already is looked
		      at more closely */
	/* A text that is the same for places of one registry and one identity,
	 * and the repository there; live with the place.  NULL: no such thing.
	 */
	const char *home;
	struct span repository;
};

/** place_free(p): takes NULL. */
void place_free(struct place **);

/* The kinds. */

struct place_remote_options {
	struct upstream *upstream; /* a reference is taken */
	struct span repository;	   /* copied */
	int64_t patience_ms;	   /* for each request */
	const char *name;	   /* copied */
	const atomic_bool *cancel;
};
struct place *place_remote(const struct place_remote_options *);

/*
 * A repository of an open store.  Reading, images that are archived are not
 * there.  What a manifest put here refers to has to be here, unless .sparse:
 * then the images of an index need not, and with .imports nothing.
 */
struct repository_preset;
struct manifest_quota;
struct place_store_options {
	struct store *store;
	struct span repository; /* copied */
	/* What to make it as when something is written; NULL: RC_NOTFOUND.
	 * Lives as long as the place. */
	const struct repository_preset *create;
	/* Of the registry; NULL: none.  Lives as long as the place. */
	const struct manifest_quota *quota;
	/* Images put here are marked as imported (storage/imports.h): a cache
	 * may evict them, and tags are checked again. */
	bool imports;
	bool sparse; /* manifests may refer to what is not here */
	bool scan;   /* images that come are scanned, whatever the repository's
			own settings say */
	bool links;  /* content that another repository of the store has is
			linked, not moved */
	/* Told of what is to be replicated further; or NULL.  As struct
	 * manifest_put's; copied. */
	const struct span *destinations;
	size_t n_destinations;
	const char *name; /* NULL: the repository's */
	const atomic_bool *cancel;
};
struct place *place_store(const struct place_store_options *);

/** manifest_scannable(m): an image of a container, as scanners look into. */
struct manifest;
bool manifest_scannable(const struct manifest *);

#endif
