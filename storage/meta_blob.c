#include "storage/meta_ops_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "storage/keys_int.h"

/*
 * Blobs as the repositories see them: linked, mounted, unlinked, read.
 */

/* Taking in. */

static enum rc
blob_put(struct meta_txn *t, void *arg)
{
	const struct blob_put *put = arg;
	struct blob_in in = {
		.digest = &put->digest,
		.size_bytes = put->size_bytes,
		.location = put->location,
		.content = put->content,
		.now_ms = put->now_ms,
	};
	uint64_t repo;
	enum rc rc;

	rc = repo_take(t, put->repository, put->create, put->now_ms, &repo);
	if (rc != RC_OK)
		return (rc);
	in.key_domain = repo_domain(repo);
	if (put->location == BLOB_IN_FILE && put->key_domain != in.key_domain)
		return (RC_BUSY);
	if ((rc = blob_record(t, &in)) != RC_OK)
		return (rc);
	if ((rc = link_put(t, repo, &put->digest, put->now_ms)) != RC_OK)
		return (rc);
	/* The session may have expired meanwhile; the content is here. */
	if (put->upload_id.n > 0)
		rc = upload_drop(t, put->upload_id);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

enum rc
meta_blob_put(struct meta *m, const struct blob_put *put)
{
	struct blob_put copy = *put;

	return (meta_change(m, blob_put, &copy, put->content.n));
}

static enum rc
blob_mount(struct meta_txn *t, void *arg)
{
	const struct blob_mount *mount = arg;
	struct repository_row from;
	struct blob_rec rec;
	uint64_t to;
	enum rc rc;

	if ((rc = repo_find(t, mount->from, &from)) != RC_OK)
		return (rc);
	if ((rc = blob_linked(t, from.id, &mount->digest, &rec)) != RC_OK)
		return (rc);
	rc = repo_take(t, mount->to, mount->create, mount->now_ms, &to);
	if (rc != RC_OK)
		return (rc);
	/* There is another copy of it, or none. */
	if (repo_domain(to) != repo_domain(from.id))
		return (RC_NOTFOUND);
	return (link_put(t, to, &mount->digest, mount->now_ms));
}

enum rc
meta_blob_mount(struct meta *m, const struct blob_mount *mount)
{
	struct blob_mount copy = *mount;

	return (meta_change(m, blob_mount, &copy, 0));
}

struct blob_unlink {
	struct span repository;
	const struct digest *digest;
	struct holding *holding;
	int64_t now_ms;
};

/* What deleted images need stays, or they could not be restored. */
static enum rc
unlink_allowed(struct meta_txn *t, uint64_t repo, const struct blob_unlink *u)
{
	static const uint8_t kinds[] = { EDGE_CONFIG, EDGE_LAYER, 0 };
	bool needed;
	enum rc rc;

	rc = edge_holders(t, repo, u->digest, kinds, u->holding);
	if (rc != RC_OK)
		return (rc);
	rc = edge_needed(t, repo, u->digest, &needed);
	return (rc == RC_OK && needed ? RC_REFERENCED : rc);
}

/* A damaged link can go as well. */
static enum rc
blob_unlink(struct meta_txn *t, void *arg)
{
	const struct blob_unlink *u = arg;
	struct link_rec link = { 0 };
	struct repository_row row;
	enum rc rc;

	*u->holding = (struct holding){ 0 };
	if ((rc = repo_find(t, u->repository, &row)) != RC_OK)
		return (rc);
	rc = link_load(t, row.id, u->digest, &link);
	if (rc == RC_CORRUPT)
		link = (struct link_rec){ 0 };
	else if (rc != RC_OK)
		return (rc);
	if (link.hidden)
		return (RC_NOTFOUND);
	if ((rc = unlink_allowed(t, row.id, u)) != RC_OK)
		return (rc);
	return (link_drop(t, row.id, u->digest, &link, u->now_ms));
}

enum rc
meta_blob_unlink(struct meta *m, struct span repository, const struct digest *d,
    struct holding *holding_r)
{
	struct blob_unlink u = {
		.repository = repository,
		.digest = d,
		.holding = holding_r,
		.now_ms = clock_real_ms(),
	};

	return (meta_change_freeing(m, blob_unlink, &u));
}

/* Reading. */

static enum rc
blob_use(struct meta_txn *t, struct span repository, const struct digest *d,
    enum blob_use *use_r)
{
	size_t left = BLOB_USE_LOOKED_MAX;
	struct repository_row repo;
	struct link_rec link;
	bool used, active;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK)
		return (rc);
	rc = link_load(t, repo.id, d, &link);
	if (rc == RC_OK && link.hidden)
		return (RC_OK);
	if (rc != RC_OK && rc != RC_NOTFOUND && rc != RC_CORRUPT)
		return (rc);
	rc = edge_used(t, repo.id, d, &left, &used, &active);
	if (rc == RC_OK && used)
		*use_r = active ? BLOB_USED : BLOB_USED_ARCHIVED;
	return (rc);
}

enum rc
meta_blob_use(struct meta *m, struct span repository, const struct digest *d,
    enum blob_use *use_r)
{
	struct meta_txn t;
	enum rc rc;

	*use_r = BLOB_UNUSED;
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = blob_use(&t, repository, d, use_r);
	meta_read_end(&t);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
blob_get(struct meta_txn *t, struct span repository, const struct digest *d,
    struct blob_row *row_r)
{
	struct repository_row repo;
	struct link_rec link;
	struct blob_rec rec;
	uint32_t domain;
	enum rc rc;

	if ((rc = repo_find(t, repository, &repo)) != RC_OK)
		return (rc);
	if ((rc = link_load(t, repo.id, d, &link)) != RC_OK)
		return (rc);
	if (link.hidden)
		return (RC_NOTFOUND);
	domain = repo_domain(repo.id);
	if ((rc = blob_shown(t, domain, d, &rec)) != RC_OK)
		return (rc);
	*row_r = (struct blob_row){
		.size_bytes = rec.size_bytes,
		.location = rec.location,
		.encoding = rec.encoding,
		.key_domain = domain,
		.created_ms = rec.created_ms,
		/* A lease that was not needed does no harm. */
		.idle = link.users == 0 || link.users == LINK_USERS_UNKNOWN,
	};
	return (RC_OK);
}

enum rc
meta_blob_get(struct meta *m, struct span repository, const struct digest *d,
    enum blob_want want, enum read_mode mode, struct arena *a,
    struct blob_row *row_r)
{
	struct meta_txn t;
	enum rc rc;

	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = blob_get(&t, repository, d, row_r);
	if (rc == RC_OK && want == BLOB_CONTENT &&
	    row_r->location == BLOB_IN_META)
		rc = blob_content(&t, row_r->key_domain, d, row_r->size_bytes,
		    mode, a, &row_r->content);
	meta_read_end(&t);
	return (rc);
}

static int
name_cmp(const void *a, const void *b)
{

	return (span_cmp(*(const struct span *)a, *(const struct span *)b));
}

/* RC_NOTFOUND: of one that has been deleted, or that hides it. */
static enum rc
holder_name(struct kv_walk *w, struct arena *a, struct span *name_r)
{
	struct digest d;
	struct link_rec link;
	uint32_t domain;
	uint64_t repo;
	uint8_t kind;
	bool doomed;
	enum rc rc;

	if (!key_read_holder(w->key, &domain, &d, &kind, &repo))
		return (meta_corrupt(w->table, w->key));
	if ((rc = repo_doomed(w->t, repo, &doomed)) != RC_OK || doomed)
		return (doomed ? RC_NOTFOUND : rc);
	rc = link_load(w->t, repo, &d, &link);
	if (rc == RC_OK && link.hidden)
		return (RC_NOTFOUND);
	if (rc != RC_OK && rc != RC_CORRUPT)
		return (rc);
	return (repo_name(w->t, repo, a, name_r));
}

static enum rc
holders_fill(struct kv_walk *w, size_t max, struct arena *a, struct page *page)
{
	struct span name;
	enum rc rc;

	while ((rc = kv_walk_next(w)) == RC_OK) {
		if ((rc = holder_name(w, a, &name)) == RC_NOTFOUND)
			continue;
		if (rc != RC_OK)
			return (rc);
		if (page->n == max) {
			page->more = true;
			return (RC_OK);
		}
		page->items[page->n++] = name;
	}
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
blob_holders(struct meta_txn *t, uint32_t domain, const struct digest *d,
    size_t max, struct arena *a, struct page *page)
{
	struct rec_key k;
	struct kv_walk w;
	enum rc rc;

	/* The prefix of a holder's key ends before the repository. */
	key_holder(&k, domain, d, HOLDER_LINK, 0);
	k.n -= sizeof(uint64_t);
	rc = kv_walk_begin(t, TABLE_HOLDERS, key_span(&k), SPAN_NONE, &w);
	if (rc != RC_OK)
		return (rc);
	rc = holders_fill(&w, max, a, page);
	kv_walk_end(&w);
	if (rc == RC_OK && page->n > 1)
		qsort(page->items, page->n, sizeof(*page->items), name_cmp);
	return (rc);
}

/* RC_NOTFOUND: nobody has anything of it yet. */
static enum rc
domain_to(struct meta_txn *t, struct span to,
    const struct repository_preset *create, uint32_t *domain_r)
{
	struct repository_row row;
	enum rc rc;

	rc = repo_find(t, to, &row);
	if (rc == RC_OK)
		*domain_r = repo_domain(row.id);
	else if (rc == RC_NOTFOUND && create != NULL)
		rc = keys_find(t, &create->settings, domain_r);
	return (rc);
}

enum rc
meta_blob_holders(struct meta *m, struct span to,
    const struct repository_preset *create, const struct digest *d, size_t max,
    struct arena *a, struct page *page_r)
{
	struct meta_txn t;
	uint32_t domain;
	enum rc rc;

	*page_r = (struct page){ 0 };
	page_r->items = arena_calloc(a, max, sizeof(*page_r->items));
	if (page_r->items == NULL)
		return (RC_TOOBIG);
	if ((rc = meta_read_begin(m, &t)) != RC_OK)
		return (rc);
	rc = domain_to(&t, to, create, &domain);
	if (rc == RC_OK)
		rc = blob_holders(&t, domain, d, max, a, page_r);
	meta_read_end(&t);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}
