#include "storage/meta_ops_int.h"

#include "base/obj.h"

/*
 * Links: that a repository has a blob, and how many of its images use it.
 *
 * The number is kept with the changes that make an image one that uses its
 * config and layers, or end that, so that the last of them leaves the link in
 * the queue of idle ones, and the collector need not search.  Such a change
 * costs a look at each edge of the image, however many images there are.
 * Those that need a blob are only counted where the number is not known: when
 * a link is made for images that were here before the blob was, and of links
 * of an older format.
 *
 * One that deleted images alone need is there so that these can be restored,
 * and for nothing else: the collector hides it, once whoever was told of it has
 * had the time to use it.  A client that pushes finds no blob then and uploads
 * it, which makes a link like any other of it.
 */

/* So many images are looked at before it is left to the collector. */
#define LOOKED_MAX 64

/* Used and not idle, or idle and not used, or not known. */
static bool
link_plausible(const struct link_rec *rec)
{

	if (rec->users == LINK_USERS_UNKNOWN)
		return (!rec->queued && !rec->hidden);
	return ((rec->users > 0) == (rec->idle_ms == 0) &&
		((!rec->queued && !rec->hidden) || rec->users == 0));
}

static enum rc
link_save(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct link_rec *rec)
{
	uint8_t value[REC_LINK_BYTES];
	struct rec_key k;

	must(rec->users != LINK_USERS_UNKNOWN && link_plausible(rec));
	key_repo_digest(&k, repo, d);
	rec_link_write(rec, value);
	return (kv_put(t, TABLE_BLOB_LINKS, key_span(&k),
	    (struct span){ (const char *)value, sizeof(value) }));
}

enum rc
link_load(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec_r)
{
	struct rec_key k;
	struct span value;
	enum rc rc;

	key_repo_digest(&k, repo, d);
	rc = kv_get(t, TABLE_BLOB_LINKS, key_span(&k), &value);
	if (rc != RC_OK)
		return (rc);
	if (!rec_link_read(value, rec_r) || !link_plausible(rec_r))
		return (meta_corrupt(TABLE_BLOB_LINKS, key_span(&k)));
	return (RC_OK);
}

/* To be changed: a damaged one is made anew by that. */
static enum rc
link_take(struct meta_txn *t, uint64_t repo, const struct digest *d,
    int64_t now_ms, struct link_rec *rec_r)
{
	enum rc rc;

	rc = link_load(t, repo, d, rec_r);
	if (rc != RC_CORRUPT)
		return (rc);
	*rec_r = (struct link_rec){
		.linked_ms = now_ms,
		.users = LINK_USERS_UNKNOWN,
	};
	return (RC_OK);
}

/* The queue. */

static enum rc
queue_leave(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec)
{
	struct rec_key k;
	enum rc rc;

	if (!rec->queued)
		return (RC_OK);
	rec->queued = false;
	key_timed(&k, rec->idle_ms, repo, d);
	rc = kv_delete(t, TABLE_IDLE_LINKS, key_span(&k));
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

/* It is idle since now, and waits for the collector. */
static enum rc
queue_join(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec, int64_t now_ms)
{
	struct rec_key k;
	enum rc rc;

	if ((rc = queue_leave(t, repo, d, rec)) != RC_OK)
		return (rc);
	rec->idle_ms = now_ms > 0 ? now_ms : 1;
	rec->queued = true;
	key_timed(&k, rec->idle_ms, repo, d);
	return (kv_put(t, TABLE_IDLE_LINKS, key_span(&k), rec_none()));
}

/* Who uses it. */

struct counting {
	const struct digest *apart; /* a manifest, or NULL */
	uint64_t users, apart_edges;
};

/* One whose row is damaged is taken for a user until fsck has looked. */
static enum rc
count_parent(struct meta_txn *t, uint64_t repo, const struct digest *parent,
    struct counting *c)
{
	struct manifest_rec rec;
	enum rc rc;

	if (c->apart != NULL && digest_eq(parent, c->apart)) {
		c->apart_edges++;
		return (RC_OK);
	}
	rc = manifest_row_any(t, repo, parent, &rec);
	if (rc == RC_CORRUPT || (rc == RC_OK && manifest_uses(&rec)))
		c->users++;
	return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
}

static enum rc
count_kind(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    uint8_t kind, struct counting *c)
{
	struct digest child, parent;
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, blob, kind, NULL);
	rc = kv_walk_begin(t, TABLE_PARENTS, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_edge(w.key, &repo, &child, &kind, &parent))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = count_parent(t, repo, &parent, c);
		if (rc != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
count_all(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    struct counting *c)
{
	enum rc rc;

	if ((rc = count_kind(t, repo, blob, EDGE_CONFIG, c)) != RC_OK)
		return (rc);
	return (count_kind(t, repo, blob, EDGE_LAYER, c));
}

enum rc
link_count(struct meta_txn *t, uint64_t repo, const struct digest *d,
    uint64_t *users_r)
{
	struct counting c = { 0 };
	enum rc rc;

	rc = count_all(t, repo, d, &c);
	*users_r = c.users;
	return (rc);
}

/* Links that come and go. */

static enum rc
link_refresh(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec, int64_t now_ms)
{
	enum rc rc = RC_OK;

	if (rec->users == LINK_USERS_UNKNOWN)
		rc = link_count(t, repo, d, &rec->users);
	else if (rec->users > 0)
		return (RC_OK);
	rec->hidden = false;
	if (rc == RC_OK && rec->users == 0)
		rc = queue_join(t, repo, d, rec, now_ms);
	return (rc == RC_OK ? link_save(t, repo, d, rec) : rc);
}

enum rc
link_put(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct link_rec rec;
	enum rc rc;

	rc = link_take(t, repo, d, now_ms, &rec);
	if (rc == RC_NOTFOUND) {
		rec = (struct link_rec){
			.linked_ms = now_ms,
			.users = LINK_USERS_UNKNOWN,
		};
		rc = RC_OK;
	}
	if (rc == RC_OK)
		rc = link_refresh(t, repo, d, &rec, now_ms);
	if (rc != RC_OK)
		return (rc);
	return (blob_hold(t, d, HOLDER_LINK, repo));
}

enum rc
link_drop(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct link_rec *rec, int64_t now_ms)
{
	struct link_rec old = *rec;
	struct rec_key k;
	enum rc rc;

	if ((rc = queue_leave(t, repo, d, &old)) != RC_OK)
		return (rc);
	key_repo_digest(&k, repo, d);
	rc = kv_delete(t, TABLE_BLOB_LINKS, key_span(&k));
	if (rc != RC_OK && rc != RC_NOTFOUND)
		return (rc);
	return (blob_release(t, d, HOLDER_LINK, repo, now_ms));
}

enum rc
link_settle(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec)
{
	enum rc rc;

	if (!rec->queued)
		return (RC_OK);
	if ((rc = queue_leave(t, repo, d, rec)) != RC_OK)
		return (rc);
	rec->hidden = false;
	return (link_save(t, repo, d, rec));
}

enum rc
link_hide(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec)
{
	enum rc rc;

	if ((rc = queue_leave(t, repo, d, rec)) != RC_OK)
		return (rc);
	rec->hidden = true;
	return (link_save(t, repo, d, rec));
}

/* It may stay as it is: archived images need it, or it is hidden, and deleted
 * ones do. */
static enum rc
link_rests(struct meta_txn *t, uint64_t repo, const struct digest *d,
    const struct link_rec *rec, bool *rests_r)
{
	struct edge_look look = { 0 };
	enum rc rc;

	rc = edge_needed(t, repo, d, rests_r);
	if (rc != RC_OK || !*rests_r || rec->hidden)
		return (rc);
	rc = edge_kept(t, repo, d, LOOKED_MAX, &look);
	*rests_r = look.kept;
	return (rc);
}

enum rc
link_unneeded(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct link_rec rec;
	bool rests;
	enum rc rc;

	rc = link_take(t, repo, d, now_ms, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (rec.users == LINK_USERS_UNKNOWN)
		return (link_recount(t, repo, d, now_ms));
	if (rec.users > 0 || rec.queued)
		return (RC_OK);
	if ((rc = link_rests(t, repo, d, &rec, &rests)) != RC_OK || rests)
		return (rc);
	if ((rc = queue_join(t, repo, d, &rec, now_ms)) != RC_OK)
		return (rc);
	return (link_save(t, repo, d, &rec));
}

/* An image needs it that is archived and not deleted any more.  A collector who
 * has looked at some of those that need it sees by its time to begin anew. */
static enum rc
link_kept(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct link_rec rec;
	enum rc rc;

	rc = link_take(t, repo, d, now_ms, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (rec.users == LINK_USERS_UNKNOWN)
		return (link_recount(t, repo, d, now_ms));
	if (rec.users > 0 || (!rec.queued && !rec.hidden))
		return (RC_OK);
	rec.hidden = false;
	if (now_ms <= rec.idle_ms)
		now_ms = rec.idle_ms + 1;
	if (rec.queued)
		rc = queue_join(t, repo, d, &rec, now_ms);
	return (rc == RC_OK ? link_save(t, repo, d, &rec) : rc);
}

/* From some users to some, or none. */
static enum rc
link_set(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec, int64_t now_ms)
{
	enum rc rc = RC_OK;

	if (rec->users > 0) {
		rc = queue_leave(t, repo, d, rec);
		rec->idle_ms = 0;
		rec->hidden = false;
	} else if (rec->idle_ms == 0) {
		rc = queue_join(t, repo, d, rec, now_ms);
	}
	return (rc == RC_OK ? link_save(t, repo, d, rec) : rc);
}

/* Hidden is what deleted images alone need. */
static enum rc
link_show(struct meta_txn *t, uint64_t repo, const struct digest *d,
    struct link_rec *rec)
{
	struct edge_look look = { 0 };
	enum rc rc;

	if (!rec->hidden)
		return (RC_OK);
	rc = edge_kept(t, repo, d, SIZE_MAX, &look);
	rec->hidden = !look.kept;
	return (rc);
}

/* One that is idle stays so since then; it waits again if it is in no queue
 * and nothing needs it, or deleted images alone do and it can be seen. */
enum rc
link_recount(
    struct meta_txn *t, uint64_t repo, const struct digest *d, int64_t now_ms)
{
	struct link_rec rec;
	struct rec_key k;
	enum rc rc;

	if ((rc = link_take(t, repo, d, now_ms, &rec)) != RC_OK)
		return (rc);
	if ((rc = link_count(t, repo, d, &rec.users)) != RC_OK)
		return (rc);
	if ((rc = link_show(t, repo, d, &rec)) != RC_OK)
		return (rc);
	if ((rc = link_set(t, repo, d, &rec, now_ms)) != RC_OK)
		return (rc);
	if (!rec.queued)
		return (link_unneeded(t, repo, d, now_ms));
	key_timed(&k, rec.idle_ms, repo, d);
	return (kv_put(t, TABLE_IDLE_LINKS, key_span(&k), rec_none()));
}

/* Images. */

struct using
{
	const struct digest *manifest;
	int one;
	int64_t now_ms;
};

/* As before the change, of which its row may tell already or not yet. */
static enum rc
users_before(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    const struct using *u, uint64_t *users_r)
{
	struct counting c = { .apart = u->manifest };
	enum rc rc;

	rc = count_all(t, repo, blob, &c);
	*users_r = c.users + (u->one < 0 ? c.apart_edges : 0);
	return (rc);
}

/* What cannot be, fewer users than none, is counted as well. */
static enum rc
link_use(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    const struct using *u)
{
	struct link_rec rec;
	enum rc rc;

	rc = link_take(t, repo, blob, u->now_ms, &rec);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (rec.users == LINK_USERS_UNKNOWN || (u->one < 0 && rec.users == 0))
		rc = users_before(t, repo, blob, u, &rec.users);
	if (rc != RC_OK)
		return (rc);
	if (u->one > 0)
		rec.users++;
	else if (rec.users > 0)
		rec.users--;
	return (link_set(t, repo, blob, &rec, u->now_ms));
}

typedef enum rc link_fn(struct meta_txn *, uint64_t repo,
    const struct digest *blob, const struct using *);

static enum rc
uses_of_kind(struct meta_txn *t, uint64_t repo, uint8_t kind, link_fn *fn,
    const struct using *u)
{
	struct digest parent, child;
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_edge(&prefix, repo, u->manifest, kind, NULL);
	rc = kv_walk_begin(t, TABLE_EDGES, key_span(&prefix), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	while ((rc = kv_walk_next(&w)) == RC_OK) {
		if (!key_read_edge(w.key, &repo, &parent, &kind, &child))
			rc = meta_corrupt(w.table, w.key);
		else
			rc = fn(t, repo, &child, u);
		if (rc != RC_OK)
			break;
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
uses_all(struct meta_txn *t, uint64_t repo, link_fn *fn, const struct using *u)
{
	enum rc rc;

	must(u->one == 1 || u->one == -1);
	if ((rc = uses_of_kind(t, repo, EDGE_CONFIG, fn, u)) != RC_OK)
		return (rc);
	return (uses_of_kind(t, repo, EDGE_LAYER, fn, u));
}

enum rc
image_uses(struct meta_txn *t, uint64_t repo, const struct digest *manifest,
    int one, int64_t now_ms)
{
	const struct using u = { manifest, one, now_ms };

	return (uses_all(t, repo, link_use, &u));
}

static enum rc
link_of_archived(struct meta_txn *t, uint64_t repo, const struct digest *blob,
    const struct using *u)
{

	return (u->one > 0 ? link_kept(t, repo, blob, u->now_ms)
			   : link_unneeded(t, repo, blob, u->now_ms));
}

enum rc
image_archived_uses(struct meta_txn *t, uint64_t repo,
    const struct digest *manifest, bool back, int64_t now_ms)
{
	const struct using u = { manifest, back ? 1 : -1, now_ms };

	return (uses_all(t, repo, link_of_archived, &u));
}
