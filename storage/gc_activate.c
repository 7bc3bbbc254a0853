#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/gc_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * Out of the archive.
 *
 * Somebody waits for these, so nothing of them waits for a grace.  Each image
 * that is activating has its content brought back, blob by blob, each through a
 * scratch as if it were pushed; then those become active that need no more.  An
 * index waits for its images, so this is done until nothing comes of it.
 *
 * An image whose content turns out to be damaged is archived again, as it was:
 * whoever looks sees that nothing came of it, the log says why, and no
 * collection reads it again and again.  One whose content is not there at all
 * keeps waiting: its disk may be away for a while.
 */

/* --- one blob ------------------------------------------------------------ */

struct bringing {
	uint32_t key_domain;
	struct digest digest;
	struct blob_rec rec;
	int64_t now_ms;
};

/* A push may have brought it meanwhile, and then that counts. */
static enum rc
place_change(struct meta_txn *t, void *arg)
{
	const struct bringing *b = arg;
	struct blob_rec rec;
	enum rc rc;

	rc = blob_find(t, b->key_domain, &b->digest, &rec);
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	if (rc == RC_OK && rec.location == BLOB_IN_ARCHIVE)
		return (blob_moved(t, b->key_domain, &b->digest, BLOB_IN_FILE,
		    BLOB_PLAIN, rec.size_bytes, b->now_ms));
	if (rc == RC_OK && rec.location == BLOB_IN_FILE)
		return (RC_OK);
	return (
	    removal_put(t, BLOB_IN_FILE, b->key_domain, &b->digest, b->now_ms));
}

static enum rc
removed_note(struct meta_txn *t, void *arg)
{
	const struct bringing *b = arg;

	return (removal_drop(t, BLOB_IN_ARCHIVE, b->key_domain, &b->digest));
}

/* Of its place there; what cannot be removed now is by a later collection. */
static enum rc
archived_remove(struct gc *g, struct bringing *b)
{
	bool was;
	enum rc rc;

	if (!lease_claim_unpinned(g->leases, &b->digest))
		return (RC_OK);
	rc =
	    gc_file_remove(g, BLOB_IN_ARCHIVE, b->key_domain, &b->digest, &was);
	if (rc == RC_OK)
		rc = meta_change_freeing(g->meta, removed_note, b);
	else
		rc = RC_OK;
	lease_give_back(g->leases, &b->digest);
	return (rc);
}

static enum rc
content_place(struct gc *g, struct bringing *b, struct scratch *scratch)
{
	struct lease_pin pin;
	enum rc rc;

	b->now_ms = gc_now_ms(g);
	lease_pin(g->leases, &pin, &b->digest);
	rc = scratch_place(scratch, b->key_domain, &b->digest);
	if (rc == RC_OK) {
		rc = meta_change(g->meta, place_change, b, 0);
		if (rc != RC_OK)
			store_orphans_suspect(g->store, true);
	}
	lease_unpin(g->leases, &pin);
	if (rc != RC_OK)
		return (rc);
	g->totals->activated_bytes += b->rec.size_bytes;
	return (archived_remove(g, b));
}

static enum rc
chunk_copied(void *arg, int64_t began_ns)
{
	struct gc *g = arg;

	gc_breathe(g, began_ns);
	return (RC_OK);
}

static enum rc
content_copy(struct gc *g, const struct bringing *b, struct scratch *scratch)
{
	const struct tier_place place = {
		.encoding = b->rec.encoding,
		.stored_bytes = b->rec.stored_bytes,
	};
	const struct tier_pace pace = {
		.stop = g->options->stop,
		.between = chunk_copied,
		.arg = g,
	};
	enum rc rc;

	if ((rc = store_room(g->store, b->rec.size_bytes)) != RC_OK)
		return (rc);
	return (tier_get(store_tier(g->store), b->key_domain, &b->digest,
	    &place, b->rec.size_bytes, scratch, &pace));
}

/* *${copy_r}: what came of copying it; else the store itself fails. */
static enum rc
content_bring(struct gc *g, struct bringing *b, enum rc *copy_r)
{
	struct blobs *blobs = store_blobs(g->store);
	struct scratch *scratch;
	char id[UPLOAD_ID_BYTES];
	enum rc rc;

	upload_id_new(id);
	rc = scratch_create(blobs, b->key_domain, id, &scratch);
	if (rc == RC_LOCKED) {
		/* Nor can any other of its repository; the rest can. */
		*copy_r = rc;
		return (RC_OK);
	}
	if (rc != RC_OK)
		return (rc);
	*copy_r = content_copy(g, b, scratch);
	if (*copy_r == RC_OK)
		rc = content_place(g, b, scratch);
	scratch_close(&scratch);
	/* Gone when it was placed. */
	if (rc != RC_OK || *copy_r != RC_OK)
		(void)!scratch_remove(blobs, id);
	return (rc);
}

/* --- one image ----------------------------------------------------------- */

struct waiting {
	struct gc_row row;
	uint64_t repo;
	struct digest digest;
	int64_t now_ms;
	enum activation state;
	bool damaged; /* some of its content is */
	bool active;
};

/* Each that is damaged; of what keeps others, too, the first tells. */
static void
bring_failed(struct gc *g, const struct waiting *image,
    const struct digest *blob, enum rc rc)
{
	char what[DIGEST_STR_BYTES], which[DIGEST_STR_BYTES];

	(void)digest_str(&image->digest, which);
	(void)digest_str(blob, what);
	if (rc == RC_CORRUPT) {
		log_error("image %s is not restored: in the archive blob %s is "
			  "damaged; a push of it heals",
		    which, what);
		return;
	}
	if ((g->told & (UINT64_C(1) << rc)) != 0)
		return;
	g->told |= UINT64_C(1) << rc;
	if (rc == RC_NOTFOUND)
		log_error("image %s is not restored yet: blob %s is not in the "
			  "archive; is its disk there?",
		    which, what);
	else
		log_warn("image %s is not restored yet: blob %s: %s", which,
		    what, rc_text(rc));
}

/* Is there something to bring?  RC_NOTFOUND. */
static enum rc
image_look(struct gc *g, struct waiting *image, struct bringing *b)
{
	struct manifest_rec rec;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	b->key_domain = repo_domain(image->repo);
	rc = image_activation(
	    &t, image->repo, &image->digest, &rec, &image->state);
	if (rc == RC_OK && image->state == ACTIVATION_AWAY)
		rc = image_archived_blob(
		    &t, image->repo, &image->digest, &b->digest);
	else if (rc == RC_OK)
		rc = RC_NOTFOUND;
	if (rc == RC_OK)
		rc = blob_find(&t, b->key_domain, &b->digest, &b->rec);
	meta_read_end(&t);
	return (rc);
}

/* All that it needs, or what can be had. */
static enum rc
image_bring(struct gc *g, struct waiting *image)
{
	struct bringing b = { 0 };
	enum rc rc, rc_copy = RC_OK;
	int64_t began_ns;

	while (rc_copy == RC_OK) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		began_ns = clock_mono_ns();
		rc = image_look(g, image, &b);
		if (rc != RC_OK)
			return (rc == RC_NOTFOUND ? RC_OK : rc);
		if ((rc = content_bring(g, &b, &rc_copy)) != RC_OK)
			return (rc);
		gc_rest(g, began_ns);
		if (rc_copy == RC_OK && gc_slice_over(g))
			return (RC_OK);
	}
	if (rc_copy == RC_CANCELLED)
		return (rc_copy);
	bring_failed(g, image, &b.digest, rc_copy);
	image->damaged = rc_copy == RC_CORRUPT;
	return (RC_OK);
}

static bool
image_changes(const struct waiting *image)
{
	return (image->state == ACTIVATION_READY ||
		image->state == ACTIVATION_OVER ||
		(image->state == ACTIVATION_AWAY && image->damaged));
}

/* It is archived since when it was, but not in use since now: as
 * image_class_set(), for which these are one. */
static enum rc
image_archive(
    struct meta_txn *t, const struct waiting *image, int64_t archived_ms)
{
	const struct manifest_touch touch = {
		.status = IMAGE_ARCHIVED,
		.status_ms = archived_ms,
	};
	enum rc rc;

	rc = manifest_touch(t, image->repo, &image->digest, &touch);
	if (rc == RC_OK)
		rc = activation_drop(t, image->repo, &image->digest);
	if (rc == RC_OK)
		rc = image_uses(
		    t, image->repo, &image->digest, -1, image->now_ms);
	if (rc != RC_OK)
		return (rc);
	return (orphan_note(t, image->repo, &image->digest, image->now_ms));
}

/* As it was, if what is damaged is still needed. */
static enum rc
image_give_up(struct meta_txn *t, struct waiting *image)
{
	struct manifest_rec rec;
	enum rc rc;

	rc = image_activation(
	    t, image->repo, &image->digest, &rec, &image->state);
	if (rc != RC_OK || image->state != ACTIVATION_AWAY)
		return (rc);
	return (image_archive(t, image, rec.archived_ms));
}

static enum rc
image_end(struct meta_txn *t, void *arg)
{
	struct waiting *image = arg;
	enum image_status status;
	enum rc rc;

	image->active = false;
	if (!image_changes(image))
		return (RC_OK);
	rc = image_activate(
	    t, image->repo, &image->digest, image->now_ms, &status);
	if (rc != RC_OK)
		return (rc);
	image->active = status == IMAGE_ACTIVE;
	if (status == IMAGE_ACTIVATING && image->damaged)
		return (image_give_up(t, image));
	return (RC_OK);
}

/* --- all of them --------------------------------------------------------- */

/* A pass over those that wait. */
struct pass {
	struct gc_batch batch; /* first: found again by it */
	bool bring;	       /* else it was tried */
	uint64_t n_changed, n_left;
};

static enum rc
image_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct waiting *image = (struct waiting *)b->rows + b->n;
	struct pass *p = (struct pass *)b;
	struct manifest_rec rec;
	enum rc rc;

	(void)g;
	*image = (struct waiting){ 0 };
	if (key_read_repo_digest(w->key, &image->repo, &image->digest))
		rc = image_activation(
		    w->t, image->repo, &image->digest, &rec, &image->state);
	else
		rc = meta_corrupt(w->table, w->key);
	b->n += rc == RC_OK;
	/* What is damaged is for fsck. */
	p->n_left += rc == RC_CORRUPT;
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

/* When the slice is over it goes on with the one that it was at. */
static enum rc
images_bring(struct gc *g, struct gc_batch *b)
{
	struct waiting *rows = b->rows;
	struct rec_key k;
	size_t i;
	enum rc rc;

	for (i = 0; i < b->n && !g->cut; i++) {
		if (rows[i].state != ACTIVATION_AWAY)
			continue;
		rc = image_bring(g, &rows[i]);
		if (rc != RC_OK && rc != RC_CORRUPT)
			return (rc);
		if (!g->cut)
			continue;
		key_repo_digest(&k, rows[i].repo, &rows[i].digest);
		gc_place_set(&b->at, key_span(&k));
	}
	return (RC_OK);
}

static void
images_count(struct gc *g, struct pass *p)
{
	const struct waiting *rows = p->batch.rows;
	size_t i;

	for (i = 0; i < p->batch.n; i++) {
		if (rows[i].row.done && rows[i].active)
			g->totals->activated_images++;
		if (rows[i].row.done && (rows[i].active || rows[i].damaged))
			p->n_changed++;
		else
			p->n_left++;
	}
}

static enum rc
images_act(struct gc *g, struct gc_batch *b)
{
	struct pass *p = (struct pass *)b;
	struct waiting *rows = b->rows;
	bool any = false;
	size_t i;
	enum rc rc = RC_OK;

	if (p->bring && (rc = images_bring(g, b)) != RC_OK)
		return (rc);
	for (i = 0; i < b->n; i++) {
		rows[i].now_ms = gc_now_ms(g);
		any = any || image_changes(&rows[i]);
	}
	if (any)
		rc = gc_rows_change(
		    g->meta, image_end, rows, b->n, sizeof(rows[0]));
	images_count(g, p);
	return (rc);
}

enum rc
gc_activate(struct gc *g)
{
	uint64_t left;

	return (gc_activate_turn(g, &left));
}

/* The first pass may be one that goes on where the slice before was over. */
static enum rc
images_activate(struct gc *g, uint64_t *left_r)
{
	struct pass p;
	struct waiting *rows = xcalloc(GC_BATCH, sizeof(*rows));
	bool bring = true, begins = !g->waiting_cut;
	enum rc rc;

	do {
		p = (struct pass){
			.batch = {
				.table = TABLE_ACTIVATIONS,
				.gather = image_gather,
				.act = images_act,
				.rows = rows,
			},
			.bring = bring,
			.n_changed = begins ? 0 : g->waiting_changed,
			.n_left = begins ? 0 : g->waiting_left,
		};
		rc = gc_queue_run(g, &p.batch);
		bring = false;
		begins = true;
	} while (rc == RC_OK && !g->cut && p.n_changed > 0 && p.n_left > 0);
	g->waiting_cut = rc == RC_OK && g->cut;
	g->waiting_changed = p.n_changed;
	g->waiting_left = p.n_left;
	*left_r = g->waiting_cut ? 0 : p.n_left;
	free(rows);
	return (rc);
}

/* --- turns --------------------------------------------------------------- */

/* Who could not be helped is looked at again. */
#define TURN_AGAIN_NS (30 * INT64_C(1000000000))

static enum rc
turn_take(struct gc *g, uint64_t *left_r)
{
	int64_t began_ns = clock_mono_ns(), end_ns = g->slice_end_ns;
	bool cut = g->cut;
	enum rc rc;

	g->cut = false;
	g->slice_end_ns = began_ns + GC_SLICE_NS;
	rc = images_activate(g, left_r);
	g->slice_end_ns =
	    end_ns != 0 ? end_ns + (clock_mono_ns() - began_ns) : 0;
	g->cut = cut;
	return (rc);
}

enum rc
gc_activate_turn(struct gc *g, uint64_t *left_r)
{
	return (g->slice_end_ns == 0 ? images_activate(g, left_r)
				     : turn_take(g, left_r));
}

static enum rc
waiting_count(struct gc *g, uint64_t *n_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(g->meta, &t)) != RC_OK)
		return (rc);
	*n_r = kv_count(&t, TABLE_ACTIVATIONS);
	meta_read_end(&t);
	return (RC_OK);
}

enum rc
gc_activate_due(struct gc *g)
{
	uint64_t n, left;
	enum rc rc;

	if ((rc = waiting_count(g, &n)) != RC_OK)
		return (rc);
	g->waiting_cut = g->waiting_cut && n > 0;
	if (n == 0 || (!g->waiting_cut && n == g->waiting_left &&
			  clock_mono_ns() < g->waiting_again_ns))
		return (RC_OK);
	rc = turn_take(g, &left);
	if (rc != RC_OK)
		g->waiting_left = n;
	g->waiting_again_ns = clock_mono_ns() + TURN_AGAIN_NS;
	return (rc);
}
