#ifndef STORAGE_COLLECT_INT_H
#define STORAGE_COLLECT_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/rc.h"
#include "storage/tier.h"
#include "storage/gc.h"
#include "storage/lease.h"
#include "storage/meta_int.h"

/*
 * The collector from inside of the room: gc.c goes through its steps, each of
 * which is a file.  A step does some work, in transactions of its own, and says
 * whether there is more; between two steps others commit.
 */
#define GC_BATCH 64

struct gc_tally; /* gc_tally.c: what was reclaimed, by repository */

struct gc {
	struct store *store;
	struct meta *meta;
	struct leases *leases;
	const struct gc_options *options;
	struct gc_totals *totals;
	struct gc_tally *tally;
	int64_t before_ms; /* what has waited since then, or longer, is due */
	bool settled;	   /* a grace has passed since the start */
};

bool gc_stopped(const struct gc *);

/** gc_rest(g, began_ns): leave the store to others for as long as the batch
 * that began then took; longer while changes wait to be committed. */
void gc_rest(const struct gc *, int64_t began_ns);

/* gc_tally.c */

struct gc_tally *gc_tally_new(void);
void gc_tally_free(struct gc_tally **);
void gc_tally_add(struct gc_tally *, struct span repository, uint64_t links,
    uint64_t blobs, uint64_t bytes);
/** gc_tally_tell(y, fn, arg): each repository, by name. */
void gc_tally_tell(const struct gc_tally *,
    void (*fn)(void *arg, const struct gc_reclaimed *), void *arg);

/* The steps.  RC_CANCELLED: asked to stop. */

/* gc_links.c: links, then content that nobody holds; files of removals. */
RC_MUST_USE enum rc gc_links(struct gc *);
RC_MUST_USE enum rc gc_blobs(struct gc *);
RC_MUST_USE enum rc gc_removals(struct gc *);
/* gc_dry.c: what gc_links and gc_blobs would do, and what waits. */
RC_MUST_USE enum rc gc_dry(struct gc *);
/* gc_orphans.c: files without a record, in blobs/ and in the archive; scratches
 * are upload_expire()'s. */
RC_MUST_USE enum rc gc_orphans(struct gc *);
/* gc_archive.c */
RC_MUST_USE enum rc gc_archive(struct gc *);
RC_MUST_USE enum rc gc_activate(struct gc *);

/* Changes that steps are made of, up to ${max} rows in one transaction. */

/** meta_deleted_expire(m, before_ms, max, n_r, more_r): drop images that were
 * deleted at or before then: meta_deleted.c */
RC_MUST_USE enum rc meta_deleted_expire(struct meta *, int64_t before_ms,
    unsigned max, unsigned *n_r, bool *more_r);

/** meta_repositories_purge(m, max_rows, n_r, more_r): meta_repository_purge()
 * that counts: meta_purge.c */
RC_MUST_USE enum rc meta_repositories_purge(
    struct meta *, unsigned max_rows, unsigned *n_r, bool *more_r);

struct orphans_followed {
	unsigned removed, archived; /* referrers */
	bool more;
};
/** meta_orphans_follow(m, before_ms, max, now_ms, r): of subjects that went, or
 * were archived, at or before then, and are not back: those that refer to them
 * in the repository, by their subject field or by cosign's tags
 * (sha256-<hex>, sha256-<hex>.sig, .att, .sbom).  Not those that were pushed,
 * or tagged so, after the subject went; nor what an index holds (of archived
 * subjects: one that is active): meta_orphan.c */
RC_MUST_USE enum rc meta_orphans_follow(struct meta *, int64_t before_ms,
    unsigned max, int64_t now_ms, struct orphans_followed *r);

/** store_tier(s): opened with the store. */
struct tier *store_tier(struct store *);
/** store_orphans_suspected(s), store_orphans_suspect(s): content was placed and
 * its record could not be written, or a process ended before: look for files
 * that no record leads to.  True at first. */
bool store_orphans_suspected(struct store *);
void store_orphans_suspect(struct store *, bool);

#endif
