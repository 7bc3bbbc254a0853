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
 * Some have work for hours now and then: a large repository that was deleted.
 * So each step has a slice of time, and then the next; and so on in rounds,
 * until there is nothing left.  Those who wait for an image that is to come out
 * of the archive have their slice before that of each step.
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
/* Of a MiB of long content: less, as there are many, and somebody may wait for
 * what they are of; it takes twice the time at most. */
#define BREATH_SHARE 4
#define BREATH_MAX_NS (20 * INT64_C(1000000))
#define BREATH_BUSY_MAX_NS (40 * INT64_C(1000000))

/* Rows of a deleted repository in one change. */
#define PURGE_ROWS 256
/* What became of the referrers of one change. */
#define FOLLOWED_BYTES (128u << 20)

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

int64_t
gc_now_ms(const struct gc *g)
{
	int64_t now_ms = g->options->now_ms;

	return (
	    g->began_ms != 0 ? now_ms + clock_real_ms() - g->began_ms : now_ms);
}

bool
gc_slice_over(struct gc *g)
{
	if (g->slice_end_ns != 0 && clock_mono_ns() >= g->slice_end_ns)
		g->cut = true;
	return (g->cut);
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
gc_leave(struct gc *g)
{
	if (g->inside)
		gc_gate_leave(&g->store->gate);
	g->inside = false;
}

bool
gc_enter(struct gc *g)
{
	must(!g->inside);
	g->inside = gc_gate_enter(&g->store->gate, g->options->stop);
	return (g->inside);
}

/* For ${ns}, and for up to ${busy_ns} more while changes wait. */
static void
pause_for(const struct gc *g, int64_t ns, int64_t busy_ns)
{
	int64_t slice_ns;

	while (ns > 0 && !gc_stopped(g)) {
		slice_ns = ns < REST_SLICE_NS ? ns : REST_SLICE_NS;
		rest_slice(slice_ns);
		ns -= slice_ns;
	}
	while (busy_ns > 0 && changes_waiting(g) > 0 && !gc_stopped(g)) {
		rest_slice(REST_SLICE_NS);
		busy_ns -= REST_SLICE_NS;
	}
}

static void
rest(struct gc *g, int64_t ns, int64_t busy_ns)
{
	bool inside = g->inside; /* a dry run never is */

	if (g->options->progress != NULL)
		g->options->progress(g->options->arg, g->totals);
	gc_leave(g);
	pause_for(g, ns, busy_ns);
	if (inside)
		(void)gc_enter(g);
}

static int64_t
at_most(int64_t ns, int64_t max_ns)
{
	return (ns < max_ns ? ns : max_ns);
}

void
gc_rest(struct gc *g, int64_t began_ns)
{
	int64_t took_ns = clock_mono_ns() - began_ns;

	rest(g, at_most(took_ns, REST_MAX_NS), REST_BUSY_MAX_NS);
}

void
gc_breathe(struct gc *g, int64_t began_ns)
{
	int64_t took_ns = clock_mono_ns() - began_ns;

	rest(g, at_most(took_ns / BREATH_SHARE, BREATH_MAX_NS),
	    at_most(took_ns, BREATH_BUSY_MAX_NS));
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
gc_file_remove(struct gc *g, enum blob_location location, uint32_t domain,
    const struct digest *d, bool *removed_r)
{
	enum rc rc;

	*removed_r = false;
	if (!g->inside)
		return (RC_CANCELLED);
	if (location == BLOB_IN_ARCHIVE)
		rc = tier_remove(store_tier(g->store), domain, d);
	else
		rc = blobs_remove(store_blobs(g->store), domain, d);
	*removed_r = rc == RC_OK;
	if (rc == RC_NOTFOUND)
		return (RC_OK);
	if (rc != RC_OK)
		g->file_rc = rc;
	return (rc);
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
		rc = upload_sweep(g->store, gc_now_ms(g), GC_BATCH, &swept);
		g->totals->uploads += swept.sessions;
		g->totals->orphan_files += swept.files;
		g->totals->orphan_bytes += swept.file_bytes;
		if (rc != RC_OK)
			return (rc);
		gc_rest(g, began_ns);
	} while (swept.sessions + swept.files >= GC_BATCH && !gc_slice_over(g));
	return (RC_OK);
}

static enum rc
repositories_collect(struct gc *g)
{
	bool more = true;
	int64_t began_ns;
	unsigned n;
	enum rc rc;

	do {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = meta_repository_purge(g->meta, PURGE_ROWS, &n, &more);
		if (rc != RC_OK)
			return (rc);
		g->totals->repository_rows += n;
		gc_rest(g, began_ns);
	} while (more && !gc_slice_over(g));
	return (RC_OK);
}

static enum rc
deleted_collect(struct gc *g)
{
	int64_t began_ns;
	bool more = true;
	unsigned n;
	enum rc rc;

	do {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = meta_deleted_expire(g->meta,
		    gc_now_ms(g) - meta_undelete_ms(g->meta), GC_BATCH, &n,
		    &more);
		if (rc != RC_OK)
			return (rc);
		g->totals->deleted_images += n;
		gc_rest(g, began_ns);
	} while (more && !gc_slice_over(g));
	return (RC_OK);
}

static void
followed_tell(struct gc *g, const struct orphans_followed *r)
{
	size_t i;

	for (i = 0; g->options->followed != NULL && i < r->n_each; i++)
		g->options->followed(g->options->arg, &r->each[i]);
}

static enum rc
referrers_some(struct gc *g, bool *more_r)
{
	struct orphans_followed r;
	struct arena a;
	enum rc rc;

	arena_init(&a, FOLLOWED_BYTES);
	rc = meta_orphans_follow_each(
	    g->meta, g->before_ms, GC_BATCH, gc_now_ms(g), &a, &r);
	g->totals->referrers += r.removed;
	g->totals->referrers_archived += r.archived;
	followed_tell(g, &r);
	arena_reset(&a);
	*more_r = r.more;
	return (rc);
}

static enum rc
referrers_collect(struct gc *g)
{
	bool more = true;
	int64_t began_ns;
	enum rc rc;

	do {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		if ((rc = referrers_some(g, &more)) != RC_OK)
			return (rc);
		gc_rest(g, began_ns);
	} while (more && !gc_slice_over(g));
	return (RC_OK);
}

/* --- steps, in rounds ---------------------------------------------------- */

struct step {
	enum rc (*run)(struct gc *);
	bool settled; /* not before a grace has passed since the start */
	bool last;    /* not before those above have nothing left */
};

/* Nobody was promised what the first ones take. */
static const struct step steps[] = {
	{ gc_removals, false, false },
	{ uploads_collect, false, false },
	{ repositories_collect, false, false },
	{ deleted_collect, false, false },
	{ gc_ahead, true, false },
	{ referrers_collect, true, false },
	{ gc_links, true, false },
	{ gc_blobs, true, false },
	{ gc_archive, true, false },
	{ gc_orphans, true, true },
};

/*
 * One that has come to its end may have more to do as soon as one before it
 * has done something: so it is final only when those before it were so when
 * it began.  While they are not it is tried now and then.
 */
#define STEP_AGAIN_NS (60 * INT64_C(1000000000))

struct step_state {
	bool cut;   /* it goes on where it was */
	bool whole; /* those before were final when it began */
	bool final; /* not once more */
	int64_t ended_ns;
};

struct rounds {
	struct gc *g;
	struct step_state of[ARRAY_LEN(steps)];
	enum rc worst;
};

static bool
final_before(const struct rounds *r, size_t i)
{
	while (i > 0)
		if (!r->of[--i].final)
			return (false);
	return (true);
}

static bool
step_due(const struct rounds *r, size_t i)
{
	const struct step_state *st = &r->of[i];

	if (st->final)
		return (false);
	if (final_before(r, i) || st->cut)
		return (true);
	return (!steps[i].last &&
		(st->ended_ns == 0 ||
		    clock_mono_ns() - st->ended_ns >= STEP_AGAIN_NS));
}

/* Whatever failed, the other steps are tried: only a store that takes nothing
 * any more ends it.  Damage is the least, as it keeps nothing else. */
static bool
goes_on(struct rounds *r, enum rc rc)
{
	bool over = rc == RC_CANCELLED || meta_failed(r->g->meta);

	if (rc == RC_OK && over)
		rc = RC_IO;
	if (over ||
	    (rc != RC_OK && (r->worst == RC_OK || r->worst == RC_CORRUPT)))
		r->worst = rc;
	return (!over);
}

static bool
step_run(struct rounds *r, size_t i)
{
	struct step_state *st = &r->of[i];
	struct gc *g = r->g;
	enum rc rc;

	if (!st->cut)
		st->whole = final_before(r, i);
	g->before_ms = gc_now_ms(g) - lease_grace_ms(g->leases);
	g->cut = false;
	g->slice_end_ns = clock_mono_ns() + GC_SLICE_NS;
	rc = steps[i].run(g);
	g->slice_end_ns = 0;
	st->cut = rc == RC_OK && g->cut;
	g->cut = false;
	st->final = rc != RC_OK || (!st->cut && st->whole);
	st->ended_ns = clock_mono_ns();
	return (goes_on(r, rc));
}

/* Each that has something to do. */
static bool
round_run(struct rounds *r)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(steps); i++) {
		if (!step_due(r, i))
			continue;
		if (!goes_on(r, gc_activate_due(r->g)) || !step_run(r, i))
			return (false);
		if (gc_stopped(r->g))
			return (goes_on(r, RC_CANCELLED));
	}
	return (true);
}

static enum rc
rounds_run(struct gc *g)
{
	struct rounds r = { .g = g };
	bool on = true;
	size_t i;

	for (i = 0; i < ARRAY_LEN(steps); i++)
		r.of[i].final = steps[i].settled && !g->settled;
	while (on && !final_before(&r, ARRAY_LEN(steps)))
		on = round_run(&r);
	while (on && g->waiting_cut)
		on = goes_on(&r, gc_activate_due(g)) && !gc_stopped(g);
	return (r.worst);
}

static enum rc
collect(struct gc *g)
{
	uint64_t folders = blobs_folders_removed(store_blobs(g->store));
	enum rc rc;

	if (!gc_enter(g))
		return (RC_CANCELLED);
	rc = rounds_run(g);
	gc_leave(g);
	g->totals->folders +=
	    blobs_folders_removed(store_blobs(g->store)) - folders;
	if (rc == RC_OK || rc == RC_CORRUPT)
		return (g->file_rc != RC_OK ? g->file_rc : rc);
	return (rc);
}

/* --- what is left -------------------------------------------------------- */

/* Of links it would take a long look to say what would go with them. */
static enum rc
left_count(struct gc *g)
{
	struct meta_counts counts;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	g->totals->waiting_links = kv_count(&t, TABLE_IDLE_LINKS);
	if ((rc = meta_counts_kept(&t, &counts)) == RC_OK) {
		g->totals->waiting_blobs = counts.unheld_blobs;
		g->totals->waiting_bytes = counts.unheld_bytes;
	}
	meta_read_end(&t);
	return (rc);
}

/* What is there at the end, or before a dry run that ends there. */
static enum rc
left_look(struct gc *g)
{
	struct store_stats st;

	store_stats(g->store, &st);
	g->totals->database_bytes = st.map_used_bytes;
	g->totals->database_free_bytes = st.map_free_bytes;
	return (g->options->dry_run ? gc_dry(g) : left_count(g));
}

/* One run has one of these: what was counted before is another's. */
static void
left_clear(struct gc_totals *totals)
{
	totals->waiting_links = 0;
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
		.began_ms = clock_real_ms(),
	};
	enum rc rc, rc_left;

	g.before_ms = options->now_ms - lease_grace_ms(g.leases);
	left_clear(totals_r);
	g.settled = lease_settled(g.leases, &totals_r->settles_ms);
	rc = options->dry_run ? RC_OK : collect(&g);
	if (!options->dry_run)
		store_ballast_renew(s);
	rc_left = rc == RC_CANCELLED ? rc : left_look(&g);
	if (options->reclaimed != NULL)
		gc_tally_tell(g.tally, options->reclaimed, options->arg);
	if (options->progress != NULL)
		options->progress(options->arg, totals_r);
	gc_tally_free(&g.tally);
	return (rc != RC_OK ? rc : rc_left);
}
