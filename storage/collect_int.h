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

/* How far a step has come in its queue. */
#define GC_KEY_MAX_BYTES 512 /* whatever a damaged one is */
struct gc_place {
	enum meta_table table;
	size_t n; /* 0: its head comes next */
	char p[GC_KEY_MAX_BYTES];
	uint64_t leased; /* passed over since the head */
};
#define GC_PLACES 8

struct gc {
	struct store *store;
	struct meta *meta;
	struct leases *leases;
	const struct gc_options *options;
	struct gc_totals *totals;
	struct gc_tally *tally;
	int64_t before_ms; /* what has waited since then, or longer, is due */
	bool settled;	   /* a grace has passed since the start */
	int64_t began_ms;  /* on the calendar; see gc_now_ms() */

	/* The slice of time of the step that runs; 0: it goes to its end. */
	int64_t slice_end_ns;
	bool cut;    /* the slice was over first: there is more to do */
	bool inside; /* of the store's gate; else it rests, or was stopped */
	struct gc_place places[GC_PLACES];
	size_t n_places;

	enum rc file_rc; /* of files that could not be removed, the last */
	/* Those who wait for what is in the archive (gc_activate.c). */
	uint64_t waiting_left, waiting_changed; /* of their last turn, */
	bool waiting_cut;			/* which goes on */
	int64_t waiting_again_ns; /* without need no other before */
	uint64_t told; /* why one of them waits still: a bit of each enum rc */
};

bool gc_stopped(const struct gc *);

/** gc_now_ms(g): what the calendar says now; what is written has this time,
 * however long the collection takes. */
int64_t gc_now_ms(const struct gc *);

/** gc_slice_over(g): a step that has more to do asks between two batches.
 * True: it returns RC_OK now and is called again, after others. */
bool gc_slice_over(struct gc *);

/** gc_enter(g), gc_leave(g): for as long as it runs, but for its rests.  False:
 * somebody holds the collector, and it was asked to stop: whatever it does then,
 * it removes nothing. */
bool gc_enter(struct gc *);
void gc_leave(struct gc *);

/** gc_rest(g, began_ns): leave the store to others for as long as the batch
 * that began then took; longer while changes wait to be committed, or somebody
 * holds the collector.  Nothing is claimed meanwhile. */
void gc_rest(struct gc *, int64_t began_ns);

/* gc_tally.c */

struct gc_tally *gc_tally_new(void);
void gc_tally_free(struct gc_tally **);
void gc_tally_add(struct gc_tally *, struct span repository, uint64_t links,
    uint64_t blobs, uint64_t bytes);
/** gc_tally_tell(y, fn, arg): each repository, by name. */
void gc_tally_tell(const struct gc_tally *,
    void (*fn)(void *arg, const struct gc_reclaimed *), void *arg);

/* The steps.  RC_CANCELLED: asked to stop.  RC_OK with g->cut: there is more.
 */

/* gc_ahead.c: what waits since a time that is yet to come waits since now. */
RC_MUST_USE enum rc gc_ahead(struct gc *);

/* gc_links.c: links, then content that nobody holds; files of removals. */
RC_MUST_USE enum rc gc_links(struct gc *);
RC_MUST_USE enum rc gc_blobs(struct gc *);
RC_MUST_USE enum rc gc_removals(struct gc *);
/* gc_dry.c: what gc_links and gc_blobs would do, and what waits. */
RC_MUST_USE enum rc gc_dry(struct gc *);
/* gc_orphans.c: files without a record, in blobs/ and in the archive; scratches
 * are upload_sweep()'s. */
RC_MUST_USE enum rc gc_orphans(struct gc *);
/* gc_archive.c */
RC_MUST_USE enum rc gc_archive(struct gc *);
RC_MUST_USE enum rc gc_activate(struct gc *);

/* Changes that steps are made of, up to ${max} rows in one transaction. */

/** meta_deleted_expire(m, before_ms, max, n_r, more_r): drop images that were
 * deleted at or before then: meta_deleted.c */
RC_MUST_USE enum rc meta_deleted_expire(struct meta *, int64_t before_ms,
    unsigned max, unsigned *n_r, bool *more_r);

struct orphans_followed {
	unsigned removed, archived; /* referrers */
	bool more;
	/* What became of each, in the arena, if there is one. */
	struct gc_followed *each;
	size_t n_each;
};
/** meta_orphans_follow(m, before_ms, max, now_ms, r): of subjects that went, or
 * were archived, at or before then, and are not back: those that refer to them
 * in the repository, by their subject field or by cosign's tags
 * (sha256-<hex>, sha256-<hex>.sig, .att, .sbom).  Not those that were pushed,
 * or tagged so, after the subject went; nor what an index holds (of archived
 * subjects: one that is active).  What cannot be read keeps nothing else: it
 * is looked at again later.  A subject that went at a time that is yet to come
 * went now: meta_orphan.c */
RC_MUST_USE enum rc meta_orphans_follow(struct meta *, int64_t before_ms,
    unsigned max, int64_t now_ms, struct orphans_followed *r);
/** meta_orphans_follow_each(..., arena, r): the same, and says what became of
 * which.  The arena is emptied first; of images whose tags do not fit into it
 * the tags are left out. */
RC_MUST_USE enum rc meta_orphans_follow_each(struct meta *, int64_t before_ms,
    unsigned max, int64_t now_ms, struct arena *, struct orphans_followed *r);

/** store_tier(s): opened with the store. */
struct tier *store_tier(struct store *);
/** store_orphans_suspected(s), store_orphans_suspect(s): content was placed and
 * its record could not be written, or a process ended before: look for files
 * that no record leads to.  True at first. */
bool store_orphans_suspected(struct store *);
void store_orphans_suspect(struct store *, bool);

#endif
