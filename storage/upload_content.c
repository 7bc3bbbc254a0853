#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/obj.h"
#include "base/thread.h"
#include "storage/collect_int.h"
#include "storage/lease.h"
#include "storage/store_int.h"
#include "storage/upload_int.h"

/*
 * The content of a session: bytes are appended to the scratch and hashed as
 * they come, and at the end become a blob, in the metadata when they are
 * few, else in a file of their own.
 *
 * What will most likely go into the metadata needs no file on its way: as
 * long as one request writes, and all of it would fit there, it stays in
 * memory, of which all sessions together have a small budget.  It goes into
 * the scratch when it grows, and before the session is left to wait.
 *
 * The running hash may be behind the offset (after a restart, a rewind, or a
 * final digest that did not match): then the scratch is read again from
 * where the hash stands.
 */

/* So often, in bytes taken, is the free space looked at. */
#define ROOM_STEP_BYTES (4ULL * 1024 * 1024)
#define READ_BYTES ((size_t)256 * 1024)

/* Content in memory, of all sessions. */
#define EARLY_TOTAL_BYTES (4ULL * 1024 * 1024)

/* --- in memory ----------------------------------------------------------- */

/* May ${n} more bytes stay in memory, with those that are there? */
static bool
early_admit(struct upload *u, size_t n)
{
	struct uploads *t = u->table;
	uint64_t end = u->offset_bytes + n;

	if (u->followed || u->scratch != NULL ||
	    (u->early == NULL && u->offset_bytes > 0))
		return (false);
	if (end > t->store->options.inline_max_bytes)
		return (false);
	if (atomic_fetch_add(&t->early_bytes, n) + n <= EARLY_TOTAL_BYTES)
		return (true);
	atomic_fetch_sub(&t->early_bytes, n);
	return (false);
}

static void
early_append(struct upload *u, const void *p, size_t n)
{
	u->early = xrealloc(u->early, u->early_bytes + n);
	memcpy(u->early + u->early_bytes, p, n);
	u->early_bytes += n;
}

void
upload_early_drop(struct upload *u)
{
	atomic_fetch_sub(&u->table->early_bytes, u->early_bytes);
	if (u->early != NULL)
		mem_wipe(u->early, u->early_bytes);
	free(u->early);
	u->early = NULL;
	u->early_bytes = 0;
}

/* --- hashing ------------------------------------------------------------- */

/* Feed ${h} with the scratch from *${at} to its end. */
static enum rc
scratch_hash(struct scratch *s, struct hasher *h, uint64_t *at)
{
	uint64_t size = scratch_size(s);
	char *p;
	size_t n;
	enum rc rc = RC_OK;

	if (*at >= size)
		return (RC_OK);
	p = xmalloc(READ_BYTES);
	while (*at < size) {
		n = READ_BYTES;
		if (size - *at < n)
			n = (size_t)(size - *at);
		if ((rc = scratch_read(s, *at, p, n)) != RC_OK)
			break;
		hasher_update(h, p, n);
		*at += n;
	}
	mem_wipe(p, READ_BYTES);
	free(p);
	return (rc);
}

/* Feed ${h} with the content from *${at} to its end. */
static enum rc
content_hash(struct upload *u, struct hasher *h, uint64_t *at)
{
	if (u->early != NULL) {
		hasher_update(h, u->early + *at, u->early_bytes - *at);
		*at = u->early_bytes;
		return (RC_OK);
	}
	return (u->scratch == NULL ? RC_OK : scratch_hash(u->scratch, h, at));
}

/* Bring the running hash up to the offset. */
static enum rc
hash_catch_up(struct upload *u)
{
	if (u->hasher == NULL) {
		u->hasher = hasher_new(u->alg);
		u->hashed_bytes = 0;
	}
	if (u->hashed_bytes == u->offset_bytes)
		return (RC_OK);
	return (content_hash(u, u->hasher, &u->hashed_bytes));
}

static void
hash_drop(struct upload *u)
{
	hasher_free(&u->hasher);
	u->hashed_bytes = 0;
	u->is_known = false;
}

/* By the hash that has run along; it is used up. */
static enum rc
hash_end(struct upload *u, struct digest *d_r)
{
	enum rc rc;

	if ((rc = hash_catch_up(u)) != RC_OK)
		return (rc);
	hasher_final(u->hasher, d_r);
	hash_drop(u);
	return (RC_OK);
}

static enum rc
hash_anew(struct upload *u, uint8_t alg, struct digest *d_r)
{
	struct hasher *h = hasher_new(alg);
	uint64_t at = 0;
	enum rc rc;

	if ((rc = content_hash(u, h, &at)) == RC_OK)
		hasher_final(h, d_r);
	hasher_free(&h);
	return (rc);
}

static enum rc
content_digest(struct upload *u, uint8_t alg, struct digest *d_r)
{
	enum rc rc;

	if (!u->is_known || u->known.alg != alg) {
		rc = alg == u->alg ? hash_end(u, &u->known)
				   : hash_anew(u, alg, &u->known);
		u->is_known = rc == RC_OK;
		if (rc != RC_OK)
			return (rc);
	}
	*d_r = u->known;
	return (RC_OK);
}

/* --- the scratch --------------------------------------------------------- */

/* What was taken is not in the scratch any more; the session goes on with
 * what is. */
static enum rc
content_lost(struct upload *u, uint64_t size)
{
	log_error("upload %s: %" PRIu64 " of %" PRIu64 " bytes are left", u->id,
	    size, u->offset_bytes);
	hash_drop(u);
	u->offset_bytes = size;
	return (RC_IO);
}

/* What was read of it is not what was written: it is as good as lost. */
static enum rc
content_read_end(struct upload *u, enum rc rc)
{
	if (rc != RC_CORRUPT)
		return (rc);
	scratch_close(&u->scratch);
	return (content_lost(u, 0));
}

/* What a crash left behind before its first byte counted, or somebody reads
 * already; not one of another key. */
static bool
scratch_again(struct upload *u, uint32_t domain)
{
	struct blobs *b = u->table->store->blobs;

	if (scratch_open(b, u->id, &u->scratch) == RC_OK &&
	    scratch_domain(u->scratch) == domain &&
	    scratch_truncate(u->scratch, 0) == RC_OK)
		return (true);
	scratch_close(&u->scratch);
	return (false);
}

static enum rc
scratch_fresh(struct upload *u)
{
	struct blobs *b = u->table->store->blobs;
	uint32_t domain;
	enum rc rc;

	if ((rc = upload_domain(u, &domain)) != RC_OK)
		return (rc);
	rc = scratch_create(b, domain, u->id, &u->scratch);
	if (rc != RC_EXISTS || scratch_again(u, domain))
		return (rc == RC_EXISTS ? RC_OK : rc);
	if ((rc = scratch_remove(b, u->id)) != RC_OK)
		return (rc);
	return (scratch_create(b, domain, u->id, &u->scratch));
}

/* From memory into the scratch. */
static enum rc
early_spill(struct upload *u)
{
	enum rc rc;

	if ((rc = scratch_fresh(u)) != RC_OK)
		return (rc);
	rc = scratch_append(u->scratch, u->early, u->early_bytes);
	if (rc == RC_OK)
		rc = scratch_flush(u->scratch);
	if (rc == RC_OK)
		upload_early_drop(u);
	else
		scratch_close(&u->scratch);
	return (rc);
}

/* Open the scratch and make it as long as the session says. */
enum rc
upload_scratch_need(struct upload *u)
{
	uint64_t size;
	enum rc rc;

	if (u->scratch != NULL)
		return (RC_OK);
	if (u->early != NULL)
		return (early_spill(u));
	if (u->offset_bytes == 0)
		return (scratch_fresh(u));
	rc = scratch_open(u->table->store->blobs, u->id, &u->scratch);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (content_lost(u, 0));
	if (rc != RC_OK)
		return (rc);
	size = scratch_size(u->scratch);
	if (size < u->offset_bytes)
		return (content_lost(u, size));
	/* Longer: what could not be cut off when an append failed. */
	if (size > u->offset_bytes)
		return (scratch_truncate(u->scratch, u->offset_bytes));
	return (RC_OK);
}

/* --- taking -------------------------------------------------------------- */

enum rc
upload_room(struct upload *u, uint64_t n)
{
	struct store *s = u->table->store;
	uint64_t max = s->options.upload_max_bytes;
	uint64_t end = u->offset_bytes + n;
	enum rc rc;

	if (store_failed(s))
		return (RC_IO);
	if (max != 0 && end > max)
		return (RC_TOOBIG);
	if (end <= u->room_until_bytes)
		return (RC_OK);
	if ((rc = store_room(s, n)) != RC_OK)
		return (rc);
	u->room_until_bytes = end + ROOM_STEP_BYTES;
	return (RC_OK);
}

/* To where the content is, or is to be. */
static enum rc
content_append(struct upload *u, const void *p, size_t n)
{
	enum rc rc;

	if (early_admit(u, n)) {
		early_append(u, p, n);
		return (RC_OK);
	}
	if ((rc = upload_scratch_need(u)) != RC_OK)
		return (rc);
	return (scratch_append(u->scratch, p, n));
}

enum rc
upload_write(struct upload *u, const void *p, size_t n)
{
	enum rc rc;

	OBJ_CHECK(u, UPLOAD_MAGIC);
	if (n == 0)
		return (RC_OK);
	if ((rc = upload_room(u, n)) != RC_OK)
		return (rc);
	if (u->offset_bytes > 0 && u->early == NULL &&
	    (rc = upload_scratch_need(u)) != RC_OK)
		return (rc);
	if ((rc = hash_catch_up(u)) != RC_OK)
		return (content_read_end(u, rc));
	/* Hashed first: it brings the bytes, which another core received, into
	 * this one's cache while it computes, and writing finds them there. */
	hasher_update(u->hasher, p, n);
	u->is_known = false;
	if ((rc = content_append(u, p, n)) != RC_OK) {
		u->room_until_bytes = 0;
		hash_drop(u);
		return (rc);
	}
	u->hashed_bytes += n;
	u->offset_bytes += n;
	return (RC_OK);
}

enum rc
upload_keep(struct upload *u)
{
	OBJ_CHECK(u, UPLOAD_MAGIC);
	if (u->early != NULL)
		return (early_spill(u));
	return (u->scratch != NULL ? scratch_flush(u->scratch) : RC_OK);
}

enum rc
upload_rewind(struct upload *u, uint64_t offset)
{
	enum rc rc;

	OBJ_CHECK(u, UPLOAD_MAGIC);
	if (offset > u->offset_bytes)
		return (RC_RANGE);
	if (offset == u->offset_bytes)
		return (RC_OK);
	if ((rc = upload_scratch_need(u)) != RC_OK)
		return (rc);
	if ((rc = scratch_truncate(u->scratch, offset)) != RC_OK)
		return (rc);
	u->offset_bytes = offset;
	u->room_until_bytes = 0;
	hash_drop(u);
	return (RC_OK);
}

void
upload_cut(struct upload *u, uint64_t offset)
{
	if (u->offset_bytes <= offset || upload_rewind(u, offset) == RC_OK)
		return;
	scratch_close(&u->scratch);
	u->offset_bytes = offset;
	u->room_until_bytes = 0;
	hash_drop(u);
}

/* --- ending -------------------------------------------------------------- */

/* The client is told that it is there: a lease.  Taken first, it is had when
 * the collector is not at what was there before. */
enum rc
upload_record(struct store *s, const struct blob_put *put)
{
	enum rc rc;

	rc = lease_take(meta_leases(s->meta), &put->digest, true);
	return (rc == RC_OK ? meta_blob_put(s->meta, put) : rc);
}

static enum rc
put_domain(struct store *s, const struct blob_put *put, uint32_t *domain_r)
{
	return (upload_domain_of(s, put->repository,
	    put->create != NULL ? &put->create->settings : NULL, domain_r));
}

/* A record was refused.  Was it as the repository is of another key domain by
 * now?  Else all is as it was: RC_BUSY. */
static enum rc
put_moved(struct store *s, struct blob_put *put)
{
	uint32_t domain;
	enum rc rc;

	if ((rc = put_domain(s, put, &domain)) != RC_OK)
		return (rc);
	if (domain == put->key_domain)
		return (RC_BUSY);
	put->key_domain = domain;
	return (RC_OK);
}

/* Repositories do not change so often. */
#define RECORD_TRIES 8

static enum rc
file_copy(struct blob_file *from, struct scratch *to)
{
	char *p = xmalloc(READ_BYTES);
	uint64_t at;
	size_t n = 0;
	enum rc rc = RC_OK;

	for (at = 0; at < from->size_bytes && rc == RC_OK; at += n) {
		rc = blob_file_read(from, at, p, READ_BYTES, true, &n);
		if (rc == RC_OK && n == 0)
			rc = RC_CORRUPT;
		if (rc == RC_OK)
			rc = scratch_append(to, p, n);
	}
	mem_wipe(p, READ_BYTES);
	free(p);
	return (rc);
}

/* What was placed for key domain ${from} is needed in that of ${put}, too. */
static enum rc
place_anew(struct store *s, uint32_t from, const struct blob_put *put)
{
	struct blob_file f = BLOB_FILE_NONE;
	struct scratch *copy = NULL;
	char id[UPLOAD_ID_BYTES];
	enum rc rc;

	upload_id_new(id);
	rc = blobs_open(s->blobs, from, &put->digest, READ_BLOCKING, &f);
	if (rc == RC_OK)
		rc = scratch_create(s->blobs, put->key_domain, id, &copy);
	if (rc == RC_OK && (rc = file_copy(&f, copy)) == RC_OK)
		rc = scratch_place(copy, put->key_domain, &put->digest);
	scratch_close(&copy);
	blob_file_close(&f);
	if (rc != RC_OK)
		(void)!scratch_remove(s->blobs, id);
	/* Perhaps nobody needs the first one. */
	store_orphans_suspect(s, true);
	return (rc);
}

static enum rc
placed_record(struct store *s, struct blob_put *put)
{
	uint32_t from;
	unsigned i;
	enum rc rc;

	for (i = 0;; i++) {
		rc = upload_record(s, put);
		if (rc != RC_BUSY || i == RECORD_TRIES)
			return (rc);
		from = put->key_domain;
		if ((rc = put_moved(s, put)) != RC_OK ||
		    (rc = place_anew(s, from, put)) != RC_OK)
			return (rc);
	}
}

/* The pin keeps the collector from the file while no record leads to it.  It
 * excludes claims, so the lease is had at once. */
enum rc
upload_place(struct store *s, struct scratch *scratch, struct blob_put *put)
{
	struct leases *l = meta_leases(s->meta);
	struct lease_pin pin;
	uint64_t size = scratch_size(scratch);
	enum rc rc;

	put->location = BLOB_IN_FILE;
	put->content = SPAN_NONE;
	if ((rc = put_domain(s, put, &put->key_domain)) != RC_OK)
		return (rc);
	lease_pin(l, &pin, &put->digest);
	rc = scratch_place(scratch, put->key_domain, &put->digest);
	if (rc == RC_OK)
		rc = placed_record(s, put);
	/* It, or a copy of it, may have got its place. */
	if (rc != RC_OK && (scratch_size(scratch) < size ||
			       scratch_domain(scratch) != put->key_domain))
		store_orphans_suspect(s, true);
	lease_unpin(l, &pin);
	return (rc);
}

enum rc
upload_may_end(struct uploads *t, struct span repository,
    const struct repository_preset *create)
{
	struct repository_row row;

	if (store_failed(t->store))
		return (RC_IO);
	if (create != NULL)
		return (RC_OK);
	return (meta_repository_get(t->store->meta, repository, &row));
}

/* What there is has to be at hand, to be read. */
static enum rc
content_check(struct upload *u, const struct digest *want)
{
	struct digest got;
	enum rc rc;

	if (u->offset_bytes > 0 && u->early == NULL &&
	    (rc = upload_scratch_need(u)) != RC_OK)
		return (rc);
	if ((rc = content_digest(u, want->alg, &got)) != RC_OK)
		return (content_read_end(u, rc));
	if (digest_eq(&got, want))
		return (RC_OK);
	u->seen = got;
	return (RC_DIGEST);
}

enum rc
upload_verify(struct upload *u, const struct digest *want)
{
	enum rc rc;

	OBJ_CHECK(u, UPLOAD_MAGIC);
	if ((rc = content_check(u, want)) != RC_OK)
		return (rc);
	/* For those who read beside. */
	return (u->scratch != NULL ? scratch_flush(u->scratch) : RC_OK);
}

enum rc
upload_reader(struct upload *u, struct blob_file *f_r)
{
	enum rc rc;

	OBJ_CHECK(u, UPLOAD_MAGIC);
	if ((rc = upload_scratch_need(u)) != RC_OK)
		return (rc);
	u->followed = true;
	return (scratch_reader(u->scratch, f_r));
}

/* Few bytes: into the metadata. */
static enum rc
finish_in_meta(struct upload *u, struct blob_put *put)
{
	struct store *s = u->table->store;
	char *p = NULL;
	enum rc rc = RC_OK;

	put->location = BLOB_IN_META;
	put->content = (struct span){ u->early, put->size_bytes };
	if (u->early == NULL && put->size_bytes > 0) {
		p = xmalloc(put->size_bytes);
		put->content.p = p;
		rc = scratch_read(u->scratch, 0, p, put->size_bytes);
	}
	if (rc == RC_OK)
		rc = upload_record(s, put);
	if (p != NULL)
		mem_wipe(p, put->size_bytes);
	free(p);
	if (rc == RC_OK && scratch_remove(s->blobs, u->id) != RC_OK)
		log_warn("upload %s: its scratch stays for the sweep", u->id);
	return (rc);
}

/* Many bytes: a file.  Once it has its place the session is empty-handed:
 * when the record then fails, the client sends all of it again. */
static enum rc
finish_in_file(struct upload *u, struct blob_put *put)
{
	enum rc rc;

	rc = upload_place(u->table->store, u->scratch, put);
	if (rc != RC_OK && scratch_size(u->scratch) < u->offset_bytes) {
		hash_drop(u);
		u->offset_bytes = 0;
		scratch_close(&u->scratch);
	}
	return (rc);
}

void
upload_seen(const struct upload *u, struct digest *d_r)
{
	OBJ_CHECK(u, UPLOAD_MAGIC);
	*d_r = u->seen;
}

enum rc
upload_finish(struct upload **u_p, const struct digest *want,
    const struct repository_preset *create)
{
	struct upload *u = *u_p;
	struct blob_put put;
	enum rc rc;

	OBJ_CHECK(u, UPLOAD_MAGIC);
	put = (struct blob_put){
		.repository = upload_repository(u),
		.digest = *want,
		.size_bytes = u->offset_bytes,
		.upload_id = span_of(u->id),
		.create = create,
	};
	rc = upload_may_end(u->table, put.repository, create);
	if (rc != RC_OK)
		return (rc);
	if ((rc = content_check(u, want)) != RC_OK)
		return (rc);
	/* Who reads beside goes on when the session is gone. */
	if (u->followed && (rc = scratch_flush(u->scratch)) != RC_OK)
		return (rc);
	put.now_ms = clock_real_ms();
	if (put.size_bytes <= u->table->store->options.inline_max_bytes ||
	    put.size_bytes == 0)
		rc = finish_in_meta(u, &put);
	else
		rc = finish_in_file(u, &put);
	if (rc == RC_OK)
		upload_forget(u_p);
	return (rc);
}
