#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Storage classes: images are archived and restored.
 *
 * Archived is what is said of an image; that content which archived images
 * alone need goes into the archive is the collector's work, later (gc_archive).
 * So one that is restored may have all that it needs where it was, and is
 * active at once; or it is activating, and counts as a user of its content,
 * until the collector has brought that back.
 */

/* --- content ------------------------------------------------------------- */

enum rc
archive_offer(
    struct meta_txn *t, uint32_t domain, const struct digest *d, int64_t now_ms)
{
	uint8_t value[REC_MOMENT_BYTES];
	struct blob_rec rec;
	struct rec_key k;
	struct span was;
	enum rc rc;

	rc = blob_find(t, domain, d, &rec);
	if (rc != RC_OK || rec.location != BLOB_IN_FILE || rec.unheld_ms != 0)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	key_blob(&k, domain, d);
	rc = kv_get(t, TABLE_ARCHIVE_QUEUE, key_span(&k), &was);
	if (rc != RC_NOTFOUND)
		return (rc);
	rec_moment_write(now_ms, value);
	return (kv_put(t, TABLE_ARCHIVE_QUEUE, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

/* --- one image ----------------------------------------------------------- */

enum rc
activation_put(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	uint8_t value[REC_MOMENT_BYTES];
	struct rec_key k;

	key_repo_digest(&k, repo, d);
	rec_moment_write(now_ms, value);
	return (kv_put(t, TABLE_ACTIVATIONS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
activation_drop(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_delete(t, TABLE_ACTIVATIONS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Who has no link to it never had it from here. */
static enum rc
blob_in_archive(
    struct meta_txn *t, uint64_t repo, const struct digest *d, bool *is_r)
{
	struct link_rec link;
	struct blob_rec rec = { 0 };
	enum rc rc;

	/* A damaged one does not tell where its content lies either way. */
	rc = link_load(t, repo, d, &link);
	if (rc == RC_OK || rc == RC_CORRUPT)
		rc = blob_find(t, repo_domain(repo), d, &rec);
	*is_r = rc == RC_OK && rec.location == BLOB_IN_ARCHIVE;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
archived_of_kind(struct meta_txn *t, uint64_t repo, const struct digest *d,
    uint8_t kind, struct digest *blob_r, bool *any_r)
{
	struct digest parent;
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	*any_r = false;
	key_edge(&prefix, repo, d, kind, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (!*any_r && (rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_edge(w.key, &repo, &parent, &kind, blob_r))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = blob_in_archive(t, repo, blob_r, any_r);
		if (rc != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
image_archived_blob(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct digest *blob_r)
{
	bool any;
	enum rc rc;

	rc = archived_of_kind(t, repo, d, EDGE_CONFIG, blob_r, &any);
	if (rc == RC_OK && !any)
		rc = archived_of_kind(t, repo, d, EDGE_LAYER, blob_r, &any);
	return (rc == RC_OK && !any ? RC_NOTFOUND : rc);
}

enum rc
image_in_archive(
    struct meta_txn *t, uint64_t repo, const struct digest *d, bool *any_r)
{
	struct digest blob;
	enum rc rc;

	rc = image_archived_blob(t, repo, d, &blob);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Of ${rec} only numbers are used: its spans may be stale. */
enum rc
image_class_set(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, enum image_status status, int64_t now_ms)
{
	const struct manifest_touch touch = {
		.status = status,
		.status_ms = now_ms,
	};
	bool deleted = (rec->flags & MANIFEST_DELETED) != 0;
	enum image_status old = rec->status;
	enum rc rc;

	if (old == status)
		return (RC_OK);
	if ((rc = manifest_touch(t, repo, d, &touch)) != RC_OK || deleted)
		return (rc);
	if (old == IMAGE_ACTIVATING)
		rc = activation_drop(t, repo, d);
	if (rc == RC_OK && status == IMAGE_ACTIVATING)
		rc = activation_put(t, repo, d, now_ms);
	if (rc == RC_OK && status == IMAGE_ARCHIVED)
		rc = image_uses(t, repo, d, -1, now_ms);
	if (rc == RC_OK && old == IMAGE_ARCHIVED)
		rc = image_uses(t, repo, d, 1, now_ms);
	if (rc != RC_OK || status != IMAGE_ARCHIVED)
		return (rc);
	return (orphan_note(t, repo, d, now_ms));
}

/* --- restoring ----------------------------------------------------------- */

#define LIST_ROWS_FIRST 16

/* The array doubles; what it leaves behind goes with the arena. */
enum rc
image_list_add(struct image_list *list, const struct digest *d)
{
	struct digest *rows;
	size_t room;

	if (list == NULL || list->arena == NULL)
		return (RC_OK);
	if (list->n == list->room) {
		room = list->room > 0 ? 2 * list->room : LIST_ROWS_FIRST;
		rows = arena_calloc(list->arena, room, sizeof(*rows));
		if (rows == NULL)
			return (RC_TOOBIG);
		if (list->n > 0)
			memcpy(rows, list->rows, list->n * sizeof(*rows));
		list->rows = rows;
		list->room = room;
	}
	list->rows[list->n++] = *d;
	return (RC_OK);
}

/* Referrers that one change looks at. */
#define REFERRERS_MAX 1000

/*
 * An image comes back with those around it: an index with what it needs, and
 * a subject with those that refer to it.  From the leaves up, so that an index
 * knows whether it has to wait for a child.
 *
 * Of very many referrers the collector restores the others, from behind the
 * last one that was looked at (meta_orphan.c).
 */
struct restoring {
	int64_t now_ms;
	size_t left; /* so many references of indexes may still be looked at */
	size_t referrers_left;	    /* and so many that refer to a subject */
	const struct digest *apart; /* whoever asks sees to it; or NULL */
	struct image_list *others;  /* that came back; or NULL */
};

static enum rc restore(struct meta_txn *, uint64_t repo, const struct digest *,
    unsigned depth, struct restoring *, bool *waits_r);

static enum rc
restore_children(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct restoring *r, bool *wait_r)
{
	struct digest parent, child;
	struct rec_key prefix;
	struct kv_walk w;
	uint8_t kind;
	bool waits;
	enum rc rc;

	key_edge(&prefix, repo, d, EDGE_MANIFEST, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (r->left > 0 && (rc = kv_walk_next(&w)) == RC_OK) {
		r->left--;
		waits = false;
		if (!key_read_edge(w.key, &repo, &parent, &kind, &child))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = restore(t, repo, &child, depth, r, &waits);
		if (rc != RC_OK)
			break;
		*wait_r = *wait_r || waits;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* One that was archived before its subject stays so: that was meant. */
static enum rc
restore_referrer(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t since_ms, unsigned depth, struct restoring *r)
{
	struct manifest_rec rec;
	bool waits;
	enum rc rc;

	rc = manifest_row(t, repo, d, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (rec.status != IMAGE_ARCHIVED || rec.archived_ms < since_ms)
		return (RC_OK);
	return (restore(t, repo, d, depth, r, &waits));
}

static enum rc
restore_tagged(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t since_ms, unsigned depth, struct restoring *r)
{
	struct digest referrer;
	unsigned i;
	enum rc rc;

	for (i = 0; i < REFERRER_TAGS; i++) {
		rc = referrer_tag_find(t, repo, d, i, &referrer);
		if (rc == RC_OK)
			rc = restore_referrer(
			    t, repo, &referrer, since_ms, depth, r);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
	}
	return (RC_OK);
}

/* RC_RANGE: there are others behind ${rec}, which says which was the last. */
static enum rc
referrers_walk(struct kv_walk *w, int64_t since_ms, unsigned depth,
    struct restoring *r, struct orphan_rec *rec)
{
	struct digest subject, referrer;
	uint64_t repo;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (!key_read_referrer(w->key, &repo, &subject, &referrer))
			return (meta_corrupt(w->table, w->key));
		if (rec->begun && digest_eq(&referrer, &rec->at))
			continue;
		if (r->referrers_left == 0)
			return (RC_RANGE);
		r->referrers_left--;
		rec->begun = true;
		rec->at = referrer;
		rc =
		    restore_referrer(w->t, repo, &referrer, since_ms, depth, r);
		if (rc != RC_OK)
			return (rc);
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* From behind ${rec}, which is then where it ends: RC_RANGE as above. */
static enum rc
referrers_restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t since_ms, unsigned depth, struct restoring *r,
    struct orphan_rec *rec)
{
	struct rec_key prefix, from = { 0 };
	struct kv_walk w;
	enum rc rc;

	key_repo_digest(&prefix, repo, d);
	if (rec->begun)
		key_referrer(&from, repo, d, &rec->at);
	rc = kv_walk_begin(
	    t, TABLE_REFERRERS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = referrers_walk(&w, since_ms, depth, r, rec);
	kv_walk_end(&w);
	return (rc);
}

static enum rc
rest_note(struct meta_txn *t, int64_t at_ms, uint64_t repo,
    const struct digest *d, const struct orphan_rec *rec)
{
	uint8_t value[REC_ORPHAN_MAX_BYTES];
	struct rec_key k;

	key_timed(&k, at_ms > 0 ? at_ms : 1, repo, d);
	rec_orphan_write(rec, value);
	return (kv_put(t, TABLE_ORPHAN_SUBJECTS, key_span(&k),
	    (struct span){ (const char *)value, rec_orphan_size(rec) }));
}

/* Its place is that of when the subject went: nobody waits a grace for what is
 * restored. */
static enum rc
restore_referrers(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t since_ms, unsigned depth, struct restoring *r)
{
	struct orphan_rec rec = { .back = true, .gone_ms = since_ms };
	enum rc rc;

	rc = referrers_restore(t, repo, d, since_ms, depth, r, &rec);
	return (rc == RC_RANGE ? rest_note(t, since_ms, repo, d, &rec) : rc);
}

enum rc
image_restore_referrers(struct meta_txn *t, uint64_t repo,
    const struct digest *d, unsigned max, int64_t now_ms,
    struct orphan_rec *rec, unsigned *n_r, struct image_list *others)
{
	struct restoring r = {
		.now_ms = now_ms,
		.left = IMAGE_RESTORE_MAX,
		.referrers_left = max,
		.others = others,
	};
	struct manifest_rec subject;
	enum rc rc;

	/* Archived, or deleted, since: then they follow it in their time, of
	 * which another row tells. */
	rc = manifest_row_any(t, repo, d, &subject);
	if (rc == RC_OK)
		rc = referrers_restore(t, repo, d, rec->gone_ms, 1, &r, rec);
	*n_r = max - (unsigned)r.referrers_left;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Of an index what it needs, unless that is too far away. */
static enum rc
restore_below(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, unsigned depth, struct restoring *r,
    bool *wait_r)
{
	if (depth == IMAGE_DEPTH_MAX ||
	    manifest_kind_of(rec->media_type) != MANIFEST_INDEX)
		return (RC_OK);
	return (restore_children(t, repo, d, depth + 1, r, wait_r));
}

/* Those of before, when it comes back. */
static enum rc
restore_above(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, unsigned depth, struct restoring *r)
{
	int64_t since_ms = rec->archived_ms;
	enum rc rc;

	if (depth == IMAGE_DEPTH_MAX || rec->status != IMAGE_ARCHIVED)
		return (RC_OK);
	rc = restore_referrers(t, repo, d, since_ms, depth + 1, r);
	if (rc != RC_OK)
		return (rc);
	return (restore_tagged(t, repo, d, since_ms, depth + 1, r));
}

/* Itself, when it is archived. */
static enum rc
restore_row(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, struct restoring *r, bool *wait_r)
{
	enum image_status status = rec->status;
	bool away = false;
	enum rc rc;

	if (status == IMAGE_ARCHIVED) {
		rc = image_in_archive(t, repo, d, &away);
		if (rc != RC_OK)
			return (rc);
		status = away || *wait_r ? IMAGE_ACTIVATING : IMAGE_ACTIVE;
		rc = image_class_set(t, repo, d, rec, status, r->now_ms);
		if (rc == RC_OK)
			rc = image_list_add(r->others, d);
		if (rc != RC_OK)
			return (rc);
	}
	*wait_r = status == IMAGE_ACTIVATING;
	return (RC_OK);
}

/* *${waits_r}: it is activating then. */
static enum rc
restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct restoring *r, bool *waits_r)
{
	struct manifest_rec rec;
	enum rc rc;

	*waits_r = false;
	if (r->apart != NULL && digest_eq(d, r->apart))
		return (RC_OK);
	rc = manifest_row(t, repo, d, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	rc = restore_below(t, repo, d, &rec, depth, r, waits_r);
	if (rc == RC_OK)
		rc = restore_row(t, repo, d, &rec, r, waits_r);
	if (rc == RC_OK)
		rc = restore_above(t, repo, d, &rec, depth, r);
	return (rc);
}

enum rc
image_restore_below(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t now_ms, struct image_list *others)
{
	struct restoring r = {
		.now_ms = now_ms,
		.left = IMAGE_RESTORE_MAX,
		.referrers_left = REFERRERS_MAX,
		.apart = d,
		.others = others,
	};
	struct manifest_rec rec;
	bool waits = false;
	enum rc rc;

	rc = manifest_row(t, repo, d, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	rc = restore_below(t, repo, d, &rec, 0, &r, &waits);
	return (rc == RC_OK ? restore_above(t, repo, d, &rec, 0, &r) : rc);
}

/* --- activating ---------------------------------------------------------- */

static enum rc
child_waits(
    struct meta_txn *t, uint64_t repo, const struct digest *d, bool *waits_r)
{
	struct digest parent, child;
	struct manifest_rec rec = { 0 };
	struct rec_key prefix;
	struct kv_walk w;
	uint8_t kind;
	enum rc rc;

	*waits_r = false;
	key_edge(&prefix, repo, d, EDGE_MANIFEST, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (!*waits_r && (rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_edge(w.key, &repo, &parent, &kind, &child))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = manifest_row(t, repo, &child, &rec);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			break;
		*waits_r = rc == RC_OK && rec.status == IMAGE_ACTIVATING;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
image_activation(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct manifest_rec *rec_r, enum activation *state_r)
{
	bool doomed, waits = false;
	enum rc rc;

	*state_r = ACTIVATION_HELD_UP;
	if ((rc = repo_doomed(t, repo, &doomed)) != RC_OK || doomed)
		return (rc);
	rc = manifest_row(t, repo, d, rec_r);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && rec_r->status != IMAGE_ACTIVATING)) {
		*state_r = ACTIVATION_OVER;
		return (RC_OK);
	}
	if (rc == RC_OK)
		rc = image_in_archive(t, repo, d, &waits);
	if (rc != RC_OK || waits) {
		*state_r = ACTIVATION_AWAY;
		return (rc);
	}
	rc = child_waits(t, repo, d, &waits);
	if (rc == RC_OK && !waits)
		*state_r = ACTIVATION_READY;
	return (rc);
}

enum rc
image_activate(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t now_ms, enum image_status *status_r)
{
	struct manifest_rec rec;
	enum activation state;
	enum rc rc;

	*status_r = IMAGE_ACTIVATING;
	rc = image_activation(t, repo, d, &rec, &state);
	if (rc != RC_OK)
		return (rc);
	if (state == ACTIVATION_OVER) {
		*status_r = IMAGE_ARCHIVED;
		return (activation_drop(t, repo, d));
	}
	if (state != ACTIVATION_READY)
		return (RC_OK);
	*status_r = IMAGE_ACTIVE;
	return (image_class_set(t, repo, d, &rec, IMAGE_ACTIVE, now_ms));
}

/* --- on request ---------------------------------------------------------- */

struct status_arg {
	struct span repository;
	const struct reference *ref;
	enum image_status status;
	int64_t now_ms;
	struct arena *arena;
	struct image_row *row;
	struct holding *holding;
	struct image_list *others; /* or NULL */
};

static enum rc
status_apply(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct status_arg *sa)
{
	struct restoring r = {
		.now_ms = sa->now_ms,
		.left = IMAGE_RESTORE_MAX,
		.referrers_left = REFERRERS_MAX,
		.others = sa->others,
	};
	struct manifest_rec rec;
	bool waits;
	enum rc rc;

	if ((rc = manifest_find(t, repo, d, &rec)) != RC_OK)
		return (rc);
	if (sa->status == IMAGE_ACTIVE)
		return (restore(t, repo, d, 0, &r, &waits));
	if (rec.status == IMAGE_ARCHIVED)
		return (RC_OK);
	rc = edge_holders_active(t, repo, d, sa->holding);
	if (rc != RC_OK)
		return (rc);
	return (image_class_set(t, repo, d, &rec, IMAGE_ARCHIVED, sa->now_ms));
}

static enum rc
status_set(struct meta_txn *t, void *arg)
{
	const struct status_arg *sa = arg;
	struct digest d = sa->ref->digest;
	struct repository_row repo;
	enum rc rc;

	*sa->holding = (struct holding){ 0 };
	if (sa->others != NULL)
		sa->others->n = 0;
	if ((rc = repo_find(t, sa->repository, &repo)) != RC_OK)
		return (rc);
	if (!sa->ref->is_digest)
		rc = tag_find(t, repo.id, sa->ref->tag, &d);
	if (rc == RC_OK)
		rc = status_apply(t, repo.id, &d, sa);
	if (rc != RC_OK)
		return (rc);
	return (image_get(t, repo.id, &d, sa->arena, sa->row));
}

enum rc
meta_image_restore(struct meta *m, struct span repository,
    const struct reference *ref, int64_t now_ms, struct arena *a,
    struct image_row *row_r, struct image_list *others)
{
	struct holding holding;
	struct status_arg arg = {
		.repository = repository,
		.ref = ref,
		.status = IMAGE_ACTIVE,
		.now_ms = now_ms,
		.arena = a,
		.row = row_r,
		.holding = &holding,
		.others = others,
	};

	return (meta_change(m, status_set, &arg, 0));
}

enum rc
meta_image_status_set(struct meta *m, struct span repository,
    const struct reference *ref, enum image_status status, int64_t now_ms,
    struct arena *a, struct image_row *row_r, struct holding *holding_r)
{
	struct status_arg arg = {
		.repository = repository,
		.ref = ref,
		.status = status,
		.now_ms = now_ms,
		.arena = a,
		.row = row_r,
		.holding = holding_r,
	};

	must(status == IMAGE_ACTIVE || status == IMAGE_ARCHIVED);
	*holding_r = (struct holding){ 0 };
	return (meta_change(m, status_set, &arg, 0));
}
