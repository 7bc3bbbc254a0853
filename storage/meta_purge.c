#include "storage/meta_ops_int.h"

#include "base/clock.h"
#include "base/obj.h"

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
 * stands for it: the holders of content.
 */

/* Deleting. */

struct delete_arg {
	struct span name;
	bool force;
	struct arena *arena;
	struct repository_description *description;
	int64_t now_ms;
};

static enum rc
manifests_any(struct meta_txn *t, uint64_t repo, bool *any_r)
{
	struct rec_key prefix;

	key_repo(&prefix, repo);
	return (kv_any(t, TABLE_MANIFESTS, key_span(&prefix), any_r));
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
    struct meta_txn *t, const struct rec_key *id, const struct delete_arg *da)
{
	const struct doomed_rec rec = { da->now_ms, da->name };
	uint8_t *p;
	enum rc rc;

	rc = kv_reserve(
	    t, TABLE_DOOMED, key_span(id), rec_doomed_size(&rec), &p);
	if (rc == RC_OK)
		rec_doomed_write(&rec, p);
	return (rc);
}

static enum rc
repository_doom(struct meta_txn *t, const struct delete_arg *da, uint64_t repo)
{
	struct rec_key name, id;
	enum rc rc;

	key_str(&name, da->name);
	key_repo(&id, repo);
	rc = kv_delete(t, TABLE_REPOSITORIES, key_span(&name));
	if (rc != RC_OK)
		return (rc);
	rc = kv_delete(t, TABLE_REPOSITORY_NAMES, key_span(&id));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	return (doomed_put(t, &id, da));
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
	return (repository_doom(t, da, row.id));
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

	return (meta_change(m, repository_delete, &arg, 0));
}

/* Purging. */

struct purge_arg {
	unsigned max_rows;
	unsigned left; /* of this change */
	bool more;
	int64_t now_ms;
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

/* The first that can be purged; what cannot be true is left for fsck. */
static enum rc
doomed_find(struct kv_walk *w, struct rec_key *id_r, uint64_t *repo_r)
{
	bool lives;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if (!key_read_repo(w->key, repo_r)) {
			(void)meta_corrupt(w->table, w->key);
			continue;
		}
		key_repo(id_r, *repo_r);
		if ((rc = repository_lives(w->t, id_r, &lives)) != RC_OK)
			return (rc);
		if (!lives)
			return (RC_OK);
		(void)meta_corrupt(w->table, w->key);
	}
	return (rc);
}

/* RC_NOTFOUND: none. */
static enum rc
doomed_first(struct meta_txn *t, struct rec_key *id_r, uint64_t *repo_r)
{
	struct kv_walk w;
	enum rc rc;

	rc = kv_walk_begin(t, TABLE_DOOMED, SPAN_NONE, SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = doomed_find(&w, id_r, repo_r);
	kv_walk_end(&w);
	return (rc);
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

/* A scan that waits goes from the queue with its row. */
static enum rc
scan_purge(struct kv_walk *w, uint64_t repo)
{
	struct scan_rec rec;
	struct digest d;
	struct rec_key k;
	enum rc rc;

	if (!key_read_repo_digest(w->key, &repo, &d) ||
	    !rec_scan_read(w->value, &rec)) {
		(void)meta_corrupt(w->table, w->key);
		return (kv_walk_delete(w));
	}
	if ((rc = kv_walk_delete(w)) != RC_OK)
		return (rc);
	key_scan(&k, rec.started_ms, repo, &d);
	rc = kv_delete(w->t, TABLE_SCAN_QUEUE, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
row_purge(struct kv_walk *w, uint64_t repo, int64_t now_ms)
{
	enum holder_kind kind =
	    w->table == TABLE_MANIFESTS ? HOLDER_MANIFEST : HOLDER_LINK;
	bool holds =
	    w->table == TABLE_MANIFESTS || w->table == TABLE_BLOB_LINKS;
	struct digest d;
	enum rc rc;

	if (w->table == TABLE_IMAGE_SCANS)
		return (scan_purge(w, repo));
	/* The key is gone with its row. */
	if (holds && !key_read_repo_digest(w->key, &repo, &d)) {
		(void)meta_corrupt(w->table, w->key);
		holds = false;
	}
	if ((rc = kv_walk_delete(w)) != RC_OK || !holds)
		return (rc);
	return (holder_drop(w->t, kind, repo, &d, now_ms));
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
		TABLE_IMAGE_COUNTS, TABLE_IMAGE_SCANS, TABLE_LIFECYCLE_POLICIES,
		TABLE_LIFECYCLE_PREVIEWS, TABLE_PREVIEW_QUEUE,
		TABLE_LIFECYCLE_PREVIEW_RESULTS };
	size_t i;
	enum rc rc;

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
	while ((rc = doomed_first(t, &id, &repo)) == RC_OK && pa->left > 0)
		if ((rc = doomed_purge(t, &id, repo, pa)) != RC_OK)
			return (rc);
	pa->more = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* A look without a change: mostly there is nothing to do. */
static enum rc
doomed_any(struct meta *m, bool *any_r)
{
	struct rec_key id;
	struct meta_txn t;
	uint64_t repo;
	enum rc rc;

	*any_r = false;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = doomed_first(&t, &id, &repo);
	meta_read_end(&t);
	*any_r = rc == RC_OK;
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_repository_purge(struct meta *m, unsigned max_rows, bool *more_r)
{
	struct purge_arg arg = {
		.max_rows = max_rows > 0 ? max_rows : 1,
		.now_ms = clock_real_ms(),
	};
	enum rc rc;

	if ((rc = doomed_any(m, more_r)) != RC_OK || !*more_r)
		return (rc);
	rc = meta_change(m, repositories_purge, &arg, 0);
	if (rc == RC_OK)
		*more_r = arg.more;
	return (rc);
}
