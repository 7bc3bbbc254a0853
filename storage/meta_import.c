#include "storage/imports.h"

#include "base/clock.h"
#include "base/obj.h"
#include "storage/meta_env_int.h"
#include "storage/meta_ops_int.h"

/*
 * What came from other registries: the marks of images and tags, when they were
 * last compared with what is said there, and how such images are given up.
 *
 * A mark is worth nothing by itself: who takes it away makes the image
 * somebody's own, which is what damage does, too.
 */

/* Rows of one read. */
#define READ_ROWS 256
/* Indexes that are looked at for one that holds an image; others are taken to.
 */
#define HELD_LOOKED_MAX 1000
/* Edges that are looked at for the size of an image that nobody knows. */
#define SIZE_LOOKED_MAX 20000
/* Rows of referrers that are looked at with each that is written: of subjects
 * that are not here they go after that time. */
#define SWEEP_ROWS 2
#define SWEEP_AFTER_MS (INT64_C(7) * 86400000)

/* Moments. */

static enum rc
moment_load(struct meta_txn *t, enum meta_table table, uint64_t repo,
    const struct digest *d, int64_t *ms_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, table, key_span(&k), &value);
	if (rc == RC_OK && !rec_moment_read(value, ms_r))
		rc = meta_corrupt(table, key_span(&k));
	return (rc);
}

static enum rc
moment_put(struct meta_txn *t, enum meta_table table, uint64_t repo,
    const struct digest *d, int64_t ms)
{
	uint8_t value[REC_MOMENT_BYTES];
	struct rec_key k;

	key_repo_digest(&k, repo, d);
	rec_moment_write(ms, value);
	return (kv_put(t, table, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

static enum rc
moment_drop(struct meta_txn *t, enum meta_table table, uint64_t repo,
    const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_delete(t, table, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Marks of images. */

enum rc
import_load(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t *imported_ms_r)
{

	return (moment_load(t, TABLE_IMPORT_IMAGES, repo, d, imported_ms_r));
}

enum rc
import_mark(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{

	return (moment_put(t, TABLE_IMPORT_IMAGES, repo, d, now_ms));
}

enum rc
import_forget(struct meta_txn *t, uint64_t repo, const struct digest *d)
{

	return (moment_drop(t, TABLE_IMPORT_IMAGES, repo, d));
}

enum rc
import_drop(struct meta_txn *t, uint64_t repo, const struct digest *d)
{
	enum rc rc;

	if ((rc = import_forget(t, repo, d)) != RC_OK)
		return (rc);
	return (moment_drop(t, TABLE_IMPORT_REFERRERS, repo, d));
}

enum rc
meta_imported(struct meta *m, struct span repository, const struct digest *d,
    int64_t *imported_ms_r)
{
	struct repository_row repo;
	struct manifest_rec rec;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, repository, &repo);
	if (rc == RC_OK)
		rc = manifest_find(&t, repo.id, d, &rec);
	if (rc == RC_OK)
		rc = import_load(&t, repo.id, d, imported_ms_r);
	meta_read_end(&t);
	return (rc);
}

/* Tags. */

enum rc
import_tag_load(struct meta_txn *t, uint64_t repo, struct span tag,
    const struct digest *d, struct import_tag *row_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_tag(&k, repo, tag);
	rc = kv_get(t, TABLE_IMPORT_TAGS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_import_tag_read(value, row_r))
		return (meta_corrupt(TABLE_IMPORT_TAGS, key_span(&k)));
	return (digest_eq(&row_r->digest, d) ? RC_OK : RC_NOTFOUND);
}

enum rc
import_tag_put(struct meta_txn *t, uint64_t repo, struct span tag,
    const struct import_tag *row)
{
	uint8_t value[REC_IMPORT_TAG_MAX_BYTES];
	struct rec_key k;

	key_tag(&k, repo, tag);
	rec_import_tag_write(row, value);
	return (kv_put(t, TABLE_IMPORT_TAGS, key_span(&k),
	    (struct span){ (const char *)value, rec_import_tag_size(row) }));
}

enum rc
import_tag_forget(struct meta_txn *t, uint64_t repo, struct span tag)
{
	struct rec_key k;
	enum rc rc;

	key_tag(&k, repo, tag);
	rc = kv_delete(t, TABLE_IMPORT_TAGS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
tag_get(struct meta_txn *t, struct span repository, struct span tag,
    uint64_t *repo_r, struct import_tag *row_r)
{
	struct repository_row repo;
	struct digest d;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK)
		return (rc);
	if ((rc = tag_find(t, repo.id, tag, &d)) != RC_OK)
		return (rc);
	*repo_r = repo.id;
	return (import_tag_load(t, repo.id, tag, &d, row_r));
}

enum rc
meta_import_tag_get(struct meta *m, struct span repository, struct span tag,
    struct import_tag *row_r)
{
	struct meta_txn t;
	uint64_t repo;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = tag_get(&t, repository, tag, &repo, row_r);
	meta_read_end(&t);
	return (rc);
}

struct checked_arg {
	struct span repository, tag;
	const struct digest *digest;
	int64_t now_ms;
};

static enum rc
tag_checked(struct meta_txn *t, void *arg)
{
	const struct checked_arg *ca = arg;
	struct import_tag row;
	uint64_t repo;
	enum rc rc;

	rc = tag_get(t, ca->repository, ca->tag, &repo, &row);
	if (rc != RC_OK)
		return (rc);
	if (!digest_eq(&row.digest, ca->digest))
		return (RC_NOTFOUND);
	row.checked_ms = ca->now_ms;
	return (import_tag_put(t, repo, ca->tag, &row));
}

enum rc
meta_import_tag_checked(struct meta *m, struct span repository, struct span tag,
    const struct digest *d, int64_t now_ms)
{
	struct checked_arg arg = { repository, tag, d, now_ms };

	return (meta_change(m, tag_checked, &arg, 0));
}

/* Referrers. */

enum rc
meta_import_referrers_get(struct meta *m, struct span repository,
    const struct digest *subject, int64_t *checked_ms_r)
{
	struct repository_row repo;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, repository, &repo);
	if (rc == RC_OK)
		rc = moment_load(
		    &t, TABLE_IMPORT_REFERRERS, repo.id, subject, checked_ms_r);
	meta_read_end(&t);
	return (rc);
}

/* A row that is no use to anybody any more, or that cannot be read. */
static enum rc
sweep_row(struct kv_walk *w, int64_t now_ms)
{
	struct manifest_rec rec;
	struct digest d;
	uint64_t repo;
	int64_t ms;
	enum rc rc;

	if (key_read_repo_digest(w->key, &repo, &d) &&
	    rec_moment_read(w->value, &ms)) {
		if (now_ms - ms < SWEEP_AFTER_MS)
			return (RC_OK);
		rc = manifest_row_any(w->t, repo, &d, &rec);
		if (rc != RC_NOTFOUND)
			return (rc == RC_CORRUPT ? RC_OK : rc);
	}
	return (kv_walk_delete(w));
}

/* Anybody can ask for the referrers of any digest, so that there could be ever
 * more rows: each that is written looks at its neighbours. */
static enum rc
referrers_sweep(struct meta_txn *t, uint64_t repo, const struct digest *subject,
    int64_t now_ms)
{
	struct rec_key prefix, from;
	struct kv_walk w;
	unsigned n;
	enum rc rc;

	key_repo(&prefix, repo);
	key_repo_digest(&from, repo, subject);
	rc = kv_walk_begin(
	    t, TABLE_IMPORT_REFERRERS, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	/* The first is the subject's own. */
	for (n = 0; n <= SWEEP_ROWS && rc == RC_OK; n++)
		if ((rc = kv_walk_next(&w)) == RC_OK)
			rc = sweep_row(&w, now_ms);
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
referrers_checked(struct meta_txn *t, void *arg)
{
	const struct checked_arg *ca = arg;
	struct repository_row repo;
	enum rc rc;

	if ((rc = repo_find(t, ca->repository, &repo)) != RC_OK)
		return (rc);
	rc = moment_put(
	    t, TABLE_IMPORT_REFERRERS, repo.id, ca->digest, ca->now_ms);
	if (rc != RC_OK)
		return (rc);
	return (referrers_sweep(t, repo.id, ca->digest, ca->now_ms));
}

enum rc
meta_import_referrers_checked(struct meta *m, struct span repository,
    const struct digest *subject, int64_t now_ms)
{
	struct checked_arg arg = {
		.repository = repository,
		.digest = subject,
		.now_ms = now_ms,
	};

	return (meta_change(m, referrers_checked, &arg, 0));
}

/* Giving up. */

/* A note of before the push is of one that had the digest before it. */
static int64_t
used_ms(struct meta_txn *t, struct span repository, const struct digest *d,
    const struct manifest_rec *rec, int64_t imported_ms)
{
	int64_t noted_ms = pulled_find(t->m->pulled, repository, d);
	int64_t ms = imported_ms;

	if (ms < rec->pulled_ms)
		ms = rec->pulled_ms;
	if (ms < noted_ms && noted_ms >= rec->pushed_ms)
		ms = noted_ms;
	return (ms);
}

struct lister {
	struct span repository;
	size_t max;
	struct import_page *page;
	uint64_t repo;
	bool begun;
	struct digest at; /* looked at last */
};

static enum rc
list_row(struct lister *l, struct kv_walk *w)
{
	struct import_row *row = &l->page->rows[l->page->n];
	struct manifest_rec rec;
	size_t left = HELD_LOOKED_MAX;
	int64_t imported_ms;
	bool active;
	enum rc rc;

	/* What cannot be read is for fsck. */
	if (!rec_moment_read(w->value, &imported_ms)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	rc = manifest_find(w->t, l->repo, &l->at, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	if (rec.status != IMAGE_ACTIVE)
		return (RC_OK);
	row->digest = l->at;
	row->size_bytes = rec.size_bytes;
	row->used_ms = used_ms(w->t, l->repository, &l->at, &rec, imported_ms);
	rc = edge_held(w->t, l->repo, &l->at, &left, &row->held, &active);
	if (rc == RC_OK)
		l->page->n++;
	return (rc);
}

/* RC_NOTFOUND: there are no others; RC_RANGE: the page is full. */
static enum rc
list_rows(struct lister *l, struct kv_walk *w, struct span from)
{
	uint64_t repo;
	unsigned n;
	enum rc rc;

	for (n = 0; n < READ_ROWS; n++) {
		if ((rc = kv_walk_next(w)) != RC_OK)
			return (rc);
		if (l->begun && span_eq(w->key, from))
			continue;
		if (l->page->n == l->max) {
			l->page->more = true;
			return (RC_RANGE);
		}
		if (!key_read_repo_digest(w->key, &repo, &l->at))
			return (meta_corrupt(w->table, w->key));
		l->begun = true;
		if ((rc = list_row(l, w)) != RC_OK)
			return (rc);
	}
	return (RC_OK);
}

static enum rc
list_read(struct lister *l, struct meta_txn *t)
{
	struct rec_key prefix, from = { 0 };
	struct kv_walk w;
	enum rc rc;

	key_repo(&prefix, l->repo);
	if (l->begun)
		key_repo_digest(&from, l->repo, &l->at);
	rc = kv_walk_begin(
	    t, TABLE_IMPORT_IMAGES, key_span(&prefix), key_span(&from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = list_rows(l, &w, key_span(&from));
	kv_walk_end(&w);
	return (rc);
}

/* One that goes, or becomes another, while a page is made ends there. */
static enum rc
list_step(struct lister *l, struct meta *m)
{
	struct repository_row row;
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = repo_find(&t, l->repository, &row);
	if (rc == RC_NOTFOUND && l->repo == 0)
		rc = RC_MISSING;
	if (rc == RC_OK && l->repo != 0 && l->repo != row.id)
		rc = RC_NOTFOUND;
	if (rc == RC_OK) {
		l->repo = row.id;
		rc = list_read(l, &t);
	}
	meta_read_end(&t);
	return (rc);
}

enum rc
meta_import_page(struct meta *m, struct span repository,
    const struct digest *after, size_t n, struct arena *a,
    struct import_page *page_r)
{
	struct lister l = {
		.repository = repository,
		.max = n,
		.page = page_r,
		.begun = after != NULL,
	};
	enum rc rc;

	*page_r = (struct import_page){ 0 };
	page_r->rows = arena_calloc(a, n + 1, sizeof(*page_r->rows));
	if (page_r->rows == NULL)
		return (RC_TOOBIG);
	if (after != NULL)
		l.at = *after;
	do {
		rc = list_step(&l, m);
	} while (rc == RC_OK);
	if (rc == RC_MISSING)
		return (RC_NOTFOUND);
	return (rc == RC_NOTFOUND || rc == RC_RANGE ? RC_OK : rc);
}

struct evict_arg {
	struct span repository;
	const struct digest *digest;
	int64_t used_ms, now_ms;
	struct arena *arena;
	struct image_deleted *gone;
};

/* Is it what was looked at, and unused since? */
static enum rc
evict_look(struct meta_txn *t, uint64_t repo, const struct evict_arg *ea,
    struct manifest_rec *rec)
{
	static const uint8_t kinds[] = { EDGE_MANIFEST, 0 };
	int64_t imported_ms;
	enum rc rc;

	if ((rc = manifest_find(t, repo, ea->digest, rec)) != RC_OK)
		return (rc);
	rc = import_load(t, repo, ea->digest, &imported_ms);
	if (rc != RC_OK)
		return (rc);
	if (rec->status != IMAGE_ACTIVE)
		return (RC_NOTFOUND);
	if (used_ms(t, ea->repository, ea->digest, rec, imported_ms) >
	    ea->used_ms)
		return (RC_BUSY);
	return (edge_holders(t, repo, ea->digest, kinds, &ea->gone->holding));
}

/* One of which the size cannot be read goes all the same. */
static enum rc
evict_tell(struct meta_txn *t, uint64_t repo, const struct evict_arg *ea,
    const struct manifest_rec *rec)
{
	struct image_size size = { .left = SIZE_LOOKED_MAX };
	struct image_deleted *gone = ea->gone;
	enum rc rc = RC_OK;

	size.bytes = rec->image_bytes;
	if (rec->image_bytes == MANIFEST_BYTES_UNKNOWN)
		rc = image_size_walk(t, repo, ea->digest, &size);
	if (rc == RC_OK)
		gone->image_bytes = size.bytes;
	else if (rc != RC_CORRUPT)
		return (rc);
	gone->image = true;
	return (image_tags(
	    t, repo, ea->digest, ea->arena, &gone->tags, &gone->n_tags));
}

static enum rc
import_evict(struct meta_txn *t, void *arg)
{
	const struct evict_arg *ea = arg;
	struct repository_row repo;
	struct manifest_rec rec;
	enum rc rc;

	*ea->gone = (struct image_deleted){ .digest = *ea->digest };
	if ((rc = repo_find(t, ea->repository, &repo)) != RC_OK)
		return (rc);
	if ((rc = evict_look(t, repo.id, ea, &rec)) != RC_OK)
		return (rc);
	if ((rc = evict_tell(t, repo.id, ea, &rec)) != RC_OK)
		return (rc);
	return (manifest_drop(t, repo.id, ea->digest, &rec, ea->now_ms));
}

enum rc
meta_import_evict(struct meta *m, struct span repository,
    const struct digest *d, int64_t used, struct arena *a,
    struct image_deleted *gone_r)
{
	struct evict_arg arg = {
		.repository = repository,
		.digest = d,
		.used_ms = used,
		.now_ms = clock_real_ms(),
		.arena = a,
		.gone = gone_r,
	};
	enum rc rc;

	*gone_r = (struct image_deleted){ .digest = *d };
	rc = meta_change_freeing(m, import_evict, &arg);
	if (rc != RC_OK) {
		gone_r->image = false;
		gone_r->n_tags = 0;
	}
	return (rc);
}
