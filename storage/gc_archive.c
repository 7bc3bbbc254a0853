#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
 *
 * But somebody may wait for what is to come out of the archive meanwhile.
 * Those get their turn between two candidates, and between two MiB of one that
 * is copied; then what goes in goes on for as long as that turn took, so that
 * neither has to wait until the other has nothing left to do.
 *
 * One that cannot be archived now is passed over, and holds nobody up.  A pass
 * that has to stop says where, and the next one goes on there, so that those in
 * front are not all that is ever tried.
 */

/* Between two turns of those who wait. */
#define TURN_MIN_NS (1 * INT64_C(1000000000))
#define TURN_MAX_NS (10 * INT64_C(1000000000))
/* Who could not be helped is looked at again. */
#define TURN_AGAIN_NS (30 * INT64_C(1000000000))

/* So many that fail, and nothing that succeeds between them: what is wrong is
 * the archive, not one of them. */
#define FAILED_IN_ROW_MAX 8

/* A pass over the candidates. */
struct archive_pass {
	struct gc_batch batch; /* first: found again by it */
	struct gc *g;
	uint64_t left;		   /* they waited still after the last turn */
	int64_t turn_ns, again_ns; /* no other before, and without need */
	enum rc rc;		   /* of the turns, when it ends all */
	bool damaged;		   /* met by one */
	uint64_t failed;	   /* for now: they stay where they are */
	enum rc why;		   /* of the last one */
	unsigned in_row;
	uint64_t too_large; /* for the room that there is */
};

/* --- turns of those who wait --------------------------------------------- */

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

static enum rc
turn_take(struct archive_pass *p, uint64_t waiting)
{
	int64_t began_ns = clock_mono_ns(), now_ns, took_ns;
	enum rc rc;

	rc = gc_activate_turn(p->g, &p->left);
	if (rc == RC_CORRUPT) {
		p->damaged = true;
		p->left = waiting;
		rc = RC_OK;
	}
	now_ns = clock_mono_ns();
	took_ns = now_ns - began_ns;
	if (took_ns < TURN_MIN_NS)
		took_ns = TURN_MIN_NS;
	p->turn_ns = now_ns + (took_ns < TURN_MAX_NS ? took_ns : TURN_MAX_NS);
	p->again_ns = now_ns + TURN_AGAIN_NS;
	return (rc);
}

/* If somebody waits who did not when the last one ended. */
static enum rc
turn_give(struct archive_pass *p)
{
	int64_t now_ns = clock_mono_ns();
	uint64_t n;

	if (now_ns < p->turn_ns)
		return (RC_OK);
	if ((p->rc = waiting_count(p->g, &n)) == RC_OK && n > 0 &&
	    (n != p->left || now_ns >= p->again_ns))
		p->rc = turn_take(p, n);
	return (p->rc);
}

static enum rc
chunk_copied(void *arg, int64_t began_ns)
{
	struct archive_pass *p = arg;

	gc_breathe(p->g, began_ns);
	/* What it was is in ${p}. */
	return (turn_give(p) == RC_OK ? RC_OK : RC_CANCELLED);
}

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
	/* A hidden one is of deleted images only. */
	if (*wanted || link.hidden)
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
candidate_judge(struct meta_txn *t, uint32_t domain, const struct digest *d,
    uint64_t *size_r, enum verdict *v_r)
{
	struct blob_rec rec;
	struct rec_key k;
	struct kv_walk w;
	enum rc rc;

	*v_r = ARCHIVE_NEVER;
	rc = blob_find(t, domain, d, &rec);
	if (rc != RC_OK || rec.location != BLOB_IN_FILE)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	*size_r = rec.size_bytes;
	key_blob(&k, domain, d);
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
	uint32_t key_domain;
	struct digest digest;
	uint64_t size_bytes;
	enum verdict verdict;
	bool damaged; /* what is in its place is not it */
};

static enum rc
candidate_gather(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct candidate *c = (struct candidate *)b->rows + b->n;
	enum rc rc;

	(void)g;
	*c = (struct candidate){ 0 };
	if (!key_read_blob(w->key, &c->key_domain, &c->digest)) {
		/* That is for fsck. */
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	rc = candidate_judge(
	    w->t, c->key_domain, &c->digest, &c->size_bytes, &c->verdict);
	b->n += rc == RC_OK;
	/* What is damaged stays where it is. */
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

static enum rc
queue_leave(struct meta_txn *t, uint32_t domain, const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_blob(&k, domain, d);
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
		rc = candidate_judge(t, c->key_domain, &c->digest, &size, &v);
		if (rc != RC_OK)
			return (rc);
	}
	return (v == ARCHIVE_NEVER ? queue_leave(t, c->key_domain, &c->digest)
				   : RC_OK);
}

struct archiving {
	uint32_t key_domain;
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
	rc = candidate_judge(t, a->key_domain, a->digest, &size, &v);
	if (rc != RC_OK || v != ARCHIVE_NOW || size != a->size_bytes)
		return (rc);
	rc = blob_moved(t, a->key_domain, a->digest, BLOB_IN_ARCHIVE,
	    a->place.encoding, a->place.stored_bytes, a->now_ms);
	if (rc == RC_OK)
		rc = queue_leave(t, a->key_domain, a->digest);
	a->moved = rc == RC_OK;
	return (rc);
}

static enum rc
removed_note(struct meta_txn *t, void *arg)
{
	const struct archiving *a = arg;

	return (removal_drop(t, BLOB_IN_FILE, a->key_domain, a->digest));
}

/* What cannot be removed now is by a later collection. */
static enum rc
source_remove(struct gc *g, struct archiving *a)
{
	bool was;
	enum rc rc;

	rc = gc_file_remove(g, BLOB_IN_FILE, a->key_domain, a->digest, &was);
	if (rc != RC_OK)
		return (RC_OK);
	return (meta_change_freeing(g->meta, removed_note, a));
}

static void
copy_drop(struct gc *g, const struct archiving *a)
{
	bool was;

	if (gc_file_remove(
		g, BLOB_IN_ARCHIVE, a->key_domain, a->digest, &was) != RC_OK)
		store_orphans_suspect(g->store, true);
}

/* The copy is there; ${a}->digest is claimed. */
static enum rc
archive_claimed(struct gc *g, struct archiving *a)
{
	enum rc rc;

	rc = meta_change_freeing(g->meta, archive_change, a);
	if (rc != RC_OK) {
		/* Perhaps it was written: then the record leads to it. */
		store_orphans_suspect(g->store, true);
		return (rc);
	}
	if (!a->moved) {
		copy_drop(g, a);
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
copy_make(struct archive_pass *p, struct archiving *a)
{
	struct gc *g = p->g;
	struct blob_file file;
	struct tier_put put = {
		.key_domain = a->key_domain,
		.digest = *a->digest,
		.file = &file,
		.size_bytes = a->size_bytes,
		.pace = {
			.stop = g->options->stop,
			.between = chunk_copied,
			.arg = p,
		},
	};
	struct tier *tier = store_tier(g->store);
	enum rc rc;

	if (tier_shares_disk(tier, g->store->dir_fd) &&
	    (rc = store_room(g->store, a->size_bytes)) != RC_OK)
		return (rc);
	rc = blobs_open(store_blobs(g->store), a->key_domain, a->digest,
	    READ_BLOCKING, &file);
	if (rc == RC_NOTFOUND || rc == RC_IO || rc == RC_CORRUPT)
		return (source_damaged(a->digest));
	if (rc != RC_OK)
		return (rc);
	rc = tier_put(tier, &put, &a->place);
	blob_file_close(&file);
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
		copy_drop(g, a);
		return (RC_OK);
	}
	rc = archive_claimed(g, a);
	lease_give_back(g->leases, a->digest);
	return (rc);
}

/* Is it the archive that fails, and so would all others? */
static bool
candidate_failed(struct archive_pass *p, const struct candidate *c, enum rc rc)
{
	p->failed++;
	p->why = rc;
	/* The archive is as good as it was for those of other keys. */
	if (rc == RC_LOCKED)
		return (false);
	if (rc == RC_NOSPACE) {
		p->too_large = c->size_bytes;
		return (false);
	}
	return (rc == RC_MISSING || ++p->in_row == FAILED_IN_ROW_MAX);
}

/* *${full_r}: nor could others be archived now. */
static enum rc
candidate_end(
    struct archive_pass *p, struct candidate *c, enum rc rc, bool *full_r)
{
	if (rc == RC_CANCELLED)
		return (p->rc != RC_OK ? p->rc : rc);
	c->damaged = rc == RC_DIGEST;
	if (!c->damaged)
		*full_r = candidate_failed(p, c, rc);
	return (RC_OK);
}

static enum rc
candidate_archive(struct archive_pass *p, struct candidate *c, bool *full_r)
{
	struct gc *g = p->g;
	struct archiving a = {
		.key_domain = c->key_domain,
		.digest = &c->digest,
		.size_bytes = c->size_bytes,
		.now_ms = g->options->now_ms,
	};
	enum rc rc;

	if (c->size_bytes >= p->too_large) {
		p->failed++;
		return (RC_OK);
	}
	if (lease_held(g->leases, &c->digest)) {
		g->totals->leased++;
		return (RC_OK);
	}
	if ((rc = copy_make(p, &a)) != RC_OK)
		return (candidate_end(p, c, rc, full_r));
	p->in_row = 0;
	rc = archive_copied(g, &a);
	/* A record of it that cannot be read is not the others' matter. */
	p->damaged = p->damaged || rc == RC_CORRUPT;
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

/* Those who wait come first. */
static enum rc
candidate_try(struct archive_pass *p, struct candidate *c, bool *full_r)
{
	int64_t began_ns;
	enum rc rc;

	if ((rc = turn_give(p)) != RC_OK)
		return (rc);
	began_ns = clock_mono_ns();
	if ((rc = candidate_archive(p, c, full_r)) == RC_OK)
		gc_rest(p->g, began_ns);
	return (rc);
}

/* The next pass goes on behind it. */
static void
place_keep(struct gc *g, const struct candidate *c)
{
	struct rec_key *from = &g->store->archive_from;

	key_blob(from, c->key_domain, &c->digest);
	from->p[from->n++] = 0;
}

static enum rc
candidates_act(struct gc *g, struct gc_batch *b)
{
	struct archive_pass *p = (struct archive_pass *)b;
	struct candidate *rows = b->rows;
	bool drop = false, full = false;
	size_t i;
	enum rc rc;

	for (i = 0; i < b->n && !full; i++) {
		if (gc_stopped(g))
			return (RC_CANCELLED);
		if (rows[i].verdict == ARCHIVE_NOW &&
		    (rc = candidate_try(p, &rows[i], &full)) != RC_OK)
			return (rc);
		if (full)
			place_keep(g, &rows[i]);
		drop =
		    drop || rows[i].damaged || rows[i].verdict == ARCHIVE_NEVER;
	}
	b->last = b->last || full;
	if (!drop)
		return (RC_OK);
	return (gc_rows_change(
	    g->meta, candidate_drop, rows, b->n, sizeof(rows[0])));
}

/* --- a pass -------------------------------------------------------------- */

/* From where the last one ended, in this collection or in one before. */
static enum rc
pass_run(struct archive_pass *p)
{
	struct rec_key *from = &p->g->store->archive_from;
	struct gc_batch *b = &p->batch;
	enum rc rc;

	gc_place_set(&b->at, key_span(from));
	from->n = 0;
	rc = gc_queue_run(p->g, b);
	if (rc == RC_OK && p->g->cut && b->at.n <= sizeof(from->p)) {
		memcpy(from->p, b->at.p, b->at.n);
		from->n = b->at.n;
	}
	return (rc);
}

/* Of an archive that is away its own part has told. */
static void
pass_tell(const struct archive_pass *p)
{
	if (p->failed > 0 && p->why != RC_MISSING)
		log_warn("not archived now: %" PRIu64 " blobs, the last one: "
			 "%s; a later collection tries again",
		    p->failed, rc_text(p->why));
}

enum rc
gc_archive(struct gc *g)
{
	struct archive_pass p = {
		.batch = {
			.table = TABLE_ARCHIVE_QUEUE,
			.gather = candidate_gather,
			.act = candidates_act,
			.rows = xcalloc(GC_BATCH, sizeof(struct candidate)),
			.anew = true,
		},
		.g = g,
		.too_large = UINT64_MAX,
	};
	enum rc rc;

	tier_look(store_tier(g->store));
	rc = pass_run(&p);
	pass_tell(&p);
	free(p.batch.rows);
	return (rc == RC_OK && p.damaged ? RC_CORRUPT : rc);
}
