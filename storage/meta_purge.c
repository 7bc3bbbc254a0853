#include "storage/meta_ops_int.h"

#include "base/clock.h"
#include "base/obj.h"
#include "storage/collect_int.h"

/*
 * Repositories that go.  A small change takes a repository's name away and
 * writes its id among the doomed: from then on nobody finds it, and one of
 * the same name is another.  Its rows, which may be millions, are purged
 * afterwards, some in each change, in whatever order is at hand: nothing
 * leads to them any more, so they need not agree meanwhile.  What the next
 * change has to do is what is still there, so a crash between two of them
 * loses nothing.
 *
 * What others have of it is given back in the same change as the row that
 * stands for it: the holders of content, and places in queues.
 *
 * Where deleted images can be restored, so can a repository (meta_doomed.c):
 * its rows stay as they are until the time for that is up.  The first change
 * that purges one says so in its record.
 */

/* Manifests that are looked at for one that is not deleted. */
#define LOOKED_MAX 1000
/* A time further ahead than this is not one of this clock. */
#define AHEAD_MAX_MS INT64_C(86400000)

/* Deleting. */

struct delete_arg {
	struct span name;
	bool force;
	struct arena *arena;
	struct repository_description *description;
	int64_t now_ms;
};

/* Deleted ones are none; one that cannot be read is one.  RC_RANGE: of so many
 * none is one, and there are others. */
static enum rc
manifests_look(struct meta_txn *t, uint64_t repo, bool *any_r)
{
	struct manifest_rec rec;
	struct rec_key prefix;
	struct kv_walk w;
	unsigned n = 0;
	enum rc rc;

	*any_r = false;
	key_repo(&prefix, repo);
	rc =
	    kv_walk_begin(t, TABLE_MANIFESTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (!*any_r && n++ < LOOKED_MAX && (rc = kv_walk_next(&w)) == RC_OK)
		*any_r = !rec_manifest_read(w.value, &rec) ||
			 (rec.flags & MANIFEST_DELETED) == 0;
	kv_walk_end(&w);
	if (rc == RC_OK && !*any_r)
		return (RC_RANGE);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* The rows tell, unless there are very many of deleted images: then their
 * count does, and should that be wrong, that no tag is left. */
static enum rc
manifests_any(struct meta_txn *t, uint64_t repo, bool *any_r)
{
	struct rec_key prefix;
	uint64_t n;
	enum rc rc;

	if ((rc = manifests_look(t, repo, any_r)) != RC_RANGE)
		return (rc);
	if ((rc = image_count(t, repo, &n)) != RC_OK)
		return (rc);
	*any_r = n > 0;
	key_repo(&prefix, repo);
	return (
	    n > 0 ? RC_OK : kv_any(t, TABLE_TAGS, key_span(&prefix), any_r));
}

/* One with damaged settings can be deleted too. */
static enum rc
describe_what_can_be_read(struct meta_txn *t, const struct delete_arg *da,
    const struct repository_row *row)
{
	enum rc rc;

	rc = repo_describe(t, row, da->arena, da->description);
	if (rc != RC_CORRUPT)
		return (rc);
	*da->description = (struct repository_description){
		.row = *row,
		.settings = { .mutability = TAGS_MUTABLE,
		    .encryption = ENCRYPTION_AES256 },
	};
	return (RC_OK);
}

static enum rc
doomed_put(
    struct meta_txn *t, const struct rec_key *id, const struct doomed_rec *rec)
{
	uint8_t *p;
	enum rc rc;

	rc =
	    kv_reserve(t, TABLE_DOOMED, key_span(id), rec_doomed_size(rec), &p);
	if (rc == RC_OK)
		rec_doomed_write(rec, p);
	return (rc);
}

static enum rc
repository_doom(struct meta_txn *t, const struct delete_arg *da,
    const struct repository_row *row)
{
	const struct doomed_rec rec = {
		.deleted_ms = da->now_ms,
		.name = da->name,
		.created_ms = row->created_ms,
		.purging = meta_undelete_ms(t->m) == 0,
	};
	struct rec_key name, id;
	enum rc rc;

	key_str(&name, da->name);
	key_repo(&id, row->id);
	rc = kv_delete(t, TABLE_REPOSITORIES, key_span(&name));
	if (rc != RC_OK)
		return (rc);
	rc = kv_delete(t, TABLE_REPOSITORY_NAMES, key_span(&id));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	return (doomed_put(t, &id, &rec));
}

static enum rc
repository_delete(struct meta_txn *t, void *arg)
{
	const struct delete_arg *da = arg;
	struct repository_row row;
	bool any;
	enum rc rc;

	if ((rc = repo_find(t, da->name, &row)) != RC_OK)
		return (rc);
	if ((rc = manifests_any(t, row.id, &any)) != RC_OK)
		return (rc);
	if (any && !da->force)
		return (RC_REFERENCED);
	if ((rc = describe_what_can_be_read(t, da, &row)) != RC_OK)
		return (rc);
	return (repository_doom(t, da, &row));
}

enum rc
meta_repository_delete(struct meta *m, struct span name, bool force,
    struct arena *a, struct repository_description *d_r)
{
	struct delete_arg arg = {
		.name = name,
		.force = force,
		.arena = a,
		.description = d_r,
		.now_ms = clock_real_ms(),
	};

	return (meta_change_freeing(m, repository_delete, &arg));
}

/* Purging. */

struct purge_arg {
	struct rec_key from; /* the first to be purged */
	unsigned max_rows;
	unsigned left; /* of this change */
	bool more;
	int64_t now_ms;
	bool settled; /* the clock has had time to be put right */
};

/* Does it have a name?  Then it lives, whatever else is written of it. */
static enum rc
repository_lives(struct meta_txn *t, const struct rec_key *id, bool *lives_r)
{
	struct span value;
	enum rc rc;

	rc = kv_get(t, TABLE_REPOSITORY_NAMES, key_span(id), &value);
	*lives_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Was the clock ahead when it was deleted?  It would wait for as long. */
static bool
doomed_ahead(const struct doomed_rec *rec, const struct purge_arg *pa)
{

	return (pa->settled && rec->deleted_ms > pa->now_ms &&
		rec->deleted_ms - pa->now_ms > AHEAD_MAX_MS);
}

/* Is its time up?  One whose record says nothing that could be used to restore
 * it is not kept. */
static bool
doomed_due(struct meta_txn *t, struct span value, const struct purge_arg *pa)
{
	struct doomed_rec rec;

	if (!rec_doomed_read(value, &rec) || rec.purging || rec.name.n == 0)
		return (true);
	return (doomed_ahead(&rec, pa) ||
		pa->now_ms - rec.deleted_ms >= meta_undelete_ms(t->m));
}

/* The first that can be purged; what cannot be true is left for fsck. */
static enum rc
doomed_find(struct kv_walk *w, const struct purge_arg *pa, struct rec_key *id_r,
    uint64_t *repo_r)
{
	bool lives;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (!key_read_repo(w->key, repo_r)) {
			(void)meta_corrupt(w->table, w->key);
			continue;
		}
		if (!doomed_due(w->t, w->value, pa))
			continue;
		key_repo(id_r, *repo_r);
		if ((rc = repository_lives(w->t, id_r, &lives)) != RC_OK)
			return (rc);
		if (!lives)
			return (RC_OK);
		(void)meta_corrupt(w->table, w->key);
	}
	return (rc);
}

/* From behind those that were looked at already.  RC_NOTFOUND: none. */
static enum rc
doomed_first(struct meta_txn *t, const struct purge_arg *pa,
    struct rec_key *id_r, uint64_t *repo_r)
{
	struct kv_walk w;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_DOOMED, SPAN_NONE, key_span(&pa->from), &w);
	if (rc != RC_OK)
		return (rc);
	rc = doomed_find(&w, pa, id_r, repo_r);
	kv_walk_end(&w);
	return (rc);
}

/* From now on it cannot be restored; or, of a time that is yet to come, it can
 * from now on for as long as others. */
static enum rc
doomed_begin(struct meta_txn *t, const struct rec_key *id,
    const struct purge_arg *pa, bool *begun_r)
{
	char name[KEY_MAX_BYTES];
	struct doomed_rec rec;
	struct span value;
	enum rc rc;

	*begun_r = true;
	rc = kv_get(t, TABLE_DOOMED, key_span(id), &value);
	if (rc != RC_OK || !rec_doomed_read(value, &rec) || rec.purging ||
	    rec.name.n > sizeof(name))
		return (rc);
	if (rec.name.n > 0)
		memcpy(name, rec.name.p, rec.name.n);
	rec.name.p = name;
	if (rec.name.n > 0 && meta_undelete_ms(t->m) > 0 &&
	    doomed_ahead(&rec, pa)) {
		rec.deleted_ms = pa->now_ms;
		*begun_r = false;
	}
	rec.purging = *begun_r;
	return (doomed_put(t, id, &rec));
}

/* Of content whose own record is damaged it only goes from the holders: what
 * else is to be said of it is for fsck. */
static enum rc
holder_drop(struct meta_txn *t, enum holder_kind kind, uint64_t repo,
    const struct digest *d, int64_t now_ms)
{
	enum rc rc;

	rc = blob_release(t, d, kind, repo, now_ms);
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

/* What a row stands for elsewhere goes with it.  Its value is read before it
 * goes, its key says of which image or blob it is. */

static enum rc
queued_drop(struct meta_txn *t, enum meta_table queue, int64_t ms,
    uint64_t repo, const struct digest *d)
{
	struct rec_key k;
	enum rc rc;

	key_timed(&k, ms, repo, d);
	rc = kv_delete(t, queue, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
manifest_purge(
    struct kv_walk *w, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	enum rc rc;

	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	return (holder_drop(w->t, HOLDER_MANIFEST, repo, d, now_ms));
}

static enum rc
link_purge(
    struct kv_walk *w, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct link_rec rec;
	bool known = rec_link_read(w->value, &rec);
	enum rc rc;

	if (!known)
		(void)meta_corrupt(w->table, w->key);
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	if (known && rec.queued)
		rc = queued_drop(w->t, TABLE_IDLE_LINKS, rec.idle_ms, repo, d);
	if (rc != RC_OK)
		return (rc);
	return (holder_drop(w->t, HOLDER_LINK, repo, d, now_ms));
}

static enum rc
scan_purge(
    struct kv_walk *w, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct scan_rec rec;
	bool known = rec_scan_read(w->value, &rec);
	enum rc rc;

	(void)now_ms;
	if (!known)
		(void)meta_corrupt(w->table, w->key);
	if ((rc = kv_walk_delete(w)) != RC_OK || !known)
		return (rc);
	return (queued_drop(w->t, TABLE_SCAN_QUEUE, rec.started_ms, repo, d));
}

static enum rc
scanned_purge(
    struct kv_walk *w, uint64_t repo, const struct digest *d, int64_t now_ms)
{

	(void)now_ms;
	return (findings_purge(w, repo, d));
}

static enum rc
deleted_purge(
    struct kv_walk *w, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct deleted_rec rec;
	bool known = rec_deleted_read(w->value, &rec);
	enum rc rc;

	(void)now_ms;
	if (!known)
		(void)meta_corrupt(w->table, w->key);
	if ((rc = kv_walk_delete(w)) != RC_OK || !known)
		return (rc);
	return (
	    queued_drop(w->t, TABLE_DELETED_QUEUE, rec.deleted_ms, repo, d));
}

static enum rc
task_purge(struct kv_walk *w)
{
	struct task_rec rec;
	struct digest d;
	struct rec_key k;
	uint64_t repo, id;
	bool known = key_read_task(w->key, &repo, &d, &id) &&
		     rec_task_read(w->value, &rec);
	enum rc rc;

	if (!known)
		(void)meta_corrupt(w->table, w->key);
	if ((rc = kv_walk_delete(w)) != RC_OK || !known)
		return (rc);
	key_task_due(&k, rec.due_ms, id);
	rc = kv_delete(w->t, TABLE_REPLICATION_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* Where it stands in the queue cannot be read. */
static enum rc
policy_unqueue(struct meta_txn *t, uint64_t repo)
{
	struct kv_walk w;
	uint64_t other;
	int64_t ms;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_LIFECYCLE_QUEUE, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK)
		if (key_read_timed_repo(w.key, &ms, &other) && other == repo &&
		    (rc = kv_walk_delete(&w)) != RC_OK)
			break;
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* The key is that of the repository alone. */
static enum rc
policy_purge(struct kv_walk *w, uint64_t repo)
{
	struct lifecycle_row row;
	bool known = rec_lifecycle_read(w->value, &row);
	enum rc rc;

	if (!known)
		(void)meta_corrupt(w->table, w->key);
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	if (!known)
		return (policy_unqueue(w->t, repo));
	return (lifecycle_queue_set(w->t, repo, lifecycle_basis(&row), 0));
}

/* Others are rows and nothing else: NULL. */
typedef enum rc
row_purge_fn(struct kv_walk *, uint64_t, const struct digest *, int64_t);

static row_purge_fn *
row_purger(enum meta_table table)
{

	if (table == TABLE_MANIFESTS)
		return (manifest_purge);
	if (table == TABLE_BLOB_LINKS)
		return (link_purge);
	if (table == TABLE_IMAGE_SCANS)
		return (scan_purge);
	if (table == TABLE_SCAN_FINDINGS)
		return (scanned_purge);
	return (table == TABLE_DELETED_IMAGES ? deleted_purge : NULL);
}

static enum rc
row_purge(struct kv_walk *w, uint64_t repo, int64_t now_ms)
{
	row_purge_fn *purge = row_purger(w->table);
	struct digest d;

	if (w->table == TABLE_LIFECYCLE_POLICIES)
		return (policy_purge(w, repo));
	if (w->table == TABLE_REPLICATION_TASKS)
		return (task_purge(w));
	if (purge == NULL)
		return (kv_walk_delete(w));
	if (!key_read_repo_digest(w->key, &repo, &d)) {
		(void)meta_corrupt(w->table, w->key);
		return (kv_walk_delete(w));
	}
	return (purge(w, repo, &d, now_ms));
}

static enum rc
rows_purge(struct meta_txn *t, enum meta_table table, uint64_t repo,
    struct purge_arg *pa)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_repo(&prefix, repo);
	rc = kv_walk_begin(t, table, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while (pa->left > 0 && (rc = kv_walk_next(&w)) == RC_OK) {
		pa->left--;
		if ((rc = row_purge(&w, repo, pa->now_ms)) != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* All tables whose keys begin with a repository; when nothing is left there,
 * what says so. */
static enum rc
doomed_purge(struct meta_txn *t, const struct rec_key *id, uint64_t repo,
    struct purge_arg *pa)
{
	static const enum meta_table tables[] = { TABLE_TAGS, TABLE_DIGEST_TAGS,
		TABLE_REFERRERS, TABLE_EDGES, TABLE_PARENTS, TABLE_MANIFESTS,
		TABLE_BLOB_LINKS, TABLE_REPOSITORY_SETTINGS,
		TABLE_REPOSITORY_TAGS, TABLE_REPOSITORY_POLICIES,
		TABLE_IMAGE_COUNTS, TABLE_IMAGE_SCANS, TABLE_SCAN_FINDINGS,
		TABLE_LIFECYCLE_POLICIES, TABLE_LIFECYCLE_PREVIEWS,
		TABLE_PREVIEW_QUEUE, TABLE_LIFECYCLE_PREVIEW_RESULTS,
		TABLE_DELETED_IMAGES, TABLE_ACTIVATIONS, TABLE_LIFECYCLE_RUNS,
		TABLE_IMPORT_IMAGES, TABLE_IMPORT_TAGS, TABLE_IMPORT_REFERRERS,
		TABLE_REPLICATION_TASKS, TABLE_REPLICATION_STATUS };
	bool begun;
	size_t i;
	enum rc rc;

	rc = doomed_begin(t, id, pa, &begun);
	if (rc != RC_OK || !begun) {
		pa->left--;
		return (rc);
	}
	for (i = 0; i < ARRAY_LEN(tables); i++)
		if ((rc = rows_purge(t, tables[i], repo, pa)) != RC_OK)
			return (rc);
	if (pa->left == 0)
		return (RC_OK);
	pa->left--;
	return (kv_delete(t, TABLE_DOOMED, key_span(id)));
}

static enum rc
repositories_purge(struct meta_txn *t, void *arg)
{
	struct purge_arg *pa = arg;
	struct rec_key id;
	uint64_t repo;
	enum rc rc;

	pa->left = pa->max_rows;
	while ((rc = doomed_first(t, pa, &id, &repo)) == RC_OK && pa->left > 0)
		if ((rc = doomed_purge(t, &id, repo, pa)) != RC_OK)
			return (rc);
	pa->more = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* A look without a change: mostly there is nothing to do. */
static enum rc
doomed_any(struct meta *m, struct purge_arg *pa, bool *any_r)
{
	struct rec_key id = { 0 };
	struct meta_txn t;
	uint64_t repo;
	enum rc rc;

	*any_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = doomed_first(&t, pa, &id, &repo);
	meta_read_end(&t);
	*any_r = rc == RC_OK;
	if (*any_r)
		pa->from = id;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_repository_purge(
    struct meta *m, unsigned max_rows, unsigned *n_r, bool *more_r)
{
	int64_t left_ms;
	struct purge_arg arg = {
		.max_rows = max_rows > 0 ? max_rows : 1,
		.now_ms = clock_real_ms(),
		.settled = lease_settled(meta_leases(m), &left_ms),
	};
	enum rc rc;

	if (n_r != NULL)
		*n_r = 0;
	if ((rc = doomed_any(m, &arg, more_r)) != RC_OK || !*more_r)
		return (rc);
	rc = meta_change_freeing(m, repositories_purge, &arg);
	if (rc == RC_OK) {
		if (n_r != NULL)
			*n_r = arg.max_rows - arg.left;
		*more_r = arg.more;
	}
	return (rc);
}
