#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Blobs: one record and one copy of the content per (key domain, digest),
 * links that make it visible in a repository, and holders that say who needs
 * it at all.  When the last holder goes, the record notes since when, and a
 * queue ordered by that time takes it in; when it is held again it leaves
 * the queue.  So whoever collects never searches.
 */

/* Records. */

static enum rc
blob_load(struct meta_txn *t, const struct rec_key *k, struct blob_rec *rec_r)
{
	struct span value;
	enum rc rc;

	if ((rc = kv_get(t, TABLE_BLOBS, key_span(k), &value)) != RC_OK)
		return (rc);
	if (!rec_blob_read(value, rec_r))
		return (meta_corrupt(TABLE_BLOBS, key_span(k)));
	return (RC_OK);
}

static enum rc
blob_save(
    struct meta_txn *t, const struct rec_key *k, const struct blob_rec *rec)
{
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(t, TABLE_BLOBS, key_span(k), REC_BLOB_BYTES, &p);
	if (rc == RC_OK)
		rec_blob_write(rec, p);
	return (rc);
}

static void
counts_add(struct meta_counts *c, const struct blob_rec *rec)
{

	if (rec->location == BLOB_IN_META) {
		c->inline_blobs++;
		c->inline_bytes += rec->size_bytes;
	} else {
		c->file_blobs++;
		c->file_bytes += rec->size_bytes;
	}
	if (rec->unheld_ms != 0) {
		c->unheld_blobs++;
		c->unheld_bytes += rec->size_bytes;
	}
}

static void
counts_sub(struct meta_counts *c, const struct blob_rec *rec)
{

	if (rec->location == BLOB_IN_META) {
		c->inline_blobs--;
		c->inline_bytes -= rec->size_bytes;
	} else {
		c->file_blobs--;
		c->file_bytes -= rec->size_bytes;
	}
	if (rec->unheld_ms != 0) {
		c->unheld_blobs--;
		c->unheld_bytes -= rec->size_bytes;
	}
}

enum rc
blob_find(struct meta_txn *t, const struct digest *d, struct blob_rec *rec_r)
{
	struct rec_key k;
	enum rc rc;

	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	rc = blob_load(t, &k, rec_r);
	if (rc == RC_OK && rec_r->state != BLOB_SERVED)
		rc = RC_NOTFOUND;
	return (rc);
}

enum rc
blob_linked(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct blob_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_BLOB_LINKS, key_span(&k), &value);
	if (rc == RC_OK)
		rc = blob_find(t, d, rec_r);
	return (rc);
}

enum rc
blob_content(struct meta_txn *t, const struct digest *d, uint64_t size_bytes,
    enum read_mode mode, struct arena *a, struct span *s_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	rc = kv_get(t, TABLE_CONTENT, key_span(&k), &value);
	if (rc == RC_NOTFOUND || (rc == RC_OK && value.n != size_bytes))
		return (meta_corrupt(TABLE_CONTENT, key_span(&k)));
	if (rc != RC_OK)
		return (rc);
	if (mode == READ_INLINE && value.n > META_INLINE_MAX_BYTES)
		return (RC_WOULDBLOCK);
	return (copy_out(a, value, s_r));
}

/* Held or not. */

static enum rc
unheld_drop(struct meta_txn *t, const struct digest *d, uint32_t domain,
    int64_t since_ms)
{
	struct rec_key k;
	enum rc rc;

	key_unheld(&k, since_ms, domain, d);
	rc = kv_delete(t, TABLE_UNHELD, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Note since when nobody holds it; 0: it is held. */
static enum rc
unheld_set(struct meta_txn *t, uint32_t domain, const struct digest *d,
    struct blob_rec *rec, int64_t since_ms)
{
	struct rec_key k, queue;
	enum rc rc = RC_OK;

	if (rec->unheld_ms == since_ms)
		return (RC_OK);
	if (rec->unheld_ms != 0)
		rc = unheld_drop(t, d, domain, rec->unheld_ms);
	if (rc != RC_OK)
		return (rc);
	counts_sub(t->counts, rec);
	rec->unheld_ms = since_ms;
	counts_add(t->counts, rec);
	key_blob(&k, domain, d);
	if ((rc = blob_save(t, &k, rec)) != RC_OK || since_ms == 0)
		return (rc);
	key_unheld(&queue, since_ms, domain, d);
	return (kv_put(t, TABLE_UNHELD, key_span(&queue), rec_none()));
}

enum rc
blob_hold(struct meta_txn *t, const struct digest *d, enum holder_kind kind,
    uint64_t repo)
{
	struct blob_rec rec;
	struct rec_key k;
	enum rc rc;

	key_holder(&k, KEY_DOMAIN_PLAIN, d, (uint8_t)kind, repo);
	rc = kv_put(t, TABLE_HOLDERS, key_span(&k), rec_none());
	if (rc != RC_OK)
		return (rc);
	key_blob(&k, KEY_DOMAIN_PLAIN, d);
	if ((rc = blob_load(t, &k, &rec)) != RC_OK)
		return (rc == RC_NOTFOUND
			    ? meta_corrupt(TABLE_BLOBS, key_span(&k))
			    : rc);
	return (unheld_set(t, KEY_DOMAIN_PLAIN, d, &rec, 0));
}

enum rc
meta_blob_recheck(
    struct meta_txn *t, uint32_t domain, const struct digest *d, int64_t now_ms)
{
	struct blob_rec rec;
	struct rec_key k;
	int64_t since_ms;
	bool held;
	enum rc rc;

	key_blob(&k, domain, d);
	if ((rc = blob_load(t, &k, &rec)) != RC_OK)
		return (rc);
	if ((rc = kv_any(t, TABLE_HOLDERS, key_span(&k), &held)) != RC_OK)
		return (rc);
	if (held)
		since_ms = 0;
	else
		since_ms = rec.unheld_ms != 0 ? rec.unheld_ms : now_ms;
	if (since_ms != 0 && since_ms == rec.unheld_ms) {
		key_unheld(&k, since_ms, domain, d);
		return (kv_put(t, TABLE_UNHELD, key_span(&k), rec_none()));
	}
	return (unheld_set(t, domain, d, &rec, since_ms));
}

enum rc
blob_release(struct meta_txn *t, const struct digest *d, enum holder_kind kind,
    uint64_t repo, int64_t now_ms)
{
	struct rec_key k;
	enum rc rc;

	key_holder(&k, KEY_DOMAIN_PLAIN, d, (uint8_t)kind, repo);
	rc = kv_delete(t, TABLE_HOLDERS, key_span(&k));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	/* A record that is missing is for fsck to find. */
	rc = meta_blob_recheck(t, KEY_DOMAIN_PLAIN, d, now_ms > 0 ? now_ms : 1);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Taking content in. */

static bool
content_same(struct meta_txn *t, const struct rec_key *k, struct span content)
{
	struct span value;

	return (kv_get(t, TABLE_CONTENT, key_span(k), &value) == RC_OK &&
		span_eq(value, content));
}

static enum rc
content_put(struct meta_txn *t, const struct rec_key *k, struct span content)
{

	if (content_same(t, k, content))
		return (RC_OK);
	return (kv_put(t, TABLE_CONTENT, key_span(k), content));
}

static enum rc
content_drop(struct meta_txn *t, const struct rec_key *k)
{
	enum rc rc;

	rc = kv_delete(t, TABLE_CONTENT, key_span(k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Content in the database is not given up for a file of the same digest:
 * a manifest may be served from it. */
static bool
content_stays(struct meta_txn *t, const struct rec_key *k,
    const struct blob_rec *old, uint64_t size_bytes)
{
	struct span value;

	return (old->location == BLOB_IN_META && old->state == BLOB_SERVED &&
		kv_get(t, TABLE_CONTENT, key_span(k), &value) == RC_OK &&
		value.n == size_bytes);
}

static enum rc
blob_record_new(
    struct meta_txn *t, const struct rec_key *k, const struct blob_in *in)
{
	struct blob_rec rec = {
		.location = in->location,
		.encoding = BLOB_PLAIN,
		.state = BLOB_SERVED,
		.size_bytes = in->size_bytes,
		.created_ms = in->now_ms,
	};
	enum rc rc = RC_OK;

	if (in->location == BLOB_IN_META)
		rc = content_put(t, k, in->content);
	if (rc != RC_OK)
		return (rc);
	counts_add(t->counts, &rec);
	return (blob_save(t, k, &rec));
}

static enum rc
blob_record_heal(struct meta_txn *t, const struct rec_key *k,
    struct blob_rec *rec, const struct blob_in *in)
{
	struct blob_rec old = *rec;
	enum rc rc;

	if (in->location == BLOB_IN_META)
		rc = content_put(t, k, in->content);
	else if (content_stays(t, k, rec, in->size_bytes))
		return (RC_OK);
	else
		rc = content_drop(t, k);
	if (rc != RC_OK)
		return (rc);
	rec->location = in->location;
	rec->state = BLOB_SERVED;
	rec->size_bytes = in->size_bytes;
	if (rec->location == old.location && rec->state == old.state &&
	    rec->size_bytes == old.size_bytes)
		return (RC_OK);
	counts_sub(t->counts, &old);
	counts_add(t->counts, rec);
	if ((rc = blob_save(t, k, rec)) != RC_OK)
		return (rc);
	/* Manifests that had lost their text have it again. */
	if (rec->location == BLOB_IN_META)
		rc = manifest_mark(t, in->digest, false);
	return (rc);
}

enum rc
blob_record(struct meta_txn *t, const struct blob_in *in)
{
	struct blob_rec rec;
	struct rec_key k;
	enum rc rc;

	must(in->location == BLOB_IN_FILE || in->location == BLOB_IN_META);
	must(in->location == BLOB_IN_FILE || in->content.n == in->size_bytes);
	key_blob(&k, KEY_DOMAIN_PLAIN, in->digest);
	rc = blob_load(t, &k, &rec);
	if (rc == RC_NOTFOUND)
		return (blob_record_new(t, &k, in));
	if (rc != RC_OK)
		return (rc);
	return (blob_record_heal(t, &k, &rec, in));
}

enum rc
meta_blob_quarantine(
    struct meta_txn *t, uint32_t domain, const struct digest *d)
{
	struct blob_rec rec;
	struct rec_key k;
	enum rc rc;

	key_blob(&k, domain, d);
	if ((rc = blob_load(t, &k, &rec)) != RC_OK)
		return (rc);
	if (rec.location == BLOB_IN_META && (rc = content_drop(t, &k)) != RC_OK)
		return (rc);
	rec.state = BLOB_QUARANTINED;
	if ((rc = blob_save(t, &k, &rec)) != RC_OK)
		return (rc);
	return (manifest_mark(t, d, true));
}

enum rc
meta_counts_of(struct meta_txn *t, struct meta_counts *c_r)
{
	struct blob_rec rec;
	struct kv_walk w;
	enum rc rc;

	if ((rc = repo_counts_of(t, c_r)) != RC_OK)
		return (rc);
	rc = kv_walk_begin(t, TABLE_BLOBS, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (rec_blob_read(w.value, &rec))
			counts_add(c_r, &rec);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
