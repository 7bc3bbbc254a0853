#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/obj.h"

/*
 * Manifests of a repository.  The text is content like any other, one copy
 * for all repositories and always in the database; the row says what the
 * manifest is to its repository.
 */

enum rc
manifest_row_any(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct manifest_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_MANIFESTS, key_span(&k), &value);
	if (rc == RC_OK && !rec_manifest_read(value, rec_r))
		rc = meta_corrupt(TABLE_MANIFESTS, key_span(&k));
	return (rc);
}

enum rc
manifest_row(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct manifest_rec *rec_r)
{
	enum rc rc;

	rc = manifest_row_any(t, repo, d, rec_r);
	if (rc == RC_OK && (rec_r->flags & MANIFEST_DELETED) != 0)
		rc = RC_NOTFOUND;
	return (rc);
}

bool
manifest_uses(const struct manifest_rec *rec)
{

	return (rec->status != IMAGE_ARCHIVED &&
		(rec->flags & MANIFEST_DELETED) == 0);
}

enum manifest_kind
manifest_kind_of(struct span media_type)
{

	if (span_is(media_type, MEDIA_OCI_INDEX) ||
	    span_is(media_type, MEDIA_DOCKER_LIST))
		return (MANIFEST_INDEX);
	return (MANIFEST_IMAGE);
}

enum rc
manifest_find(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct manifest_rec *rec_r)
{
	enum rc rc;

	rc = manifest_row(t, repo, d, rec_r);
	if (rc == RC_OK && (rec_r->flags & MANIFEST_QUARANTINED) != 0)
		rc = RC_NOTFOUND;
	return (rc);
}

enum rc
manifest_save(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_reserve(
	    t, TABLE_MANIFESTS, key_span(&k), rec_manifest_size(rec), &p);
	if (rc == RC_OK)
		rec_manifest_write(rec, p);
	return (rc);
}

/* Changing a row in place. */

static bool
touch_status(struct manifest_rec *rec, const struct manifest_touch *touch)
{

	if (touch->status == 0 || rec->status == (uint8_t)touch->status)
		return (false);
	rec->status = (uint8_t)touch->status;
	if (touch->status == IMAGE_ARCHIVED)
		rec->archived_ms = touch->status_ms;
	else if (touch->status == IMAGE_ACTIVE)
		rec->activated_ms = touch->status_ms;
	return (true);
}

static bool
touch_apply(struct manifest_rec *rec, const struct manifest_touch *touch)
{
	uint8_t flags = rec->flags;
	bool changed = touch_status(rec, touch);

	flags = (uint8_t)((flags & ~touch->clear_flags) | touch->set_flags);
	changed = changed || flags != rec->flags;
	rec->flags = flags;
	/* An earlier pull was one of a manifest that is gone. */
	if (rec->pulled_ms < touch->pulled_ms &&
	    rec->pushed_ms <= touch->pulled_ms) {
		rec->pulled_ms = touch->pulled_ms;
		changed = true;
	}
	return (changed);
}

/* The row is taken out of the map before it is overwritten there. */
enum rc
manifest_touch(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_touch *touch)
{
	struct manifest_rec rec;
	struct rec_key k;
	struct span value;
	char *copy;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_MANIFESTS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	copy = xmalloc(value.n);
	memcpy(copy, value.p, value.n);
	if (!rec_manifest_read((struct span){ copy, value.n }, &rec))
		rc = meta_corrupt(TABLE_MANIFESTS, key_span(&k));
	else if (touch_apply(&rec, touch))
		rc = manifest_save(t, repo, d, &rec);
	free(copy);
	return (rc);
}

enum rc
manifest_mark(struct meta_txn *t, uint32_t domain, const struct digest *d,
    bool quarantined)
{
	const struct manifest_touch touch = {
		.set_flags = quarantined ? MANIFEST_QUARANTINED : 0,
		.clear_flags = quarantined ? 0 : MANIFEST_QUARANTINED,
	};
	struct rec_key prefix;
	struct digest same;
	struct kv_walk w;
	uint64_t repo;
	uint8_t kind;
	enum rc rc;

	key_holder(&prefix, domain, d, HOLDER_MANIFEST, 0);
	prefix.n -= sizeof(repo);
	rc = kv_walk_begin(t, TABLE_HOLDERS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_holder(w.key, &domain, &same, &kind, &repo))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = manifest_touch(t, repo, d, &touch);
		if (rc != RC_OK && rc != RC_NOTFOUND)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Reading: repository, tag, row, text; four look-ups for the whole of the
 * most frequent request there is. */

enum rc
manifest_row_fill(const struct digest *d, const struct manifest_rec *rec,
    enum read_mode mode, struct arena *a, struct manifest_row *row)
{
	enum rc rc;

	if (mode == READ_INLINE &&
	    rec->media_type.n + rec->artifact_type.n > META_INLINE_MAX_BYTES)
		return (RC_WOULDBLOCK);
	row->digest = *d;
	row->size_bytes = rec->size_bytes;
	row->pushed_ms = rec->pushed_ms;
	row->pulled_ms = rec->pulled_ms;
	row->has_subject = (rec->flags & MANIFEST_HAS_SUBJECT) != 0;
	row->subject = rec->subject;
	row->status = rec->status;
	row->archived = rec->status == IMAGE_ARCHIVED;
	row->text = SPAN_NONE;
	if ((rc = copy_out(a, rec->media_type, &row->media_type)) != RC_OK)
		return (rc);
	return (copy_out(a, rec->artifact_type, &row->artifact_type));
}

static enum rc
manifest_get(struct meta_txn *t, struct span repository,
    const struct reference *ref, enum read_mode mode, struct arena *a,
    struct manifest_row *row_r, uint32_t *domain_r)
{
	struct repository_row repo;
	struct manifest_rec rec;
	struct digest d;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK)
		return (rc);
	*domain_r = repo_domain(repo.id);
	if (ref->is_digest)
		d = ref->digest;
	else if ((rc = tag_find(t, repo.id, ref->tag, &d)) != RC_OK)
		return (rc);
	if ((rc = manifest_find(t, repo.id, &d, &rec)) != RC_OK)
		return (rc);
	return (manifest_row_fill(&d, &rec, mode, a, row_r));
}

enum rc
meta_manifest_get(struct meta *m, struct span repository,
    const struct reference *ref, enum manifest_want want, enum read_mode mode,
    struct arena *a, struct manifest_row *row_r)
{
	struct meta_txn t;
	uint32_t domain;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = manifest_get(&t, repository, ref, mode, a, row_r, &domain);
	if (rc == RC_OK && want == MANIFEST_TEXT)
		rc = blob_content(&t, domain, &row_r->digest, row_r->size_bytes,
		    mode, a, &row_r->text);
	meta_read_end(&t);
	return (rc);
}

/* Deleting. */

/* What is told of it to others, who keep it in their rows; the same whether it
 * goes for good or is hidden. */
enum rc
manifest_withdraw(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, int64_t now_ms)
{
	bool has_subject = (rec->flags & MANIFEST_HAS_SUBJECT) != 0;
	bool activating = rec->status == IMAGE_ACTIVATING;
	bool uses = manifest_uses(rec);
	struct digest subject = rec->subject;
	enum rc rc;

	if ((rc = tags_drop(t, repo, d)) != RC_OK)
		return (rc);
	if (has_subject)
		rc = referrer_drop(t, repo, &subject, d);
	if (rc == RC_OK)
		rc = scan_drop(t, repo, d);
	if (rc == RC_OK && activating)
		rc = activation_drop(t, repo, d);
	if (rc == RC_OK && uses)
		rc = image_uses(t, repo, d, -1, now_ms);
	return (rc);
}

enum rc
manifest_drop(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, int64_t now_ms)
{
	bool deleted = (rec->flags & MANIFEST_DELETED) != 0;
	struct rec_key k;
	enum rc rc;

	rc = deleted ? deleted_forget(t, repo, d)
		     : manifest_withdraw(t, repo, d, rec, now_ms);
	if (rc != RC_OK)
		return (rc);
	if ((rc = edges_drop(t, repo, d, now_ms)) != RC_OK)
		return (rc);
	if ((rc = import_drop(t, repo, d)) != RC_OK)
		return (rc);
	if ((rc = replication_drop(t, repo, d)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, d);
	if ((rc = kv_delete(t, TABLE_MANIFESTS, key_span(&k))) != RC_OK)
		return (rc);
	if (!deleted && (rc = image_count_add(t, repo, -1)) != RC_OK)
		return (rc);
	rc = blob_release(t, d, HOLDER_MANIFEST, repo, now_ms);
	return (rc == RC_OK ? orphan_note(t, repo, d, now_ms) : rc);
}

enum rc
manifest_retire(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct manifest_rec *rec, const struct retire *retire)
{

	if (meta_undelete_ms(t->m) > 0)
		return (deleted_put(t, repo, d, rec, retire));
	return (manifest_drop(t, repo, d, rec, retire->now_ms));
}

struct delete_arg {
	struct span repository;
	const struct digest *digest;
	struct holding *holding;
	struct retire retire;
};

/* One in quarantine can be deleted too. */
static enum rc
manifest_delete(struct meta_txn *t, void *arg)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	const struct delete_arg *da = arg;
	struct repository_row row;
	struct manifest_rec rec;
	enum rc rc;

	*da->holding = (struct holding){ 0 };
	if ((rc = repo_find(t, da->repository, &row)) != RC_OK)
		return (rc);
	if ((rc = manifest_row(t, row.id, da->digest, &rec)) != RC_OK)
		return (rc);
	rc = edge_holders(t, row.id, da->digest, kinds, da->holding);
	if (rc != RC_OK)
		return (rc);
	return (manifest_retire(t, row.id, da->digest, &rec, &da->retire));
}

enum rc
meta_manifest_delete(struct meta *m, struct span repository,
    const struct digest *d, struct holding *holding_r)
{
	struct delete_arg arg = {
		.repository = repository,
		.digest = d,
		.holding = holding_r,
		.retire = { DELETED_BY_REQUEST, .now_ms = clock_real_ms() },
	};

	return (meta_change_freeing(m, manifest_delete, &arg));
}
