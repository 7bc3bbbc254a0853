#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Deleted images come back: the mark goes from the row, and what was taken
 * away with it (meta_deleted.c) is made again from what was written down, from
 * the text and from the edges.
 *
 * An index comes back with those of its children that are deleted.  Blobs are
 * there, since a deleted image still needs them; but a child that was deleted
 * before the index may be gone for good, and then neither comes back.  Nor does
 * an index of which not all could be looked at: what it needs would go when the
 * time of that is up.
 */

#define READ_ROWS 512

struct undelete {
	int64_t now_ms;
	size_t left; /* so many images that indexes need may be looked at */
	struct arena work;
	/* The caller's. */
	struct arena *arena;
	struct image_restored *restored;
};

static enum rc image_restore(struct meta_txn *, uint64_t repo,
    const struct digest *, unsigned depth, struct undelete *);

/* What it needs. */

static enum rc
child_restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct undelete *u)
{
	struct manifest_rec rec;
	enum rc rc;

	rc = manifest_row_any(t, repo, d, &rec);
	if (rc != RC_OK || (rec.flags & MANIFEST_DELETED) == 0)
		return (rc);
	if (depth >= IMAGE_DEPTH_MAX)
		return (RC_LIMIT);
	if ((rc = image_restore(t, repo, d, depth + 1, u)) != RC_OK)
		return (rc);
	u->restored->children++;
	return (image_list_add(&u->restored->undeleted, d));
}

/* One that was not there when the manifest was pushed need not be. */
static enum rc
need_restore(struct kv_walk *w, unsigned depth, struct undelete *u)
{
	struct digest parent, child;
	struct edge_rec rec;
	struct link_rec link;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	if (!key_read_edge(w->key, &repo, &parent, &kind, &child) ||
	    !rec_edge_read(w->value, &rec))
		return (meta_corrupt(w->table, w->key));
	if (kind == EDGE_MANIFEST && u->left == 0)
		return (RC_LIMIT);
	if (kind == EDGE_MANIFEST) {
		u->left--;
		rc = child_restore(w->t, repo, &child, depth, u);
	} else {
		rc = link_load(w->t, repo, &child, &link);
	}
	if (rc != RC_NOTFOUND)
		return (rc);
	if ((rec.flags & EDGE_ABSENT) != 0)
		return (RC_OK);
	u->restored->missing = child;
	return (RC_MISSING);
}

static enum rc
needs_restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct undelete *u)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, d, 0, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = need_restore(&w, depth, u)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Its tags, as far as they are free. */

static enum rc
tag_restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span tag, int64_t now_ms, bool *taken_r)
{
	struct digest other;
	enum rc rc;

	rc = tag_find(t, repo, tag, &other);
	*taken_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? tag_set(t, repo, tag, d, now_ms) : rc);
}

/* Of a copy from another registry they are copies again, to be compared with
 * what is said there. */
static enum rc
tag_mark(
    struct meta_txn *t, uint64_t repo, const struct digest *d, struct span tag)
{
	const struct import_tag row = { .digest = *d };
	int64_t imported_ms;
	enum rc rc;

	rc = import_load(t, repo, d, &imported_ms);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	return (import_tag_put(t, repo, tag, &row));
}

static enum rc
tags_restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct span *tags, size_t n, struct undelete *u,
    struct image_restored *restored)
{
	bool taken;
	size_t i;
	enum rc rc;

	for (i = 0; i < n; i++) {
		rc = tag_restore(t, repo, d, tags[i], u->now_ms, &taken);
		if (rc == RC_OK && !taken)
			rc = tag_mark(t, repo, d, tags[i]);
		if (rc != RC_OK)
			return (rc);
		if (restored == NULL)
			continue;
		rc = copy_out(u->arena, tags[i],
		    taken ? &restored->taken[restored->n_taken++]
			  : &restored->tags[restored->n_tags++]);
		if (rc != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

/* Of the image that was asked for it is told which. */
static enum rc
tags_told(size_t n, struct undelete *u, struct image_restored *restored)
{

	restored->tags = arena_calloc(u->arena, n + 1, sizeof(struct span));
	restored->taken = arena_calloc(u->arena, n + 1, sizeof(struct span));
	return (restored->tags != NULL && restored->taken != NULL ? RC_OK
								  : RC_TOOBIG);
}

static enum rc
tags_again(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct undelete *u)
{
	struct image_restored *restored = depth == 0 ? u->restored : NULL;
	struct deleted_rec rec;
	struct span *tags;
	size_t n;
	enum rc rc;

	rc = deleted_load(t, repo, d, &rec);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		rec = (struct deleted_rec){ 0 };
	else if (rc != RC_OK)
		return (rc);
	if ((rc = deleted_tags(&rec, &u->work, &tags, &n)) != RC_OK)
		return (rc);
	if (restored != NULL && (rc = tags_told(n, u, restored)) != RC_OK)
		return (rc);
	if ((rc = deleted_forget(t, repo, d)) != RC_OK)
		return (rc);
	return (tags_restore(t, repo, d, tags, n, u, restored));
}

/* As a referrer.  What its row cannot tell stands in its text, which was read
 * like that when it was pushed. */
static enum rc
referrer_again(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, struct undelete *u)
{
	struct manifest m = {
		.media_type = rec->media_type,
		.artifact_type = rec->artifact_type,
		.has_subject = true,
		.subject = rec->subject,
	};
	char why[MANIFEST_WHY_BYTES];
	struct manifest read;
	struct span text;
	enum rc rc;

	if ((rec->flags & MANIFEST_HAS_SUBJECT) == 0)
		return (RC_OK);
	rc = blob_content(t, repo_domain(repo), d, rec->size_bytes,
	    READ_BLOCKING, &u->work, &text);
	if (rc == RC_OK)
		rc =
		    manifest_parse(rec->media_type, text, &u->work, &read, why);
	if (rc == RC_OK)
		m.annotations = read.annotations;
	else if (rc == RC_IO)
		return (rc);
	return (referrer_put(t, repo, d, &m, rec->size_bytes));
}

/* The image. */

/* Copied out of the map.  RC_NOTFOUND: it is not deleted. */
static enum rc
deleted_row(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct arena *a, struct manifest_rec *rec)
{
	enum rc rc;

	if ((rc = manifest_row_any(t, repo, d, rec)) != RC_OK)
		return (rc);
	if ((rec->flags & MANIFEST_DELETED) == 0)
		return (RC_NOTFOUND);
	rc = copy_out(a, rec->media_type, &rec->media_type);
	if (rc == RC_OK)
		rc = copy_out(a, rec->artifact_type, &rec->artifact_type);
	return (rc);
}

static enum rc
row_again(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct manifest_rec *rec, int64_t now_ms)
{
	enum rc rc;

	rec->flags &= (uint8_t)~MANIFEST_DELETED;
	if (rec->status == IMAGE_ARCHIVED)
		rec->archived_ms = now_ms;
	else
		rec->status = IMAGE_ACTIVATING;
	if ((rc = manifest_save(t, repo, d, rec)) != RC_OK)
		return (rc);
	return (image_count_add(t, repo, 1));
}

/* Content that was needed by deleted images alone was no matter of the archive.
 */
static enum rc
kind_offer(struct meta_txn *t, uint64_t repo, const struct digest *d,
    uint8_t kind, int64_t now_ms)
{
	struct digest parent, child;
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, d, kind, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_edge(w.key, &repo, &parent, &kind, &child))
			rc = meta_corrupt(w.table, w.key);
		else
			rc =
			    archive_offer(t, repo_domain(repo), &child, now_ms);
		if (rc != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
needs_offer(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	enum rc rc;

	if ((rc = kind_offer(t, repo, d, EDGE_CONFIG, now_ms)) != RC_OK)
		return (rc);
	return (kind_offer(t, repo, d, EDGE_LAYER, now_ms));
}

/* What it needs may have been archived meanwhile, or even be in the archive. */
static enum rc
class_again(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, struct undelete *u)
{
	int64_t now_ms = u->now_ms;
	enum image_status status;
	enum rc rc;

	if (rec->status == IMAGE_ARCHIVED) {
		rc = image_archived_uses(t, repo, d, true, now_ms);
		return (rc == RC_OK ? needs_offer(t, repo, d, now_ms) : rc);
	}
	if ((rc = image_uses(t, repo, d, 1, now_ms)) != RC_OK)
		return (rc);
	if ((rc = activation_put(t, repo, d, now_ms)) != RC_OK)
		return (rc);
	if ((rc = image_restore_below(
		 t, repo, d, u->now_ms, &u->restored->activated)) != RC_OK)
		return (rc);
	return (image_activate(t, repo, d, now_ms, &status));
}

static enum rc
image_restore(struct meta_txn *t, uint64_t repo, const struct digest *d,
    unsigned depth, struct undelete *u)
{
	struct manifest_rec rec;
	enum rc rc;

	if ((rc = deleted_row(t, repo, d, &u->work, &rec)) != RC_OK)
		return (rc);
	if ((rc = needs_restore(t, repo, d, depth, u)) != RC_OK)
		return (rc);
	if ((rc = row_again(t, repo, d, &rec, u->now_ms)) != RC_OK)
		return (rc);
	if ((rc = class_again(t, repo, d, &rec, u)) != RC_OK)
		return (rc);
	if ((rc = referrer_again(t, repo, d, &rec, u)) != RC_OK)
		return (rc);
	return (tags_again(t, repo, d, depth, u));
}

enum rc
deleted_restore(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct image_restored restored = { 0 };
	struct undelete u = {
		.now_ms = now_ms,
		.left = IMAGE_RESTORE_MAX,
		.arena = &u.work,
		.restored = &restored,
	};
	enum rc rc;

	arena_init(&u.work, SIZE_MAX);
	rc = image_restore(t, repo, d, 0, &u);
	arena_reset(&u.work);
	return (rc);
}

struct undelete_arg {
	struct span repository;
	struct digest digest;
	int64_t now_ms;
	struct arena *arena;
	struct image_restored *restored;
};

static enum rc
image_undelete(struct meta_txn *t, void *arg)
{
	const struct undelete_arg *ua = arg;
	struct undelete u = {
		.now_ms = ua->now_ms,
		.left = IMAGE_RESTORE_MAX,
		.arena = ua->arena,
		.restored = ua->restored,
	};
	struct repository_row repo;
	enum rc rc;

	*ua->restored = (struct image_restored){
		.digest = ua->digest,
		.undeleted = { .arena = ua->arena },
		.activated = { .arena = ua->arena },
	};
	if ((rc = repo_find(t, ua->repository, &repo)) != RC_OK)
		return (rc);
	arena_init(&u.work, SIZE_MAX);
	rc = image_restore(t, repo.id, &ua->digest, 0, &u);
	arena_reset(&u.work);
	return (rc);
}

/* By tag: the one deleted last of those that had it. */

struct seeking {
	struct span repository, tag;
	uint64_t repo;
	bool begun, found;
	struct digest at, digest;
	int64_t deleted_ms;
};

static bool
had_tag(const struct deleted_rec *rec, struct span wanted)
{
	struct span bytes = rec->tag_bytes, tag;

	while (rec_deleted_tag(&bytes, &tag))
		if (span_eq(tag, wanted))
			return (true);
	return (false);
}

/* RC_NOTFOUND: that was all. */
static enum rc
seek_rows(struct seeking *s, struct kv_walk *w)
{
	struct deleted_rec rec;
	uint64_t repo;
	unsigned n;
	enum rc rc;

	for (n = 0; n < READ_ROWS; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		if (!key_read_repo_digest(w->key, &repo, &s->at))
			return (meta_corrupt(w->table, w->key));
		s->begun = true;
		if (!rec_deleted_read(w->value, &rec)) {
			(void)meta_corrupt(w->table, w->key);
			continue;
		}
		if ((s->found && rec.deleted_ms < s->deleted_ms) ||
		    !had_tag(&rec, s->tag))
			continue;
		s->found = true;
		s->digest = s->at;
		s->deleted_ms = rec.deleted_ms;
	}
	return (RC_OK);
}

static enum rc
seek_read(struct seeking *s, struct meta_txn *t)
{
	struct rec_key prefix, from = { 0 };
	struct repository_row row;
	struct kv_walk w;
	enum rc rc;

	if ((rc = repo_find(t, s->repository, &row)) != RC_OK)
		return (rc);
	if (s->begun && row.id != s->repo)
		return (RC_NOTFOUND);
	s->repo = row.id;
	key_repo(&prefix, row.id);
	if (s->begun)
		key_repo_digest(&from, row.id, &s->at);
	rc = kv_walk_begin(
	    t, TABLE_DELETED_IMAGES, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = seek_rows(s, &w);
	kv_walk_end(&w);
	return (rc);
}

static enum rc
tag_seek(struct meta *m, struct span repository, struct span tag,
    struct digest *digest_r)
{
	struct seeking s = { .repository = repository, .tag = tag };
	struct meta_txn t;
	enum rc rc;

	do {
		if ((rc = meta_read_begin(m, &t)) != RC_OK)
			return (rc);
		rc = seek_read(&s, &t);
		meta_read_end(&t);
	} while (rc == RC_OK);
	if (rc == RC_NOTFOUND && s.found) {
		*digest_r = s.digest;
		rc = RC_OK;
	}
	return (rc);
}

enum rc
meta_image_undelete(struct meta *m, struct span repository,
    const struct reference *ref, int64_t now_ms, struct arena *a,
    struct image_restored *restored_r)
{
	struct undelete_arg arg = {
		.repository = repository,
		.digest = ref->digest,
		.now_ms = now_ms,
		.arena = a,
		.restored = restored_r,
	};
	enum rc rc;

	*restored_r = (struct image_restored){ 0 };
	if (!ref->is_digest) {
		rc = tag_seek(m, repository, ref->tag, &arg.digest);
		if (rc != RC_OK)
			return (rc);
	}
	return (meta_change(m, image_undelete, &arg, 0));
}
