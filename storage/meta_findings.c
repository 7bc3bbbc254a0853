#include "storage/findings.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/keys_int.h"
#include "storage/meta_ops_int.h"

/*
 * What scans found.  Texts are compressed before the change that writes them,
 * and sealed in it, where the repository's content is.
 *
 * An index of a layer goes with its blob (blob_forget()), findings with the
 * scan of their image (scan_drop()), and with them the rows by which an import
 * of advisories finds the images that it concerns.
 */
#define PACK_LEVEL 3
/* Rows that are looked at in one read of a page. */
#define PAGE_LOOKED_MAX 1000

/* --- packed -------------------------------------------------------------- */

struct packed {
	char *p;
	size_t n;
};

static void
packed_free(struct packed *z)
{

	free(z->p);
	*z = (struct packed){ 0 };
}

static enum rc
pack(struct span text, size_t max_bytes, struct packed *z_r)
{
	size_t room, n;

	*z_r = (struct packed){ 0 };
	if (text.n > max_bytes)
		return (RC_TOOBIG);
	room = ZSTD_compressBound(text.n);
	z_r->p = xmalloc(room);
	n = ZSTD_compress(z_r->p, room, text.p, text.n, PACK_LEVEL);
	if (ZSTD_isError(n)) {
		packed_free(z_r);
		return (RC_TOOBIG);
	}
	z_r->n = n;
	return (RC_OK);
}

/* RC_CORRUPT: not logged. */
static enum rc
unpack(struct span z, size_t max_bytes, struct arena *a, struct span *text_r)
{
	unsigned long long n = ZSTD_getFrameContentSize(z.p, z.n);
	char *p;

	if (n == ZSTD_CONTENTSIZE_UNKNOWN || n == ZSTD_CONTENTSIZE_ERROR ||
	    n > max_bytes)
		return (RC_CORRUPT);
	if ((p = arena_alloc(a, (size_t)n + 1)) == NULL)
		return (RC_TOOBIG);
	if (ZSTD_decompress(p, (size_t)n, z.p, z.n) != n)
		return (RC_CORRUPT);
	p[n] = '\0';
	*text_r = (struct span){ p, (size_t)n };
	return (RC_OK);
}

/* A row cannot be taken for another one, nor for one of another key. */
static void
place_of(struct sealed_place *p, uint32_t domain, struct span what,
    const struct rec_key *k)
{

	p->key_domain = domain;
	memcpy(p->aad, what.p, what.n);
	memcpy(p->aad + what.n, k->p, k->n);
	p->aad_n = what.n + k->n;
}

static void
index_place(struct sealed_place *p, uint32_t domain, const struct rec_key *k)
{

	place_of(p, domain, SPAN("layer index"), k);
}

static void
findings_place(struct sealed_place *p, uint64_t repo, const struct rec_key *k)
{

	place_of(p, repo_domain(repo), SPAN("findings"), k);
}

/* --- indexes of layers --------------------------------------------------- */

static enum rc
index_load(struct meta_txn *t, struct span repository, const struct digest *d,
    uint32_t layer_reader, struct arena *a, struct span *z_r)
{
	struct layer_index_rec rec;
	struct repository_row repo;
	struct sealed_place place;
	struct link_rec link;
	struct rec_key k;
	struct span value;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK ||
	    (rc = link_load(t, repo.id, d, &link)) != RC_OK)
		return (rc);
	if (link.hidden)
		return (RC_NOTFOUND);
	key_blob(&k, repo_domain(repo.id), d);
	rc = kv_get(t, TABLE_LAYER_INDEXES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_layer_index_read(value, &rec))
		return (meta_corrupt(TABLE_LAYER_INDEXES, key_span(&k)));
	if (rec.reader != layer_reader)
		return (RC_NOTFOUND);
	index_place(&place, repo_domain(repo.id), &k);
	rc = sealed_get(t, &place, rec.stored, a, z_r);
	return (rc == RC_CORRUPT
		    ? meta_corrupt(TABLE_LAYER_INDEXES, key_span(&k))
		    : rc);
}

enum rc
meta_layer_index_get(struct meta *m, struct span repository,
    const struct digest *d, uint32_t layer_reader, struct arena *a,
    struct span *bytes_r)
{
	struct span z = SPAN_NONE;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = index_load(&t, repository, d, layer_reader, a, &z);
	meta_read_end(&t);
	return (rc == RC_OK ? unpack(z, LAYER_INDEX_TEXT_MAX_BYTES, a, bytes_r)
			    : rc);
}

struct index_arg {
	struct span repository;
	const struct digest *digest;
	uint32_t reader;
	const struct packed *packed;
	int64_t now_ms;
};

static enum rc
index_put(struct meta_txn *t, void *arg)
{
	const struct index_arg *ia = arg;
	struct repository_row repo;
	struct sealed_place place;
	struct blob_rec blob;
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	if ((rc = repo_find(t, ia->repository, &repo)) != RC_OK)
		return (rc);
	rc = blob_linked(t, repo.id, ia->digest, &blob);
	if (rc != RC_OK)
		return (rc);
	key_blob(&k, repo_domain(repo.id), ia->digest);
	index_place(&place, repo_domain(repo.id), &k);
	rc = kv_reserve(t, TABLE_LAYER_INDEXES, key_span(&k),
	    rec_layer_index_size(sealed_place_bytes(&place, ia->packed->n)),
	    &p);
	if (rc != RC_OK)
		return (rc);
	p = rec_layer_index_write(ia->now_ms, ia->reader, p);
	return (sealed_put(
	    t, &place, (struct span){ ia->packed->p, ia->packed->n }, p));
}

enum rc
meta_layer_index_put(struct meta *m, struct span repository,
    const struct digest *d, uint32_t layer_reader, struct span bytes,
    int64_t now_ms)
{
	struct packed z;
	struct index_arg arg = {
		.repository = repository,
		.digest = d,
		.reader = layer_reader,
		.packed = &z,
		.now_ms = now_ms,
	};
	enum rc rc;

	if ((rc = pack(bytes, LAYER_INDEX_TEXT_MAX_BYTES, &z)) != RC_OK)
		return (rc);
	rc = meta_change(m, index_put, &arg, z.n);
	packed_free(&z);
	return (rc);
}

/* --- findings ------------------------------------------------------------ */

/* What borrows, does so from the map. */
static enum rc
findings_load(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct findings_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_SCAN_FINDINGS, key_span(&k), &value);
	if (rc == RC_OK && !rec_findings_read(value, rec_r))
		rc = meta_corrupt(TABLE_SCAN_FINDINGS, key_span(&k));
	return (rc);
}

/* The names of ecosystems, out of the map: changes invalidate what is there. */
struct systems {
	size_t n;
	size_t lengths[FINDINGS_ECOSYSTEMS_MAX];
	char names[FINDINGS_ECOSYSTEMS_MAX][SYSTEM_MAX_BYTES];
};

static void
systems_of(const struct findings_rec *rec, struct systems *s)
{
	size_t i;

	s->n = rec->n_ecosystems;
	for (i = 0; i < s->n; i++) {
		s->lengths[i] = rec->ecosystems[i].n;
		memcpy(s->names[i], rec->ecosystems[i].p, s->lengths[i]);
	}
}

static enum rc
systems_drop(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct systems *s)
{
	struct rec_key k;
	size_t i;
	enum rc rc;

	for (i = 0; i < s->n; i++) {
		key_system(
		    &k, (struct span){ s->names[i], s->lengths[i] }, repo, d);
		rc = kv_delete(t, TABLE_SCANNED_SYSTEMS, key_span(&k));
		if (rc != RC_OK && rc != RC_NOTFOUND)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
systems_drop_of(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct findings_rec rec;
	struct systems s;
	enum rc rc;

	rc = findings_load(t, repo, d, &rec);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK)
		return (rc);
	systems_of(&rec, &s);
	return (systems_drop(t, repo, d, &s));
}

enum rc
findings_purge(struct kv_walk *w, uint64_t repo, const struct digest *d)
{
	struct findings_rec rec;
	struct systems s = { 0 };
	enum rc rc;

	if (rec_findings_read(w->value, &rec))
		systems_of(&rec, &s);
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	return (systems_drop(w->t, repo, d, &s));
}

enum rc
findings_drop(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	if ((rc = systems_drop_of(t, repo, d)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, d);
	rc = kv_delete(t, TABLE_SCAN_FINDINGS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
row_put(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct findings_rec *rec, struct span packed)
{
	struct sealed_place place;
	struct rec_key k;
	uint8_t *p;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	findings_place(&place, repo, &k);
	/* For its size. */
	rec->stored =
	    (struct span){ NULL, sealed_place_bytes(&place, packed.n) };
	rc = kv_reserve(
	    t, TABLE_SCAN_FINDINGS, key_span(&k), rec_findings_size(rec), &p);
	if (rc != RC_OK)
		return (rc);
	return (sealed_put(t, &place, packed, rec_findings_write(rec, p)));
}

static struct findings_rec
rec_of(const struct scan_findings *f)
{
	struct findings_rec rec = {
		.completed_ms = f->completed_ms,
		.revision = f->revision,
		.updated_ms = f->updated_ms,
		.n_ecosystems = f->n_ecosystems,
	};
	size_t i;

	memcpy(rec.counts, f->counts, sizeof(rec.counts));
	for (i = 0; i < f->n_ecosystems; i++)
		rec.ecosystems[i] = f->ecosystems[i];
	return (rec);
}

enum rc
findings_put(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct scan_findings *f, struct span packed)
{
	struct findings_rec rec = rec_of(f);
	struct rec_key k;
	size_t i;
	enum rc rc;

	if ((rc = systems_drop_of(t, repo, d)) != RC_OK ||
	    (rc = row_put(t, repo, d, &rec, packed)) != RC_OK)
		return (rc);
	for (i = 0; i < rec.n_ecosystems && rc == RC_OK; i++) {
		key_system(&k, rec.ecosystems[i], repo, d);
		rc = kv_put(t, TABLE_SCANNED_SYSTEMS, key_span(&k), rec_none());
	}
	return (rc);
}

static enum rc
findings_check(const struct scan_findings *f)
{
	size_t i;

	must(f->status == SCAN_COMPLETE || f->status == SCAN_FAILED);
	if (f->n_ecosystems > FINDINGS_ECOSYSTEMS_MAX)
		return (RC_TOOBIG);
	for (i = 0; i < f->n_ecosystems; i++)
		if (f->ecosystems[i].n == 0 ||
		    f->ecosystems[i].n > SYSTEM_MAX_BYTES)
			return (RC_TOOBIG);
	return (RC_OK);
}

static enum rc
findings_pack(const struct scan_findings *f, struct packed *z_r)
{
	enum rc rc;

	*z_r = (struct packed){ 0 };
	if ((rc = findings_check(f)) != RC_OK)
		return (rc);
	return (pack(f->text, FINDINGS_TEXT_MAX_BYTES, z_r));
}

enum rc
meta_scan_complete(
    struct meta *m, const struct scan_job *job, const struct scan_findings *f)
{
	struct packed z;
	struct scan_end end = {
		.job = job,
		.status = f->status,
		.reason = f->reason,
		.now_ms = f->completed_ms,
		.findings = f,
	};
	enum rc rc;

	if ((rc = findings_pack(f, &z)) != RC_OK)
		return (rc);
	end.packed = (struct span){ z.p, z.n };
	rc = scan_end_change(m, &end, z.n);
	packed_free(&z);
	return (rc);
}

/* --- reading ------------------------------------------------------------- */

static enum rc
ecosystems_copy(
    const struct findings_rec *rec, struct arena *a, struct scan_findings *f_r)
{
	struct span *names;
	size_t i;
	enum rc rc = RC_OK;

	names = arena_calloc(a, rec->n_ecosystems + 1, sizeof(*names));
	if (names == NULL)
		return (RC_TOOBIG);
	for (i = 0; i < rec->n_ecosystems && rc == RC_OK; i++)
		rc = copy_out(a, rec->ecosystems[i], &names[i]);
	f_r->ecosystems = names;
	f_r->n_ecosystems = rec->n_ecosystems;
	return (rc);
}

static enum rc
text_copy(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct findings_rec *rec, struct arena *a, struct span *z_r)
{
	struct sealed_place place;
	struct rec_key k;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	findings_place(&place, repo, &k);
	rc = sealed_get(t, &place, rec->stored, a, z_r);
	return (rc == RC_CORRUPT
		    ? meta_corrupt(TABLE_SCAN_FINDINGS, key_span(&k))
		    : rc);
}

static enum rc
findings_get(struct meta_txn *t, struct span repository, const struct digest *d,
    struct span *z_r, struct arena *a, struct scan_findings *f_r)
{
	struct repository_row repo;
	struct findings_rec rec;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK ||
	    (rc = findings_load(t, repo.id, d, &rec)) != RC_OK)
		return (rc);
	*f_r = (struct scan_findings){
		.completed_ms = rec.completed_ms,
		.revision = rec.revision,
		.updated_ms = rec.updated_ms,
	};
	memcpy(f_r->counts, rec.counts, sizeof(rec.counts));
	rc = ecosystems_copy(&rec, a, f_r);
	if (rc == RC_OK && z_r != NULL)
		rc = text_copy(t, repo.id, d, &rec, a, z_r);
	return (rc);
}

enum rc
meta_findings_get(struct meta *m, struct span repository,
    const struct digest *d, bool text, struct arena *a,
    struct scan_findings *f_r)
{
	struct span z = SPAN_NONE;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = findings_get(&t, repository, d, text ? &z : NULL, a, f_r);
	meta_read_end(&t);
	if (rc == RC_OK && text)
		rc = unpack(z, FINDINGS_TEXT_MAX_BYTES, a, &f_r->text);
	return (rc);
}

/* --- matched anew -------------------------------------------------------- */

struct replace_arg {
	struct span repository;
	const struct digest *digest;
	uint64_t was_revision;
	const struct scan_findings *findings;
	struct span packed;
};

static enum rc
findings_replace(struct meta_txn *t, void *arg)
{
	const struct replace_arg *ra = arg;
	struct repository_row repo;
	struct findings_rec rec;
	enum rc rc;

	if ((rc = repo_find(t, ra->repository, &repo)) != RC_OK ||
	    (rc = findings_load(t, repo.id, ra->digest, &rec)) != RC_OK)
		return (rc);
	if (rec.revision != ra->was_revision)
		return (RC_NOTFOUND);
	rc = scan_restate(t, repo.id, ra->digest, ra->findings);
	if (rc != RC_OK)
		return (rc);
	return (findings_put(t, repo.id, ra->digest, ra->findings, ra->packed));
}

enum rc
meta_findings_replace(struct meta *m, struct span repository,
    const struct digest *d, uint64_t was_revision,
    const struct scan_findings *f)
{
	struct packed z;
	struct replace_arg arg = {
		.repository = repository,
		.digest = d,
		.was_revision = was_revision,
		.findings = f,
	};
	enum rc rc;

	if ((rc = findings_pack(f, &z)) != RC_OK)
		return (rc);
	arg.packed = (struct span){ z.p, z.n };
	rc = meta_change(m, findings_replace, &arg, z.n);
	packed_free(&z);
	return (rc);
}

/* --- who is concerned ---------------------------------------------------- */

struct page_arg {
	struct span ecosystem;
	struct scanned_position *at;
	size_t room;
	struct arena *arena;
	struct scanned_image *rows;
	size_t n;
	unsigned looked;
};

/* Of a deleted repository it is left out. */
static enum rc
page_take(struct meta_txn *t, struct page_arg *pa)
{
	struct scanned_image *row = &pa->rows[pa->n];
	struct span value;
	struct rec_key k;
	enum rc rc;

	key_repo(&k, pa->at->repo);
	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	rc = repo_name(t, pa->at->repo, pa->arena, &row->repository);
	if (rc != RC_OK)
		return (rc);
	row->digest = pa->at->digest;
	pa->n++;
	return (RC_OK);
}

/* Is it the one that was seen last? */
static bool
page_seen(const struct page_arg *pa, uint64_t repo, const struct digest *d)
{

	return (pa->at->begun && pa->at->repo == repo &&
		digest_eq(&pa->at->digest, d));
}

static enum rc
page_row(struct kv_walk *w, struct page_arg *pa)
{
	struct span ecosystem;
	struct digest d;
	uint64_t repo;

	if (!key_read_system(w->key, &ecosystem, &repo, &d)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	if (page_seen(pa, repo, &d))
		return (RC_OK);
	*pa->at = (struct scanned_position){
		.begun = true,
		.repo = repo,
		.digest = d,
	};
	return (page_take(w->t, pa));
}

static enum rc
page_read(struct meta_txn *t, struct page_arg *pa)
{
	struct rec_key prefix, from = { 0 };
	struct kv_walk w;
	enum rc rc;

	key_system(&prefix, pa->ecosystem, 0, NULL);
	if (pa->at->begun)
		key_system(&from, pa->ecosystem, pa->at->repo, &pa->at->digest);
	rc = kv_walk_begin(
	    t, TABLE_SCANNED_SYSTEMS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	while (pa->n < pa->room && pa->looked++ < PAGE_LOOKED_MAX &&
	       (rc = kv_walk_next(&w)) == RC_OK)
		if ((rc = page_row(&w, pa)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc);
}

enum rc
meta_scanned_page(struct meta *m, struct span ecosystem,
    struct scanned_position *at, size_t n, struct arena *a,
    struct scanned_image **rows_r, size_t *n_r)
{
	struct page_arg pa = {
		.ecosystem = ecosystem,
		.at = at,
		.room = n,
		.arena = a,
	};
	struct meta_txn t;
	enum rc rc;

	*n_r = 0;
	*rows_r = pa.rows = arena_calloc(a, n + 1, sizeof(*pa.rows));
	if (pa.rows == NULL)
		return (RC_TOOBIG);
	if (ecosystem.n == 0 || ecosystem.n > SYSTEM_MAX_BYTES)
		return (RC_OK);
	do {
		pa.looked = 0;
		if ((rc = meta_read_begin(m, &t)) != RC_OK)
			return (rc);
		rc = page_read(&t, &pa);
		meta_read_end(&t);
	} while (rc == RC_OK && pa.n < n);
	*n_r = pa.n;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
