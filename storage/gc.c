#include "storage/gc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/commit_int.h"
#include "storage/gc_int.h"
#include "storage/meta_env_int.h"
#include "storage/repositories.h"
#include "storage/store_int.h"
#include "storage/upload.h"

/*
 * A collection: the steps in their order, and what they share.
 *
 * Each step reads some rows of its queue, claims what it would remove, and
 * removes what a change, in which it looks once more, finds still unneeded.
 * Claims are held for commits of its own and the removal of files, which wait
 * for nobody who waits for a claim.  A crash leaves rows in queues, or files
 * of which a row in removals tells: what the next collection begins with.
 */

/* Between two batches: at most so long without a look at who asks to stop. */
#define REST_SLICE_NS (5 * INT64_C(1000000))
/* As long as the batch took, but not more; and more than that only while
 * others wait for the commit thread. */
#define REST_MAX_NS (200 * INT64_C(1000000))
#define REST_BUSY_MAX_NS (400 * INT64_C(1000000))

/* Rows of a deleted repository in one change. */
#define PURGE_ROWS 256

void
gc_grace_set(struct store *s, int64_t grace_ms)
{
	lease_grace_set(meta_leases(store_meta(s)), grace_ms);
}

bool
gc_stopped(const struct gc *g)
{
	return (g->options->stop != NULL && atomic_load(g->options->stop));
}

/* --- resting ------------------------------------------------------------- */

static uint64_t
changes_waiting(const struct gc *g)
{
	struct commit_figures f = { 0 };

	if (g->meta->commit != NULL)
		commit_figures(g->meta->commit, &f);
	return (f.queue);
}

static void
rest_slice(int64_t ns)
{
	struct timespec t = { .tv_nsec = (long)ns };

	(void)nanosleep(&t, NULL);
}

void
gc_rest(const struct gc *g, int64_t began_ns)
{
	int64_t left_ns = clock_mono_ns() - began_ns;
	int64_t busy_ns = REST_BUSY_MAX_NS;
	int64_t slice_ns;

	if (g->options->progress != NULL)
		g->options->progress(g->options->arg, g->totals);
	if (left_ns > REST_MAX_NS)
		left_ns = REST_MAX_NS;
	while (left_ns > 0 && !gc_stopped(g)) {
		slice_ns = left_ns < REST_SLICE_NS ? left_ns : REST_SLICE_NS;
		rest_slice(slice_ns);
		left_ns -= slice_ns;
	}
	while (busy_ns > 0 && changes_waiting(g) > 0 && !gc_stopped(g)) {
		rest_slice(REST_SLICE_NS);
		busy_ns -= REST_SLICE_NS;
	}
}

/* --- what the steps share ------------------------------------------------ */

void
gc_name_set(struct gc_name *name, struct span s)
{
	name->n = s.n <= sizeof(name->p) ? s.n : 0;
	if (name->n > 0)
		memcpy(name->p, s.p, name->n);
}

enum rc
gc_name_of(struct meta_txn *t, uint64_t repo, struct gc_name *name)
{
	struct doomed_rec doomed;
	struct rec_key k;
	struct span value, s = SPAN_NONE;
	enum rc rc;

	key_repo(&k, repo);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc == RC_OK && !rec_repository_name_read(value, &s))
		s = SPAN_NONE;
	if (rc == RC_NOTFOUND) {
		rc = kv_get(t, TABLE_DOOMED, key_span(&k), &value);
		if (rc == RC_OK && rec_doomed_read(value, &doomed))
			s = doomed.name;
	}
	gc_name_set(name, s);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
gc_file_remove(struct gc *g, enum blob_location location,
    const struct digest *d, bool *removed_r)
{
	enum rc rc;

	if (location == BLOB_IN_ARCHIVE)
		rc = tier_remove(store_tier(g->store), KEY_DOMAIN_PLAIN, d);
	else
		rc = blobs_remove(store_blobs(g->store), KEY_DOMAIN_PLAIN, d);
	*removed_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* --- steps of others' ---------------------------------------------------- */

static enum rc
uploads_collect(struct gc *g)
{
	struct upload_swept swept;
	int64_t began_ns;
	enum rc rc;

	do {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = upload_sweep(
		    g->store, g->options->now_ms, GC_BATCH, &swept);
		g->totals->uploads += swept.sessions;
		g->totals->orphan_files += swept.files;
		g->totals->orphan_bytes += swept.file_bytes;
		if (rc != RC_OK)
			return (rc);
		gc_rest(g, began_ns);
	} while (swept.sessions + swept.files >= GC_BATCH);
	return (RC_OK);
}

static enum rc
repositories_collect(struct gc *g)
{
	bool more = true;
	int64_t began_ns;
	unsigned n;
	enum rc rc;

	while (more) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = meta_repositories_purge(g->meta, PURGE_ROWS, &n, &more);
		if (rc != RC_OK)
			return (rc);
		g->totals->repository_rows += n;
		gc_rest(g, began_ns);
	}
	return (RC_OK);
}

static enum rc
deleted_collect(struct gc *g)
{
	int64_t before_ms = g->options->now_ms - meta_undelete_ms(g->meta);
	int64_t began_ns;
	bool more = true;
	unsigned n;
	enum rc rc;

	while (more) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = meta_deleted_expire(
		    g->meta, before_ms, GC_BATCH, &n, &more);
		if (rc != RC_OK)
			return (rc);
		g->totals->deleted_images += n;
		gc_rest(g, began_ns);
	}
	return (RC_OK);
}

static enum rc
referrers_collect(struct gc *g)
{
	struct orphans_followed followed = { .more = true };
	int64_t began_ns;
	enum rc rc;

	while (followed.more) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = meta_orphans_follow(g->meta, g->before_ms, GC_BATCH,
		    g->options->now_ms, &followed);
		if (rc != RC_OK)
			return (rc);
		g->totals->referrers += followed.removed;
		g->totals->referrers_archived += followed.archived;
		gc_rest(g, began_ns);
	}
	return (RC_OK);
}

/* --- all of it ----------------------------------------------------------- */

typedef enum rc step_fn(struct gc *);

/* Nobody was promised what these take, and images are restored at any time. */
static step_fn *const steps_always[] = {
	gc_activate,
	uploads_collect,
	repositories_collect,
	deleted_collect,
	gc_removals,
};

static step_fn *const steps_settled[] = {
	referrers_collect,
	gc_links,
	gc_blobs,
	gc_archive,
	gc_orphans,
};

/* Damage ends only the step that has met it: it was logged, and fsck tells
 * more. */
static enum rc
steps_run(struct gc *g, step_fn *const *steps, size_t n)
{
	enum rc rc, worst = RC_OK;
	size_t i;

	for (i = 0; i < n; i++) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		rc = steps[i](g);
		if (rc == RC_CORRUPT)
			worst = rc;
		else if (rc != RC_OK)
			return (rc);
	}
	return (worst);
}

static enum rc
collect(struct gc *g)
{
	uint64_t folders = blobs_folders_removed(store_blobs(g->store));
	enum rc rc, rc_settled = RC_OK;

	rc = steps_run(g, steps_always, ARRAY_LEN(steps_always));
	if (g->settled && (rc == RC_OK || rc == RC_CORRUPT))
		rc_settled =
		    steps_run(g, steps_settled, ARRAY_LEN(steps_settled));
	g->totals->folders +=
	    blobs_folders_removed(store_blobs(g->store)) - folders;
	return (rc_settled != RC_OK ? rc_settled : rc);
}

/* What is there at the end, or before a dry run that ends there. */
static enum rc
left_look(struct gc *g)
{
	struct store_stats st;

	store_stats(g->store, &st);
	g->totals->database_bytes = st.map_used_bytes;
	g->totals->database_free_bytes = st.map_free_bytes;
	return (gc_dry(g));
}

/* One run has one of these: what was counted before is another's. */
static void
left_clear(struct gc_totals *totals)
{
	totals->waiting_blobs = 0;
	totals->waiting_bytes = 0;
	totals->leased = 0;
	totals->database_bytes = 0;
	totals->database_free_bytes = 0;
}

enum rc
gc_run(struct store *s, const struct gc_options *options,
    struct gc_totals *totals_r)
{
	struct meta *m = store_meta(s);
	struct gc g = {
		.store = s,
		.meta = m,
		.leases = meta_leases(m),
		.options = options,
		.totals = totals_r,
		.tally = gc_tally_new(),
	};
	enum rc rc, rc_left;

	g.before_ms = options->now_ms - lease_grace_ms(g.leases);
	left_clear(totals_r);
	g.settled = lease_settled(g.leases, &totals_r->settles_ms);
	rc = options->dry_run ? RC_OK : collect(&g);
	rc_left = rc == RC_CANCELLED ? rc : left_look(&g);
	if (options->reclaimed != NULL)
		gc_tally_tell(g.tally, options->reclaimed, options->arg);
	if (options->progress != NULL)
		options->progress(options->arg, totals_r);
	gc_tally_free(&g.tally);
	return (rc != RC_OK ? rc : rc_left);
}
