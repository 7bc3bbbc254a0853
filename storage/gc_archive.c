#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "storage/gc_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * Into the archive.
 *
 * Copying may take minutes, and nobody waits for it: the content is claimed
 * only when its copy is there and durable, it is looked at once more in the
 * transaction that says where it lies from now on, and its old place is cleared
 * after that.  At any moment the record leads to content that is whole; a
 * crash leaves a copy too many, which is known as one to be removed, or is
 * found by the search that follows a crash.
 */

/* --- what may be archived ------------------------------------------------ */

enum verdict {
	ARCHIVE_NOW,
	ARCHIVE_LATER,
	ARCHIVE_NEVER, /* whatever makes it a candidate again queues it */
};

/* Of one repository that has it. */
static enum rc
link_judge(struct meta_txn *t, uint64_t repo, const struct digest *d,
    bool *wanted, enum verdict *v_r)
{
	size_t left = BLOB_USE_LOOKED_MAX;
	struct link_rec link;
	bool used, active;
	enum rc rc;

	*v_r = ARCHIVE_NEVER;
	rc = link_load(t, repo, d, &link);
	if (rc != RC_OK || link.users != 0)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	*v_r = link.queued ? ARCHIVE_LATER : ARCHIVE_NOW;
	if (*wanted)
		return (RC_OK);
	rc = edge_used(t, repo, d, &left, &used, &active);
	*wanted = rc == RC_OK && used;
	return (rc);
}

/* As long as one of them uses it, or may come to, it stays. */
static enum rc
holders_judge(struct kv_walk *w, enum verdict *v_r)
{
	enum verdict v = ARCHIVE_NOW;
	bool wanted = false;
	struct digest d;
	uint32_t domain;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	*v_r = ARCHIVE_NEVER;
	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (!key_read_holder(w->key, &domain, &d, &kind, &repo))
			return (meta_corrupt(w->table, w->key));
		if (kind != HOLDER_LINK)
			return (RC_OK);
		rc = link_judge(w->t, repo, &d, &wanted, v_r);
		if (rc != RC_OK || *v_r == ARCHIVE_NEVER)
			return (rc);
		if (*v_r == ARCHIVE_LATER)
			v = ARCHIVE_LATER;
	}
	*v_r = wanted ? v : ARCHIVE_NEVER;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
candidate_judge(struct meta_txn *t, const struct digest *d, uint64_t *size_r,
    enum verdict *v_r)
{
	struct blob_rec rec;
	struct rec_key k;
	struct kv_walk w;
	enum rc rc;

	*v_r = ARCHIVE_NEVER;
	rc = blob_find(t, d, &rec);
	if (rc != RC_OK || rec.location != BLOB_IN_FILE)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	*size_r = rec.size_bytes;
	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	rc = kv_walk_begin(t, TABLE_HOLDERS, key_span(&k), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = holders_judge(&w, v_r);
	kv_walk_end(&w);
	return (rc);
}

/* --- into the archive ---------------------------------------------------- */

struct candidate {
	struct gc_row row;
	struct digest digest;
	uint64_t size_bytes;
	enum verdict verdict;
	bool damaged; /* what is in its place is not it */
};

static enum rc
candidate_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct candidate *c = (struct candidate *)b->rows + b->n;
	uint32_t domain;
	enum rc rc;

	(void)g;
	*c = (struct candidate){ 0 };
	if (!key_read_blob(w->key, &domain, &c->digest) ||
	    domain != KEY_DOMAIN_PLAIN) {
		/* That is for fsck. */
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	rc = candidate_judge(w->t, &c->digest, &c->size_bytes, &c->verdict);
	b->n += rc == RC_OK;
	/* What is damaged stays where it is. */
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

static enum rc
queue_leave(struct meta_txn *t, const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	rc = kv_delete(t, TABLE_ARCHIVE_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* What stays where it is leaves the queue. */
static enum rc
candidate_drop(struct meta_txn *t, void *arg)
{
	const struct candidate *c = arg;
	enum verdict v = ARCHIVE_NEVER;
	uint64_t size;
	enum rc rc;

	if (c->verdict != ARCHIVE_NEVER && !c->damaged)
		return (RC_OK);
	if (!c->damaged) {
		rc = candidate_judge(t, &c->digest, &size, &v);
		if (rc != RC_OK)
			return (rc);
	}
	return (v == ARCHIVE_NEVER ? queue_leave(t, &c->digest) : RC_OK);
}

struct archiving {
	const struct digest *digest;
	uint64_t size_bytes;
	struct tier_place place;
	int64_t now_ms;
	bool moved;
};

static enum rc
archive_change(struct meta_txn *t, void *arg)
{
	struct archiving *a = arg;
	enum verdict v;
	uint64_t size;
	enum rc rc;

	a->moved = false;
	rc = candidate_judge(t, a->digest, &size, &v);
	if (rc != RC_OK || v != ARCHIVE_NOW || size != a->size_bytes)
		return (rc);
	rc = blob_moved(t, a->digest, BLOB_IN_ARCHIVE, a->place.encoding,
	    a->place.stored_bytes, a->now_ms);
	if (rc == RC_OK)
		rc = queue_leave(t, a->digest);
	a->moved = rc == RC_OK;
	return (rc);
}

static enum rc
removed_note(struct meta_txn *t, void *arg)
{
	const struct archiving *a = arg;

	return (removal_drop(t, BLOB_IN_FILE, a->digest));
}

/* What cannot be removed now is by a later collection. */
static enum rc
source_remove(struct gc *g, struct archiving *a)
{
	bool was;
	enum rc rc;

	rc = gc_file_remove(g, BLOB_IN_FILE, a->digest, &was);
	if (rc != RC_OK)
		return (RC_OK);
	return (meta_change(g->meta, removed_note, a, 0));
}

static void
copy_drop(struct gc *g, const struct digest *d)
{
	bool was;

	if (gc_file_remove(g, BLOB_IN_ARCHIVE, d, &was) != RC_OK)
		store_orphans_suspect(g->store, true);
}

/* The copy is there; ${a}->digest is claimed. */
static enum rc
archive_claimed(struct gc *g, struct archiving *a)
{
	enum rc rc;

	if ((rc = meta_change(g->meta, archive_change, a, 0)) != RC_OK) {
		/* Perhaps it was written: then the record leads to it. */
		store_orphans_suspect(g->store, true);
		return (rc);
	}
	if (!a->moved) {
		copy_drop(g, a->digest);
		return (RC_OK);
	}
	g->totals->archived_blobs++;
	g->totals->archived_from_bytes += a->size_bytes;
	g->totals->archived_to_bytes += a->place.stored_bytes;
	return (source_remove(g, a));
}

/* Damaged content is fsck's matter. */
static enum rc
source_damaged(const struct digest *d)
{
	char text[DIGEST_STR_BYTES];

	log_error("blob %s: its file is missing or damaged: not archived; "
		  "fsck tells more",
	    digest_str(d, text));
	return (RC_DIGEST);
}

static enum rc
copy_make(struct gc *g, struct archiving *a)
{
	struct tier_put put = {
		.key_domain = KEY_DOMAIN_PLAIN,
		.digest = *a->digest,
		.size_bytes = a->size_bytes,
		.stop = g->options->stop,
	};
	struct tier *tier = store_tier(g->store);
	uint64_t size;
	enum rc rc;

	if (tier_shares_disk(tier, g->store->dir_fd) &&
	    (rc = store_room(g->store, a->size_bytes)) != RC_OK)
		return (rc);
	rc = blobs_open(store_blobs(g->store), KEY_DOMAIN_PLAIN, a->digest,
	    READ_BLOCKING, &put.fd, &size);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? source_damaged(a->digest) : rc);
	rc = tier_put(tier, &put, &a->place);
	(void)close(put.fd);
	return (rc == RC_DIGEST ? source_damaged(a->digest) : rc);
}

/* ${a}->digest has a copy in the archive. */
static enum rc
archive_copied(struct gc *g, struct archiving *a)
{
	enum rc rc;

	/* Somebody may have asked for it meanwhile. */
	if (!lease_claim(g->leases, a->digest)) {
		g->totals->leased++;
		copy_drop(g, a->digest);
		return (RC_OK);
	}
	rc = archive_claimed(g, a);
	lease_give_back(g->leases, a->digest);
	return (rc);
}

/* *${full_r}: it cannot be copied now, nor could others be. */
static enum rc
candidate_archive(struct gc *g, struct candidate *c, bool *full_r)
{
	struct archiving a = {
		.digest = &c->digest,
		.size_bytes = c->size_bytes,
		.now_ms = g->options->now_ms,
	};
	enum rc rc;

	*full_r = false;
	if (lease_held(g->leases, &c->digest)) {
		g->totals->leased++;
		return (RC_OK);
	}
	rc = copy_make(g, &a);
	if (rc == RC_OK)
		return (archive_copied(g, &a));
	c->damaged = rc == RC_DIGEST;
	if (c->damaged || rc == RC_CANCELLED)
		return (c->damaged ? RC_OK : rc);
	log_warn("nothing is archived now, %s: a later collection will",
	    rc_text(rc));
	*full_r = true;
	return (RC_OK);
}

static enum rc
candidates_act(struct gc *g, struct gc_batch *b)
{
	struct candidate *rows = b->rows;
	bool drop = false, full = false;
	int64_t began_ns;
	size_t i;
	enum rc rc;

	for (i = 0; i < b->n; i++) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		if (rows[i].verdict == ARCHIVE_NOW && !full) {
			began_ns = clock_mono_ns();
			rc = candidate_archive(g, &rows[i], &full);
			if (rc != RC_OK)
				return (rc);
			gc_rest(g, began_ns);
		}
		drop =
		    drop || rows[i].damaged || rows[i].verdict == ARCHIVE_NEVER;
	}
	b->last = b->last || full;
	if (!drop)
		return (RC_OK);
	return (gc_rows_change(
	    g->meta, candidate_drop, rows, b->n, sizeof(rows[0])));
}

enum rc
gc_archive(struct gc *g)
{
	struct gc_batch b = {
		.table = TABLE_ARCHIVE_QUEUE,
		.gather = candidate_gather,
		.act = candidates_act,
		.rows = xcalloc(GC_BATCH, sizeof(struct candidate)),
	};
	enum rc rc;

	rc = gc_queue_run(g, &b);
	free(b.rows);
	return (rc);
}
