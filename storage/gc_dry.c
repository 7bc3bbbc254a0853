#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/obj.h"
#include "storage/gc_int.h"
#include "storage/meta_ops_int.h"
#include "storage/store_int.h"

/*
 * What a collection would remove, and what waits to be old enough: the same
 * walks, which only look.
 *
 * A blob goes with the last of its links, in the order of the queue.  So each
 * link in the queue looks at the other holders of its blob: if one of them is
 * no link that waits, or comes later in the queue, it has nothing to say.  The
 * walk over the holders begins behind its own repository: of links that are
 * idle since the same time the next one comes later, so one look is enough.
 */

/* How far the links of a blob are. */
enum fate {
	FATE_STAYS, /* or another link tells, or it has too many */
	FATE_WAITS, /* not all are old enough */
	FATE_GOES,
};

struct idle_row {
	int64_t since_ms;
	uint64_t repo;
	struct digest digest;
};

static bool
is_later(const struct idle_row *a, const struct idle_row *b)
{
	return (a->since_ms > b->since_ms ||
		(a->since_ms == b->since_ms && a->repo > b->repo));
}

/* Would the link go, now or when it is old enough? */
static enum rc
link_waits(struct meta_txn *t, struct idle_row *row, bool *waits_r)
{
	struct link_rec rec;
	bool needed;
	enum rc rc;

	*waits_r = false;
	rc = link_load(t, row->repo, &row->digest, &rec);
	if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
		return (RC_OK);
	if (rc != RC_OK || !rec.queued)
		return (rc);
	row->since_ms = rec.idle_ms;
	rc = edge_needed(t, row->repo, &row->digest, &needed);
	*waits_r = rc == RC_OK && !needed;
	return (rc);
}

/* *${fate}: what it is by the holders that were seen before. */
static enum rc
holder_look(struct gc *g, struct kv_walk *w, const struct idle_row *last,
    enum fate *fate)
{
	struct idle_row other = { .digest = last->digest };
	struct digest d;
	uint32_t domain;
	uint8_t kind;
	bool waits = false;
	enum rc rc = RC_OK;

	if (!key_read_holder(w->key, &domain, &d, &kind, &other.repo))
		return (meta_corrupt(w->table, w->key));
	if (kind == HOLDER_LINK && other.repo == last->repo)
		return (RC_OK);
	if (kind == HOLDER_LINK)
		rc = link_waits(w->t, &other, &waits);
	if (rc != RC_OK)
		return (rc);
	if (!waits || is_later(&other, last))
		*fate = FATE_STAYS;
	else if (other.since_ms > g->before_ms)
		*fate = FATE_WAITS;
	return (RC_OK);
}

/* Holders of one blob that are looked at, for each of its links: of links that
 * were put into the queue in a bad order that would be each for each. */
#define HOLDERS_LOOKED_MAX 1000

/* Those of the keys from ${from} up to ${to}. */
static enum rc
holders_look(struct gc *g, struct meta_txn *t, const struct rec_key *from,
    const struct rec_key *to, const struct idle_row *last, size_t *left,
    enum fate *fate)
{
	struct rec_key prefix;
	struct kv_walk w;
	enum rc rc;

	key_blob(&prefix, repo_domain(last->repo), &last->digest);
	rc = kv_walk_begin(
	    t, TABLE_HOLDERS, key_span(&prefix), key_span(from), &w);
	if (rc != RC_OK)
		return (rc);
	while (*fate != FATE_STAYS && (rc = kv_walk_next(&w)) == RC_OK) {
		if (to != NULL && span_cmp(w.key, key_span(to)) >= 0)
			break;
		if ((*left)-- == 0) {
			*left = 0;
			*fate = FATE_STAYS;
		} else if ((rc = holder_look(g, &w, last, fate)) != RC_OK) {
			break;
		}
	}
	kv_walk_end(&w);
	return (rc == RC_NOTFOUND ? RC_OK : rc);
}

static enum rc
fate_of(struct gc *g, struct meta_txn *t, const struct idle_row *row,
    enum fate *fate)
{
	size_t left = HOLDERS_LOOKED_MAX;
	uint32_t domain = repo_domain(row->repo);
	struct rec_key own, first;
	enum rc rc;

	*fate = row->since_ms > g->before_ms ? FATE_WAITS : FATE_GOES;
	key_holder(&own, domain, &row->digest, HOLDER_LINK, row->repo);
	key_blob(&first, domain, &row->digest);
	rc = holders_look(g, t, &own, NULL, row, &left, fate);
	if (rc == RC_OK)
		rc = holders_look(g, t, &first, &own, row, &left, fate);
	return (rc);
}

static enum rc
blob_bytes(struct meta_txn *t, uint32_t domain, const struct digest *d,
    uint64_t *bytes_r)
{
	struct blob_rec rec;
	struct rec_key k;
	struct span value;
	enum rc rc;

	*bytes_r = 0;
	key_blob(&k, domain, d);
	if ((rc = kv_get(t, TABLE_BLOBS, key_span(&k), &value)) != RC_OK)
		return (rc);
	if (!rec_blob_read(value, &rec))
		return (meta_corrupt(TABLE_BLOBS, key_span(&k)));
	*bytes_r = rec.stored_bytes;
	return (RC_OK);
}

static void
blob_goes(struct gc *g, struct span repository, uint64_t bytes)
{
	g->totals->blobs++;
	g->totals->bytes += bytes;
	gc_tally_add(g->tally, repository, 0, 1, bytes);
}

static void
blob_waits(struct gc *g, uint64_t bytes)
{
	g->totals->waiting_blobs++;
	g->totals->waiting_bytes += bytes;
}

/* --- links --------------------------------------------------------------- */

static enum rc
link_goes(struct gc *g, struct meta_txn *t, const struct idle_row *row,
    struct gc_name *name)
{
	enum rc rc;

	if ((rc = gc_name_of(t, row->repo, name)) != RC_OK)
		return (rc);
	g->totals->links++;
	gc_tally_add(g->tally, gc_name_span(name), 1, 0, 0);
	return (RC_OK);
}

static enum rc
idle_count(struct gc *g, struct meta_txn *t, const struct idle_row *row)
{
	struct gc_name name = { 0 };
	enum fate fate;
	uint64_t bytes;
	enum rc rc;

	if (row->since_ms > g->before_ms)
		g->totals->waiting_links++;
	else if ((rc = link_goes(g, t, row, &name)) != RC_OK)
		return (rc);
	if ((rc = fate_of(g, t, row, &fate)) != RC_OK || fate == FATE_STAYS)
		return (rc);
	rc = blob_bytes(t, repo_domain(row->repo), &row->digest, &bytes);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND ? RC_OK : rc);
	if (fate == FATE_GOES)
		blob_goes(g, gc_name_span(&name), bytes);
	else
		blob_waits(g, bytes);
	return (RC_OK);
}

/* A row of the queue that says what its link does not is passed over. */
static enum rc
idle_look(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct idle_row row, is;
	bool waits;
	enum rc rc;

	(void)b;
	if (!key_read_timed(w->key, &row.since_ms, &row.repo, &row.digest)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	if (row.since_ms <= g->before_ms &&
	    lease_held(g->leases, &row.digest)) {
		g->totals->leased++;
		return (RC_OK);
	}
	is = row;
	rc = link_waits(w->t, &is, &waits);
	if (rc != RC_OK || !waits || is.since_ms != row.since_ms)
		return (rc);
	rc = idle_count(g, w->t, &row);
	return (rc == RC_CORRUPT ? RC_OK : rc);
}

/* --- content that nobody holds ------------------------------------------- */

static enum rc
unheld_look(struct gc *g, struct kv_walk *w, struct gc_batch *b)
{
	struct span name = SPAN_NONE;
	struct digest d;
	int64_t since_ms;
	uint32_t domain;
	uint64_t bytes;
	enum rc rc;

	(void)b;
	if (!key_read_unheld(w->key, &since_ms, &domain, &d)) {
		(void)meta_corrupt(w->table, w->key);
		return (RC_OK);
	}
	if (since_ms <= g->before_ms && lease_held(g->leases, &d)) {
		g->totals->leased++;
		return (RC_OK);
	}
	rc = blob_bytes(w->t, domain, &d, &bytes);
	if (rc != RC_OK)
		return (rc == RC_NOTFOUND || rc == RC_CORRUPT ? RC_OK : rc);
	if (!rec_unheld_read(w->value, &name))
		name = SPAN_NONE;
	if (since_ms <= g->before_ms)
		blob_goes(g, name, bytes);
	else
		blob_waits(g, bytes);
	return (RC_OK);
}

enum rc
gc_dry(struct gc *g)
{
	struct gc_batch links = {
		.table = TABLE_IDLE_LINKS,
		.gather = idle_look,
	};
	struct gc_batch unheld = {
		.table = TABLE_UNHELD,
		.gather = unheld_look,
	};
	enum rc rc;

	if ((rc = gc_queue_run(g, &links)) != RC_OK)
		return (rc);
	return (gc_queue_run(g, &unheld));
}
