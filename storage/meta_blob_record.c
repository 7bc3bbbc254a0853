#include "storage/meta_ops_int.h"

#include "base/arena.h"
#include "base/obj.h"
#include "storage/keys_int.h"

/*
 * Blobs: one record and one copy of the content per (key domain, digest),
 * links that make it visible in a repository, and holders that say who needs
 * it at all.  When the last holder goes, the record notes since when, and a
 * queue ordered by that time takes it in; when it is held again it leaves
 * the queue.  So whoever collects never searches.
 *
 * A record that says another place than before, or goes, leaves a file behind
 * that is to be removed (meta_removal.c); one that says a place again takes
 * that back.
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

/* One more, or by modular arithmetic one less. */
static void
counts_change(struct meta_counts *c, const struct blob_rec *rec, uint64_t one)
{
	uint64_t bytes = one * rec->size_bytes;

	switch (rec->location) {
	case BLOB_IN_META:
		c->inline_blobs += one;
		c->inline_bytes += bytes;
		break;
	case BLOB_IN_FILE:
		c->file_blobs += one;
		c->file_bytes += bytes;
		break;
	case BLOB_IN_ARCHIVE:
		c->archived_blobs += one;
		c->archived_bytes += bytes;
		c->archived_stored_bytes += one * rec->stored_bytes;
		break;
	}
	if (rec->unheld_ms != 0) {
		c->unheld_blobs += one;
		c->unheld_bytes += bytes;
	}
}

static void
counts_add(struct meta_counts *c, const struct blob_rec *rec)
{

	counts_change(c, rec, 1);
}

static void
counts_sub(struct meta_counts *c, const struct blob_rec *rec)
{

	counts_change(c, rec, UINT64_MAX);
}

enum rc
blob_find(struct meta_txn *t, uint32_t domain, const struct digest *d,
    struct blob_rec *rec_r)
{
	struct rec_key k;
	enum rc rc;

	key_blob(&k, domain, d);
	rc = blob_load(t, &k, rec_r);
	if (rc == RC_OK && rec_r->state != BLOB_SERVED)
		rc = RC_NOTFOUND;
	return (rc);
}

enum rc
blob_shown(struct meta_txn *t, uint32_t domain, const struct digest *d,
    struct blob_rec *rec_r)
{
	enum rc rc;

	rc = blob_find(t, domain, d, rec_r);
	if (rc == RC_OK && rec_r->location == BLOB_IN_ARCHIVE)
		rc = RC_NOTFOUND;
	return (rc);
}

enum rc
blob_linked(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct blob_rec *rec_r)
{
	struct link_rec link;
	enum rc rc;

	rc = link_load(t, repo, d, &link);
	if (rc == RC_OK && link.hidden)
		return (RC_NOTFOUND);
	/* A damaged one is made anew by the change that asks. */
	if (rc == RC_OK || rc == RC_CORRUPT)
		rc = blob_shown(t, repo_domain(repo), d, rec_r);
	return (rc);
}

enum rc
blob_content(struct meta_txn *t, uint32_t domain, const struct digest *d,
    uint64_t size_bytes, enum read_mode mode, struct arena *a, struct span *s_r)
{
	struct sealed_place place;
	struct rec_key k;
	struct span value;
	size_t n;
	enum rc rc;

	key_blob(&k, domain, d);
	sealed_place_content(&place, domain, &k);
	rc = kv_get(t, TABLE_CONTENT, key_span(&k), &value);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK &&
		(!sealed_place_plain(&place, value.n, &n) || n != size_bytes)))
		return (meta_corrupt(TABLE_CONTENT, key_span(&k)));
	if (rc != RC_OK)
		return (rc);
	if (mode == READ_INLINE && value.n > META_INLINE_MAX_BYTES)
		return (RC_WOULDBLOCK);
	rc = sealed_get(t, &place, value, a, s_r);
	return (
	    rc == RC_CORRUPT ? meta_corrupt(TABLE_CONTENT, key_span(&k)) : rc);
}

/* Held or not. */

/* Since when nobody does, and who did last: the name of a repository. */
struct unheld {
	int64_t since_ms; /* 0: it is held */
	struct span repository;
};

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

/* The name does not lie in the map. */
static enum rc
unheld_put(struct meta_txn *t, uint32_t domain, const struct digest *d,
    const struct unheld *u)
{
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_unheld(&k, u->since_ms, domain, d);
	rc = kv_reserve(
	    t, TABLE_UNHELD, key_span(&k), rec_unheld_size(u->repository), &p);
	if (rc == RC_OK)
		rec_unheld_write(u->repository, p);
	return (rc);
}

/* It is in the queue since then; with whatever name it has there. */
static enum rc
unheld_keep(struct meta_txn *t, uint32_t domain, const struct digest *d,
    const struct unheld *u)
{
	struct span value, name;
	struct rec_key k;
	enum rc rc;

	key_unheld(&k, u->since_ms, domain, d);
	rc = kv_get(t, TABLE_UNHELD, key_span(&k), &value);
	if (rc == RC_NOTFOUND ||
	    (rc == RC_OK && !rec_unheld_read(value, &name)))
		rc = unheld_put(t, domain, d, u);
	return (rc);
}

static enum rc
unheld_set(struct meta_txn *t, uint32_t domain, const struct digest *d,
    struct blob_rec *rec, const struct unheld *u)
{
	struct rec_key k;
	enum rc rc = RC_OK;

	if (rec->unheld_ms == u->since_ms)
		return (u->since_ms != 0 ? unheld_keep(t, domain, d, u) : rc);
	if (rec->unheld_ms != 0)
		rc = unheld_drop(t, d, domain, rec->unheld_ms);
	if (rc != RC_OK)
		return (rc);
	counts_sub(t->counts, rec);
	rec->unheld_ms = u->since_ms;
	counts_add(t->counts, rec);
	key_blob(&k, domain, d);
	rc = blob_save(t, &k, rec);
	if (rc != RC_OK || u->since_ms == 0)
		return (rc);
	return (unheld_put(t, domain, d, u));
}

enum rc
blob_hold(struct meta_txn *t, const struct digest *d, enum holder_kind kind,
    uint64_t repo)
{
	const struct unheld held = { 0 };
	uint32_t domain = repo_domain(repo);
	struct blob_rec rec;
	struct rec_key k;
	enum rc rc;

	key_holder(&k, domain, d, (uint8_t)kind, repo);
	rc = kv_put(t, TABLE_HOLDERS, key_span(&k), rec_none());
	if (rc != RC_OK)
		return (rc);
	key_blob(&k, domain, d);
	if ((rc = blob_load(t, &k, &rec)) != RC_OK)
		return (rc == RC_NOTFOUND
			    ? meta_corrupt(TABLE_BLOBS, key_span(&k))
			    : rc);
	return (unheld_set(t, domain, d, &rec, &held));
}

/* Empty: there is no such repository, or what should tell is damaged.  The
 * change that needs the name does not fail for it. */
static struct span
repository_name(struct meta_txn *t, uint64_t repo, char room[KEY_MAX_BYTES])
{
	struct doomed_rec doomed;
	struct span value, name = SPAN_NONE;
	struct rec_key k;

	key_repo(&k, repo);
	if (kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value) == RC_OK) {
		if (!rec_repository_name_read(value, &name))
			return (SPAN_NONE);
	} else if (kv_get(t, TABLE_DOOMED, key_span(&k), &value) == RC_OK) {
		if (!rec_doomed_read(value, &doomed))
			return (SPAN_NONE);
		name = doomed.name;
	}
	if (name.n == 0 || name.n > KEY_MAX_BYTES)
		return (SPAN_NONE);
	memcpy(room, name.p, name.n);
	return ((struct span){ room, name.n });
}

/* Who let go of it last is ${repo}; 0: that is not known. */
static enum rc
blob_recheck(struct meta_txn *t, uint32_t domain, const struct digest *d,
    uint64_t repo, int64_t now_ms)
{
	char room[KEY_MAX_BYTES];
	struct unheld u = { 0 };
	struct blob_rec rec;
	struct rec_key k;
	bool held;
	enum rc rc;

	key_blob(&k, domain, d);
	if ((rc = blob_load(t, &k, &rec)) != RC_OK)
		return (rc);
	if ((rc = kv_any(t, TABLE_HOLDERS, key_span(&k), &held)) != RC_OK)
		return (rc);
	if (!held) {
		u.since_ms = rec.unheld_ms != 0 ? rec.unheld_ms : now_ms;
		u.repository = repository_name(t, repo, room);
	}
	return (unheld_set(t, domain, d, &rec, &u));
}

enum rc
meta_blob_recheck(
    struct meta_txn *t, uint32_t domain, const struct digest *d, int64_t now_ms)
{

	return (blob_recheck(t, domain, d, 0, now_ms));
}

enum rc
blob_release(struct meta_txn *t, const struct digest *d, enum holder_kind kind,
    uint64_t repo, int64_t now_ms)
{
	uint32_t domain = repo_domain(repo);
	struct rec_key k;
	enum rc rc;

	key_holder(&k, domain, d, (uint8_t)kind, repo);
	rc = kv_delete(t, TABLE_HOLDERS, key_span(&k));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	/* A record that is missing is for fsck to find. */
	rc = blob_recheck(t, domain, d, repo, now_ms > 0 ? now_ms : 1);
	if (rc == RC_OK && kind == HOLDER_LINK)
		rc = archive_offer(t, domain, d, now_ms);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Taking content in. */

/* Sealed content is opened for it: it may have been made under the same digest
 * and be damaged since. */
static bool
content_same(struct meta_txn *t, const struct sealed_place *place,
    const struct rec_key *k, struct span content)
{
	struct span value, plain;
	struct arena a;
	size_t n;
	bool same;

	if (kv_get(t, TABLE_CONTENT, key_span(k), &value) != RC_OK ||
	    !sealed_place_plain(place, value.n, &n) || n != content.n)
		return (false);
	if (place->key_domain == KEY_DOMAIN_PLAIN)
		return (span_eq(value, content));
	arena_init(&a, SIZE_MAX);
	same = sealed_get(t, place, value, &a, &plain) == RC_OK &&
	       span_eq(plain, content);
	arena_reset(&a);
	return (same);
}

static enum rc
content_put(
    struct meta_txn *t, const struct blob_in *in, const struct rec_key *k)
{
	struct sealed_place place;
	uint8_t *p;
	enum rc rc;

	sealed_place_content(&place, in->key_domain, k);
	if (content_same(t, &place, k, in->content))
		return (RC_OK);
	rc = kv_reserve(t, TABLE_CONTENT, key_span(k),
	    sealed_place_bytes(&place, in->content.n), &p);
	return (rc == RC_OK ? sealed_put(t, &place, in->content, p) : rc);
}

static enum rc
content_drop(struct meta_txn *t, const struct rec_key *k)
{
	enum rc rc;

	rc = kv_delete(t, TABLE_CONTENT, key_span(k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Where it lay no record leads to any more. */
static enum rc
place_leave(struct meta_txn *t, const struct rec_key *k,
    enum blob_location location, int64_t now_ms)
{
	struct digest d;
	uint32_t domain;

	if (location == BLOB_IN_META)
		return (content_drop(t, k));
	must(key_read_blob(key_span(k), &domain, &d));
	return (removal_put(t, location, domain, &d, now_ms));
}

/* A record leads there. */
static enum rc
place_take(struct meta_txn *t, enum blob_location location, uint32_t domain,
    const struct digest *d)
{

	if (location == BLOB_IN_META)
		return (RC_OK);
	return (removal_drop(t, location, domain, d));
}

/* Content in the database is not given up for a file of the same digest:
 * a manifest may be served from it. */
static bool
content_stays(struct meta_txn *t, uint32_t domain, const struct rec_key *k,
    const struct blob_rec *old, uint64_t size_bytes)
{
	struct sealed_place place;
	struct span value;
	size_t n;

	sealed_place_content(&place, domain, k);
	return (old->location == BLOB_IN_META && old->state == BLOB_SERVED &&
		kv_get(t, TABLE_CONTENT, key_span(k), &value) == RC_OK &&
		sealed_place_plain(&place, value.n, &n) && n == size_bytes);
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
		.stored_bytes = in->size_bytes,
	};
	enum rc rc;

	if (in->location == BLOB_IN_META)
		rc = content_put(t, in, k);
	else
		rc = place_take(t, in->location, in->key_domain, in->digest);
	if (rc != RC_OK)
		return (rc);
	counts_add(t->counts, &rec);
	return (blob_save(t, k, &rec));
}

static bool
record_same(const struct blob_rec *a, const struct blob_rec *b)
{

	return (a->location == b->location && a->encoding == b->encoding &&
		a->state == b->state && a->size_bytes == b->size_bytes &&
		a->stored_bytes == b->stored_bytes);
}

static enum rc
blob_record_save(struct meta_txn *t, const struct rec_key *k,
    const struct blob_rec *old, const struct blob_rec *rec)
{

	counts_sub(t->counts, old);
	counts_add(t->counts, rec);
	return (blob_save(t, k, rec));
}

/* Whoever brought a file that is not needed has it removed. */
static enum rc
blob_record_heal(struct meta_txn *t, const struct rec_key *k,
    struct blob_rec *rec, const struct blob_in *in)
{
	struct blob_rec old = *rec;
	enum rc rc;

	if (in->location == BLOB_IN_META)
		rc = content_put(t, in, k);
	else if (content_stays(t, in->key_domain, k, rec, in->size_bytes))
		return (removal_put(
		    t, in->location, in->key_domain, in->digest, in->now_ms));
	else
		rc = place_take(t, in->location, in->key_domain, in->digest);
	if (rc == RC_OK && old.location != in->location)
		rc = place_leave(t, k, old.location, in->now_ms);
	if (rc != RC_OK)
		return (rc);
	rec->location = in->location;
	rec->encoding = BLOB_PLAIN;
	rec->state = BLOB_SERVED;
	rec->size_bytes = in->size_bytes;
	rec->stored_bytes = in->size_bytes;
	if (record_same(rec, &old))
		return (RC_OK);
	if ((rc = blob_record_save(t, k, &old, rec)) != RC_OK)
		return (rc);
	/* Manifests that had lost their text have it again. */
	if (rec->location == BLOB_IN_META)
		rc = manifest_mark(t, in->key_domain, in->digest, false);
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
	key_blob(&k, in->key_domain, in->digest);
	rc = blob_load(t, &k, &rec);
	if (rc == RC_NOTFOUND)
		return (blob_record_new(t, &k, in));
	if (rc != RC_OK)
		return (rc);
	return (blob_record_heal(t, &k, &rec, in));
}

/* Moving it, and letting it go. */

enum rc
blob_moved(struct meta_txn *t, uint32_t domain, const struct digest *d,
    enum blob_location location, enum blob_encoding encoding,
    uint64_t stored_bytes, int64_t now_ms)
{
	struct blob_rec old, rec;
	struct rec_key k;
	enum rc rc;

	must(location == BLOB_IN_FILE || location == BLOB_IN_ARCHIVE);
	key_blob(&k, domain, d);
	if ((rc = blob_load(t, &k, &old)) != RC_OK)
		return (rc);
	rec = old;
	rec.location = location;
	rec.encoding = encoding;
	rec.stored_bytes = old.size_bytes;
	if (location == BLOB_IN_ARCHIVE &&
	    (encoding != BLOB_PLAIN || domain != KEY_DOMAIN_PLAIN))
		rec.stored_bytes = stored_bytes;
	if ((rc = place_take(t, location, domain, d)) != RC_OK)
		return (rc);
	if (old.location != location)
		rc = place_leave(t, &k, old.location, now_ms);
	if (rc != RC_OK)
		return (rc);
	return (blob_record_save(t, &k, &old, &rec));
}

/* One that may not be there. */
static enum rc
row_drop(struct meta_txn *t, enum meta_table table, const struct rec_key *k)
{
	enum rc rc;

	rc = kv_delete(t, table, key_span(k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
blob_forget(
    struct meta_txn *t, uint32_t domain, const struct digest *d, int64_t now_ms)
{
	struct blob_rec rec;
	struct rec_key k;
	bool held;
	enum rc rc;

	key_blob(&k, domain, d);
	if ((rc = blob_load(t, &k, &rec)) != RC_OK)
		return (rc);
	if ((rc = kv_any(t, TABLE_HOLDERS, key_span(&k), &held)) != RC_OK)
		return (rc);
	if (held)
		return (RC_REFERENCED);
	rc = unheld_drop(t, d, domain, rec.unheld_ms);
	if (rc == RC_OK)
		rc = row_drop(t, TABLE_ARCHIVE_QUEUE, &k);
	if (rc == RC_OK)
		rc = row_drop(t, TABLE_LAYER_INDEXES, &k);
	if (rc == RC_OK)
		rc = place_leave(t, &k, rec.location, now_ms);
	if (rc != RC_OK)
		return (rc);
	counts_sub(t->counts, &rec);
	return (kv_delete(t, TABLE_BLOBS, key_span(&k)));
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
	return (manifest_mark(t, domain, d, true));
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
